"""What is asked about a draft, and what of it agrees: samples, second answers, P(True). Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..confidence.whole import agrees
from ..policy.opinions import AGREEMENT, P_TRUE, SAMPLES, SECOND
from ..signals.catalogue import Value
from ..types import Ask, Completion, Message, ToolCall

TOP = 20
"""Likeliest first tokens of the self-check that are looked through for a yes and a no."""
_READ = 20_000
"""Characters of an answer's end that are compared: some milliseconds, however long it is."""
_QUESTION = (
    "Is the answer before this message right? Judge it by what was asked. Reply with one word, "
    "yes or no."
)


@dataclass(frozen=True, slots=True)
class Said:
    """One opinion that came.

    Attributes:
        signal: What it was asked for: `SAMPLES`, `SECOND` or `P_TRUE`.
    """

    signal: str
    answer: Completion


def sample(ask: Ask, number: int, temperature: float, most: int) -> Ask:
    """The same question once more, its tokens drawn at a temperature; same prompt, other seed.

    Args:
        number: 1 for the first; with the caller's seed it makes the sample's.
        most: Tokens it may have.
    """
    return replace(
        ask,
        temperature=temperature,
        seed=(ask.seed or 0) + number,
        max_output_tokens=most,
        logprobs=None,
        states=False,
    )


def self_check(ask: Ask, draft: str) -> Ask:
    """Whether the draft is right, asked of its own model: one token, and what else was likely."""
    messages = (
        *ask.messages,
        Message(role="assistant", content=draft),
        Message(role="user", content=_QUESTION),
    )
    return Ask(
        attempt_id="",
        messages=messages,
        max_output_tokens=1,
        temperature=0.0,
        logprobs=TOP,
        tenant=ask.tenant,
    )


def signals_of(draft: Completion, said: Sequence[Said], wanted: Iterable[str]) -> dict[str, Value]:
    """The wanted signals, over the opinions that came. None, for unknown, where none did."""
    votes = [(one.signal, agree(draft, one.answer)) for one in said if one.signal != P_TRUE]
    samples = [yes for signal, yes in votes if signal == SAMPLES]
    second = [yes for signal, yes in votes if signal == SECOND]
    checks = [one.answer for one in said if one.signal == P_TRUE]
    found: dict[str, Value] = {
        AGREEMENT: _share([yes for _, yes in votes]),
        SAMPLES: _share(samples),
        SECOND: second[0] if second else None,
        P_TRUE: _p_true(checks[0]) if checks else None,
    }
    return {name: found[name] for name in sorted(wanted)}


def _share(votes: Sequence[bool]) -> float | None:
    return sum(votes) / len(votes) if votes else None


def agree(draft: Completion, other: Completion) -> bool:
    """Whether another answer says the same as a draft.

    One that was cut, where the draft was not, gives no answer: it came, and does not agree.
    """
    if other.finish == "length" != draft.finish or other.finish == "content_filter":
        return False
    if draft.tool_calls or other.tool_calls:
        return _calls(draft.tool_calls) == _calls(other.tool_calls)
    return bool(other.text.strip()) and agrees(draft.text[-_READ:], other.text[-_READ:])


def _calls(calls: Sequence[ToolCall]) -> list[tuple[str, object]]:
    return [(call.name, _plain(call.arguments)) for call in calls]


def _plain(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _p_true(answer: Completion) -> float | None:
    """Probability of a yes among the yes and the no. None: neither is among the likeliest.

    Source: Kadavath et al., "Language Models (Mostly) Know What They Know", 2022, section 4.
    """
    if not answer.logprobs:
        return None
    first = answer.logprobs[0]
    found = {(one.token, one.logprob) for one in (first, *first.top)}
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in found:
        word = token.strip().strip(".,!\"'*").casefold()
        if word in mass and math.isfinite(logprob):
            mass[word] += math.exp(logprob)
    both = mass["yes"] + mass["no"]
    return mass["yes"] / both if both > 0 else None
