"""The targets of one request as the walk sees them: price at worst, expected seconds, ability."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ..ladder import Rung
from ..policy.rules import Policy
from ..quick import maker
from ..signals import prompt_bound
from ..signals.size import PromptSize
from ..types import Ask, Message, Need, Request
from .live import Live
from .outgoing import outgoing_bound
from .senses import Senses

_rung = maker(Rung)
_NOTHING = Decimal(0)

_TAKES_NO: dict[Need, str] = {
    "images": "it takes no images",
    "tools": "it can't call tools",
    "forced_tools": "it can't be made to call a tool",
    "json": "it can't be held to JSON",
    "grammar": "it can't be held to a grammar",
}


def rungs_of(
    request: Request,
    needs: frozenset[Need],
    policy: Policy,
    targets: Mapping[str, Live],
    senses: Senses,
    deadline_s: float | None,
) -> dict[str, tuple[Rung, ...]]:
    """Every target by its tier, in the order of the config.

    Args:
        needs: The request's.
        deadline_s: Of the request, by the policy and the caller. None: there is none.
    """
    if senses.network is not None:
        senses.network.heed()
    found: dict[str, tuple[Rung, ...]] = {}
    prompt = PromptSize(request)
    leaving = _Leaving(prompt, request, policy, targets)
    for live in targets.values():
        name, tier = live.target.name, live.target.tier
        rung = _rung(
            name=name,
            tier=tier,
            worst_case_usd=leaving.worst_case(live),
            expected_s=senses.speeds.end_s(name, None),
            first_token_p95_s=senses.speeds.first_token_p95_s(name) if policy.hedge else None,
            unable=_unable(live, needs, senses, prompt, deadline_s),
            unpriced=live.unpriced,
            attempts=live.attempts,
        )
        found[tier] = (*found.get(tier, ()), rung)
    return found


def worst_case(
    live: Live, request: Request, policy: Policy, targets: Mapping[str, Live]
) -> Decimal | None:
    """Most dollars one call can cost. None: not known."""
    return _Leaving(PromptSize(request), request, policy, targets).worst_case(live)


class _Leaving:
    """What leaves for a target, counted once somebody has a price for it."""

    def __init__(
        self, prompt: PromptSize, request: Request, policy: Policy, targets: Mapping[str, Live]
    ) -> None:
        self._prompt = prompt
        self._request = request
        self._policy = policy
        self._targets = targets
        self._tokens: int | None = None

    def worst_case(self, live: Live) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        if live.meter.free:
            return _NOTHING
        request = self._request
        return _most(live, self._most_tokens(), request.messages, cap(live, request))

    def _most_tokens(self) -> int:
        """Of text, for any target."""
        if self._tokens is None:
            targets, draft = self._targets.values(), None
            if self._policy.attach_draft:
                draft = max(cap(live, self._request) for live in targets)
            self._tokens = outgoing_bound(self._prompt, draft)
        return self._tokens


def worst_case_of(ask: Ask, live: Live) -> Decimal | None:
    """The same of what really leaves."""
    bound = int(prompt_bound(ask.messages, ask.tools, ask.json_schema).bound)
    return _most(live, bound, ask.messages, ask.max_output_tokens)


def _most(
    live: Live, text_tokens: int, messages: tuple[Message, ...], output_tokens: int
) -> Decimal | None:
    """Text, and frames times what the target is said to take for one. None: that is unknown."""
    pictures = [image for message in messages for image in message.images]
    if not pictures:
        return live.meter.worst_case(text_tokens, output_tokens)
    frames = [image.frames for image in pictures if image.frames is not None]
    known = live.image_tokens is not None and len(frames) == len(pictures)
    tokens = text_tokens + (live.image_tokens or 0) * sum(frames)
    worst = live.meter.worst_case(tokens, output_tokens)
    return worst if known or worst == 0 else None


def dearest(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    """The greater of two worst cases. None: one of them is not known."""
    return None if a is None or b is None else max(a, b)


def cap(live: Live, request: Request) -> int:
    """Most tokens a target's answer may have."""
    asked = request.max_output_tokens
    return live.target.max_output_tokens if asked is None else asked


def _unable(
    live: Live,
    needs: frozenset[Need],
    senses: Senses,
    prompt: PromptSize,
    deadline_s: float | None,
) -> str:
    missing = sorted(needs - live.abilities) if needs else ()
    if missing:
        return ", ".join(_TAKES_NO[need] for need in missing)
    limit = live.max_input_tokens
    if limit is not None and prompt.surely_over(limit):
        return f"the prompt has at least {prompt.fewest} tokens, it takes {limit}"
    if not senses.breakers.lets(live.target.name):
        return "its circuit breaker is open"
    return live.way.barred(senses.clock.now(), deadline_s)
