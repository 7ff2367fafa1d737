"""Labelled drafts out of a file: its rows as a calibration takes them, its bad lines in words.

The file is the one that `firsthop eval` takes, read by the same reader (`labels`); here a line
needs a prompt and a draft too, as what is fitted is read from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..labels.lines import read_rows
from ..labels.row import Row
from .labelled import Labelled, labelled


@dataclass(frozen=True, slots=True)
class Read:
    """A file's rows, and its bad lines, each in a sentence with line and field.

    Attributes:
        opinions: How many rows bring other answers to the question (`opinions`, `weak_samples`).
    """

    rows: tuple[Labelled, ...]
    bad: tuple[str, ...]
    opinions: int = 0


def read_labelled(path: Path) -> Read:
    """Every line of the file: a row, or a complaint.

    Raises:
        ConfigError: the file can't be read.
    """
    rows: list[Labelled] = []
    bad: list[str] = []
    opinions = 0
    for found in read_rows(path, drafted=True):
        if isinstance(found, ConfigError):
            bad.append(str(found))
        else:
            rows.append(_row(found, str(path)))
            opinions += found.opinions or bool(found.samples)
    return Read(tuple(rows), tuple(bad), opinions)


def _row(row: Row, source: str) -> Labelled:
    """As on the street: task and language guessed where they are not told, of a conversation by
    all that the user said."""
    language = row.language
    if language is None and row.turns is not None:
        language = row.heard
    return labelled(
        row.asked or "",
        row.draft or "",
        row.right,
        stats=row.stats,
        task=row.kind,
        language=language,
        strong_right=row.strong_right,
        cost_usd=row.cost_usd,
        source=source,
        state=row.state,
        tiers={name: told.correct for name, told in row.tiers.items()},
        tier_usd={
            name: told.cost_usd for name, told in row.tiers.items() if told.cost_usd is not None
        },
        strong_tier=row.strong_tier,
    )
