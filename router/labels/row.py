"""One line of a labelled set, in either of its two shapes, and what is told of it in both. Pure.

The product's own shape has `prompt` (or `messages`), `draft` and `right`; recorded pairs of models
have `weak_output`, `weak_correct`, `strong_correct`, `peers` and so on. docs/confidence.md lists
all fields; others are passed over, as a file may say more than is needed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..signals.language import language_of
from ..signals.task import task_of
from ..types import Message, Request, TokenStat
from . import fields
from .fields import Bad

if TYPE_CHECKING:
    from ..layerstate import LayerState

_OUTCOMES = ("right", "good", "score", "weak_correct", "weak_score", "weak_agrees")
_STRONG = ("strong_right", "strong_correct", "strong_score")
_LEAST_OPTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What another model, or tier, made of the same prompt: how right, 0 to 1, at what dollars."""

    correct: float
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. What it does not tell is None, or empty.

    Attributes:
        right: How far the device's answer is good, 0 to 1; `strong_right` the same of the strong
            tier's, and `strong_tier` that tier's name.
        asked: What the user last said; `turns` all of it, where a conversation is told.
        draft: The device's whole answer, `recorded` where it comes from a recorded pair.
        answer: The draft's final answer, where it is known better than by looking; `well_formed`
            likewise.
        stats: Of the draft's tokens; empty, too, where one of them is not known, as then the
            draft's figures are not. `tells_tokens`: there was at least a list of them.
        opinions: Whether it brings `opinions`, which nothing reads.
        samples: Other answers of the device; `options` the scores of the question's options.
        cost_usd: Of the strong tier's call; `device_usd` of the device's own.
        tiers: How the tiers of a policy did, by their names.
        confidence: Worked out elsewhere, 0 to 1.
    """

    right: float
    strong_right: float | None = None
    strong_tier: str | None = None
    id: str | None = None
    asked: str | None = None
    turns: tuple[str, ...] | None = None
    draft: str | None = None
    recorded: bool = False
    answer: str | None = None
    well_formed: bool | None = None
    stats: tuple[TokenStat, ...] = ()
    tells_tokens: bool = False
    state: LayerState | None = None
    opinions: bool = False
    samples: tuple[str | None, ...] | None = None
    options: tuple[float, ...] | None = None
    task: str | None = None
    language: str | None = None
    cost_usd: float | None = None
    device_usd: float | None = None
    confidence: float | None = None
    model: str | None = None
    strong_model: str | None = None
    peers: Mapping[str, Peer] = field(default_factory=dict)
    tiers: Mapping[str, Peer] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its task; where none is told, a guess as on the street, as far as there is a text."""
        return _kind(self.task, self.asked)

    @property
    def beside(self) -> Mapping[str, Peer]:
        """Other models and tiers by their names, without the strong one where its name is told."""
        found = {**self.peers, **self.tiers}
        found.pop(self.strong_tier or "", None)
        return found

    @property
    def spoken(self) -> str:
        """The prompt's language; where none is told, as the street would tell it. Empty: it can't
        be told, or the draft is a recorded one."""
        if self.language is not None or self.draft is None or self.recorded:
            return self.language or ""
        return self.heard

    @property
    def heard(self) -> str:
        """The prompt's language as the street would tell it. Empty: it tells none."""
        if self.turns is not None:
            return spoken_in(self.turns) or ""
        return language_of(self.asked or "") or ""


def is_failed(found: Mapping[str, Any]) -> bool:
    """Whether it is a prompt of a work file that could not be judged, and what that cost."""
    return "failed" in found and "draft" not in found


def kind_of(found: Mapping[str, Any]) -> str:
    """A line's task before the rest of it is looked at; see `Row.kind`. Raises: Bad."""
    return _kind(_task(found), fields.asked(found))


