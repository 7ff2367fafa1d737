"""An answer of several choices, going out: OpenAI's two shapes of it, whole and as events.

Each choice is a decision of its own, with a `router` field of its own. The answer's own sums them
up: what differs from choice to choice is null there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...hops import Outcome, total_cost
from ...types import Chunk
from .answers import DONE, Chunks, Kind, choice, head, model_of, usage_of
from .chat import Asked
from .failure import Failure, router_field
from .surface import Said

_ALIKE = ("answered_by", "finish", "confidence", "certified")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = (
    ("prompt_tokens_details", "cached_tokens"),
    ("completion_tokens_details", "reasoning_tokens"),
)


def whole(
    kind: Kind,
    asked: Asked,
    created: int,
    answers: Sequence[tuple[Said, Outcome]],
    router: Mapping[str, Any],
) -> bytes:
    """A whole answer, its choices in order; `router` as `router_of` gives it."""
    outcomes = [outcome for _, outcome in answers]
    body: dict[str, Any] = {
        **head(kind, outcomes[0].decision_id, created),
        "model": _model(outcomes, asked),
        "choices": [
            choice(kind, index, "".join(said.text), said.calls, outcome, said.logprobs)
            for index, (said, outcome) in enumerate(answers)
        ],
        "router": router,
    }
    usage = usage_of_all(outcomes)
    if usage is not None:
        body["usage"] = usage
    return msgspec.json.encode(body)


class Events:
    """The events of one streamed answer, those of its choices as they come."""

    def __init__(
        self, kind: Kind, asked: Asked, decision_id: str, created: int, count: int
    ) -> None:
        self._kind: Kind = kind
        self._asked = asked
        self._decision_id = decision_id
        self._created = created
        self._chunks: list[Chunks | None] = [None] * count
        self._outcomes: list[Outcome | None] = [None] * count

    @property
    def ended(self) -> bool:
        """Whether all choices have."""
        return None not in self._outcomes

    def item(self, index: int, item: Chunk | Outcome) -> bytes:
        """What one choice gives next; with the last one's end the stream's."""
        found, chunks = b"", self._chunks[index]
        if chunks is None:
            said = item.model if isinstance(item, Chunk) else model_of(item)
            chunks = self._chunks[index] = self._begun(said or self._asked.model, index)
            found = chunks.first()
        if not isinstance(item, Outcome):
            return found + chunks.chunk(item)
        self._outcomes[index] = item
        found += chunks.end(item)
        outcomes = [outcome for outcome in self._outcomes if outcome is not None]
        if len(outcomes) < len(self._outcomes):
            return found
        if self._asked.usage:
            whole = self._begun(_model(outcomes, self._asked))
            found += whole.counted(usage_of_all(outcomes))
        return found + DONE

    def broken(self, failure: Failure, router: Mapping[str, Any] | None) -> bytes:
        """Why there is no more of it."""
        return self._begun(self._asked.model).broken(failure, router)

    def _begun(self, model: str, index: int = 0) -> Chunks:
        usage = self._asked.usage
        return Chunks(self._kind, self._decision_id, self._created, model, usage=usage, index=index)


def usage_of_all(outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Tokens of all choices; each has read the prompt. None: of one they are not known."""
    each = [usage for outcome in outcomes if (usage := usage_of(outcome)) is not None]
    if len(each) < len(outcomes):
        return None
    found: dict[str, Any] = {name: sum(usage[name] for usage in each) for name in _COUNTS}
    for part, name in _DETAILS:
        if all(part in usage for usage in each):
            found[part] = {name: sum(usage[part][name] for usage in each)}
    return found


def router_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The `router` field of an answer of several decisions; they are in it, in order."""
    each = [router_field(outcome) for outcome in outcomes]
    first, cost = each[0], total_cost(outcome.cost_usd for outcome in outcomes)
    return {
        **first,
        **{name: _alike([one[name] for one in each]) for name in _ALIKE},
        "route": [*dict.fromkeys(target for one in each for target in one["route"])],
        "hops": sum(one["hops"] for one in each),
        "cost_usd": None if cost is None else format(cost, "f"),
        "flags": [*dict.fromkeys(flag for one in each for flag in one["flags"])],
        "total_s": max(one["total_s"] for one in each),
        "decisions": each,
    }


def headers_of(router: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The same in headers, as `failure.router_headers` has them."""
    policy = f"{router['policy']}@{router['policy_revision']}"
    found = [
        (b"x-firsthop-decision-id", router["decision_id"].encode()),
        (b"x-firsthop-policy", policy.encode("ascii", "replace")),
        (b"x-firsthop-route", ">".join(router["route"]).encode("ascii", "replace")),
        (b"x-firsthop-hops", str(router["hops"]).encode()),
    ]
    if router["certified"] is not None:
        found.append((b"x-firsthop-certified", b"true" if router["certified"] else b"false"))
    if router["cost_usd"] is not None:
        found.append((b"x-firsthop-cost-usd", router["cost_usd"].encode()))
    return found


def _alike(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _model(outcomes: Sequence[Outcome], asked: Asked) -> str:
    """The model that answered; where there were several, as it was asked for."""
    models = {model_of(outcome) for outcome in outcomes}
    return models.pop() if len(models) == 1 else asked.model
