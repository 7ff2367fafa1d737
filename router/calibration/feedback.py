"""The ledger's feedback as labelled drafts, and what of it can't be used, counted by its reason.

A label speaks of the answer that was given. So it says something of the device's draft only where
that draft was the answer: what was sent on says nothing, and labels of a device that keeps little
are of drafts that were sure. With the texts kept (`ledger.keep_text`) a row has all signals; without, only
the token probabilities that its policy asked for, and its task and language have to be recorded, as
what is promised is promised for tasks and languages.
"""  # noqa: E501

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..confidence.evidence import of_signals
from ..labels.row import spoken_in
from ..ledger.labels import LabelledRequest, labelled_requests
from ..signals.reading import last_user
from .labelled import Labelled, labelled

SOURCE = "ledger"


@dataclass(frozen=True, slots=True)
class Feedback:
    """Rows of the ledger, and how many could not be used, by the reason."""

    rows: tuple[Labelled, ...]
    left_out: Mapping[str, int]


def read_feedback(folder: Path, device: str, model: str) -> Feedback:
    """What people said of the device's answers.

    Args:
        device: Name of the device's target.
        model: Its model: drafts of another one say nothing of it.

    Raises:
        LedgerError: the ledger can't be read.
    """
    rows: list[Labelled] = []
    left_out: Counter[str] = Counter()
    for found in labelled_requests(folder):
        if found.target != device:
            left_out["answered by another target, so nothing is said of the draft"] += 1
        elif found.model != model:
            left_out[f"of another model, {found.model}"] += 1
        else:
            row = _row(found)
            if isinstance(row, Labelled):
                rows.append(row)
            else:
                left_out[row] += 1
    return Feedback(tuple(rows), dict(left_out))


def _row(found: LabelledRequest) -> Labelled | str:
    """A row, or why there is none."""
    scalars = of_signals(found.draft)
    task = found.tags.get("task") or _word(found, "prompt.task")
    language = _word(found, "prompt.language")
    if found.messages is not None and found.answer is not None:
        asked = last_user(found.messages)
        if language is None:
            said = [turn.content for turn in found.messages if turn.role == "user"]
            language = spoken_in(said) or ""
        made = labelled(
            asked, found.answer, found.right, task=task, language=language, source=SOURCE
        )
        return replace(made, signals={**made.signals, **scalars})
    if not scalars:
        return "without text, and without signals of the draft"
    if task is None or "prompt.language" not in found.signals:
        return "without text, and without its task or language (`record_signals: all` keeps them)"
    return Labelled(
        key=found.decision_id,
        right=found.right,
        signals=scalars,
        task=task,
        language=language or "",
        source=SOURCE,
    )


def _word(found: LabelledRequest, name: str) -> str | None:
    value = found.signals.get(name)
    return value if isinstance(value, str) else None