def row_of(found: Mapping[str, Any]) -> Row:
    """One object as a row. Raises: Bad, which names the field."""
    own = fields.optional_text(found, "draft")
    other = fields.optional_text(found, "weak_output")
    answer = fields.text_or_number(found, "answer")
    form = fields.share(found, "weak_well_formed")
    cost = fields.number(found, "cost", least=0.0)
    strong_cost = fields.number(found, "strong_cost", least=0.0)
    told = fields.numbers(found, "logprobs", least=fields.LEAST_LOGPROB, most=0.0)
    recorded_answer = fields.text_or_number(found, "weak_answer")
    model, recorded_model = (fields.optional_text(found, name) for name in ("model", "weak_model"))
    return Row(
        right=_right(found),
        strong_right=_strong_right(found),
        strong_tier=fields.optional_text(found, "strong_tier"),
        id=fields.optional_text(found, "id"),
        asked=fields.asked(found),
        turns=fields.said(found),
        draft=own if own is not None else other,
        recorded=own is None and other is not None,
        answer=answer if answer is not None else recorded_answer,
        well_formed=None if form is None else bool(form),
        stats=_stats(found, told),
        tells_tokens=bool(told),
        state=fields.state(found, "state"),
        opinions=found.get("opinions") not in (None, [], {}),
        samples=fields.texts(found, "weak_samples"),
        options=_options(found),
        task=_task(found),
        language=_first(found, ("language", "lang")),
        cost_usd=cost if cost is not None else strong_cost,
        device_usd=fields.number(found, "weak_cost", least=0.0),
        confidence=fields.share(found, "confidence"),
        model=model or recorded_model,
        strong_model=fields.optional_text(found, "strong_model"),
        peers=_peers(found),
        tiers=_tiers(found),
    )


def spoken_in(turns: Sequence[str]) -> str | None:
    """The language of what a user said in a conversation, as the signal `prompt.language` has it.

    Args:
        turns: What the user said, the last thing last.
    """
    from ..signals.prompt import prompt_language

    messages = tuple(Message(role="user", content=turn) for turn in turns)
    return prompt_language(Request(messages=messages))


def _kind(task: str | None, asked: str | None) -> str:
    if task:
        return task
    return "no task told" if asked is None else task_of(asked)


def _task(found: Mapping[str, Any]) -> str | None:
    return _first(found, ("task", "dataset"))


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that is told."""
    values = [fields.optional_text(found, name) for name in names]
    return next((value for value in values if value is not None), None)


def _right(found: Mapping[str, Any]) -> float:
    values = [fields.share(found, name) for name in _OUTCOMES]
    for value in values:
        if value is not None:
            return value
    raise Bad("right", "is missing; it says whether the draft is good")


def _strong_right(found: Mapping[str, Any]) -> float | None:
    """Where the label is agreement with the strong tier, that tier is right."""
    values = [fields.share(found, name) for name in _STRONG]
    if found.get("weak_agrees") is not None:
        return 1.0
    return next((value for value in values if value is not None), None)


def _stats(found: Mapping[str, Any], logprobs: tuple[float | None, ...]) -> tuple[TokenStat, ...]:
    nothing = (None,) * len(logprobs)
    entropies = fields.numbers(found, "entropies", least=0.0)
    margins = fields.numbers(found, "margins", least=0.0)
    for name, values in (("entropies", entropies), ("margins", margins)):
        if values and logprobs and len(values) != len(logprobs):
            raise Bad(name, f"has {len(values)} numbers, and logprobs {len(logprobs)}")
    known = [value for value in logprobs if value is not None]
    if len(known) < len(logprobs):  # a token nobody knows of leaves the draft's figures unknown
        return ()
    return tuple(map(TokenStat, known, entropies or nothing, margins or nothing))


def _options(found: Mapping[str, Any]) -> tuple[float, ...] | None:
    scores = fields.numbers(found, "weak_logits")
    if found.get("weak_logits") is None:
        return None
    known = tuple(score for score in scores if score is not None)
    if len(known) < max(_LEAST_OPTIONS, len(scores)):
        raise Bad("weak_logits", "has to be a score for each of three options or more")
    return known


def _peers(found: Mapping[str, Any]) -> Mapping[str, Peer]:
    peers: dict[str, Peer] = {}
    for name, one in fields.objects(found, "peers").items():
        try:
            correct = fields.share(one, "correct")
            cost = fields.number(one, "cost", least=0.0)
        except Bad as exc:
            raise Bad(f"peers.{name}.{exc.field}", exc.problem) from exc
        if correct is None:
            raise Bad(f"peers.{name}.correct", "is missing")
        peers[name] = Peer(correct=correct, cost_usd=cost)
    return peers


def _tiers(found: Mapping[str, Any]) -> Mapping[str, Peer]:
    """``{"cheap": 1, "strong": {"right": 0.9, "cost": 0.004}}``; null says nothing of a tier."""
    tiers: dict[str, Peer] = {}
    for name, one in fields.mapping(found, "tiers", "scores").items():
        told = one if isinstance(one, dict) else {"right": one}
        place = f"tiers.{name}"
        try:
            right, cost = fields.share(told, "right"), fields.number(told, "cost", least=0.0)
        except Bad as exc:
            inside = f".{exc.field}" if told is one else ""
            raise Bad(f"{place}{inside}", exc.problem) from exc
        if right is not None:
            tiers[name] = Peer(correct=right, cost_usd=cost)
    return tiers
