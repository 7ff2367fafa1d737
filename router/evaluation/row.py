"""One line of a labelled set, in either of its two shapes, and what is told of it in both.

The product's own has ``prompt``, ``draft``, ``right`` and so on; recorded pairs of models have
``weak_output``, ``weak_correct``, ``strong_correct``, ``peers`` and so on.
"""

from __future__ import annotations

import msgspec

from ..signals.language import language_of
from ..signals.task import task_of

Score = float | bool


class Peer(msgspec.Struct, frozen=True):
    """What another model made of the same prompt."""

    correct: Score
    cost: float | None = None


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: str
    content: str | None = None


class State(msgspec.Struct, frozen=True):
    """A middle layer's state while the draft was written. See `confidence.statefield`."""

    layer: int
    mean: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line. Fields it does not name are passed over.

    `right` is the device's outcome, 0 to 1; `cost` the dollars of the strong tier's call.
    """

    id: str | None = None
    prompt: str | None = None
    draft: str | None = None
    answer: str | float | None = None
    messages: list[Turn] | None = None
    logprobs: list[float | None] | None = None
    entropies: list[float | None] | None = None
    margins: list[float | None] | None = None
    state: State | None = None
    right: Score | None = None
    good: Score | None = None
    score: Score | None = None
    strong_right: Score | None = None
    task: str | None = None
    language: str | None = None
    cost: float | None = None
    confidence: float | None = None
    model: str | None = None
    strong_model: str | None = None

    dataset: str | None = None
    lang: str | None = None
    weak_model: str | None = None
    weak_output: str | None = None
    weak_answer: str | float | None = None
    weak_well_formed: Score | None = None
    weak_correct: Score | None = None
    weak_score: Score | None = None
    weak_agrees: Score | None = None
    weak_samples: list[str | None] | None = None
    weak_logits: list[float] | None = None
    weak_cost: float | None = None
    strong_correct: Score | None = None
    strong_score: Score | None = None
    strong_cost: float | None = None
    peers: dict[str, Peer] = {}

    @property
    def outcome(self) -> tuple[str, Score | None]:
        """The device's outcome, with the name of its field."""
        return _first(self, ("right", "good", "score", "weak_correct", "weak_score", "weak_agrees"))

    @property
    def asked(self) -> str | None:
        """What the user last said. None: that isn't told."""
        if self.messages is None:
            return self.prompt
        said = [turn.content for turn in self.messages if turn.role == "user"]
        return said[-1] if said else None

    @property
    def strong_outcome(self) -> tuple[str, Score | None]:
        """The strong tier's, likewise. Where the label is agreement with it, it is right."""
        if self.weak_agrees is not None:
            return "weak_agrees", 1.0
        return _first(self, ("strong_right", "strong_correct", "strong_score"))

    @property
    def kind(self) -> str:
        """Its task; where none is told, a guess as on the street, as far as there is a text."""
        told = self.task or self.dataset
        if told is not None:
            return told
        return "no task told" if self.asked is None else task_of(self.asked)

    @property
    def spoken(self) -> str:
        """The prompt's language; where none is told, as the detector has it. Empty: can't tell."""
        told = self.language if self.language is not None else self.lang
        if told is not None or self.draft is None or self.asked is None:
            return told or ""
        return language_of(self.asked) or ""


def _first(row: Row, names: tuple[str, ...]) -> tuple[str, Score | None]:
    """The first of the fields that is there."""
    for name in names:
        value: Score | None = getattr(row, name)
        if value is not None:
            return name, value
    return names[0], None
