"""The recorded sets that `quality.py` reads, and each row's signals by the shipped code."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from router.confidence.agreement import AGREED, SAMPLED, sample_features, vote_features
from router.confidence.arrays import FloatArray
from router.confidence.asked import ASKED, asked_features
from router.confidence.drafted import DRAFTED, drafted_features
from router.confidence.options import OPTIONED, option_features

Row = dict[str, Any]

CLOUD = frozenset(
    (
        "gpt-4o-2024-08-06",
        "gpt-4o-mini-2024-07-18",
        "Meta-Llama-3.1-70B-Instruct",
        "Mistral-Large-2",
        "gemini-1.5-pro-002",
    )
)
"""Peers that are cloud tiers; all others are small models that could vote."""


class Sets:
    """Rows of `train` and of one other split, with their signals kept once made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signals: dict[tuple[str, str], Mapping[str, float]] = {}

    def load(self, name: str, split: str) -> list[Row]:
        path = self._folder / f"{name}.{split}.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def signals(self, row: Row, names: str = "draft") -> Mapping[str, float]:
        """Signals of one row. `names` says which: asked, draft, votes, samples or options."""
        key = (names, row["id"])
        if key not in self._signals:
            self._signals[key] = _MAKERS[names](row)
        return self._signals[key]

    def rows(self, rows: list[Row], *kinds: str) -> FloatArray:
        """Signals of many rows as an array, in the order of `names_of`."""
        names = names_of(*kinds)
        made = [
            [signals.get(name, math.nan) for name in names]
            for signals in (
                {k: v for kind in kinds for k, v in self.signals(row, kind).items()} for row in rows
            )
        ]
        return np.array(made, dtype=np.float64).reshape(len(rows), len(names))


def names_of(*kinds: str) -> tuple[str, ...]:
    """The signals' names of the kinds asked for."""
    return tuple(name for kind in kinds for name in _NAMES[kind])


def column(rows: list[Row], name: str) -> FloatArray:
    """One recorded figure of each row."""
    return np.array([float(row[name]) for row in rows])


def tasks(rows: list[Row]) -> list[str]:
    return [row["dataset"] for row in rows]


def prompts(rows: list[Row]) -> list[str]:
    return [row.get("prompt") or row["id"] for row in rows]


def answer_of(row: Row) -> str | None:
    return None if row.get("weak_answer") is None else str(row["weak_answer"])


def small_votes(row: Row) -> dict[str, str | None]:
    """Final answers of the small models that were asked the same."""
    return {
        model: None if said["answer"] is None else str(said["answer"])
        for model, said in row["peers"].items()
        if model not in CLOUD
    }


def strong_share(row: Row) -> float:
    """Share of right answers among the strong tier (counted twice) and the other clouds.

    A label for fitting only: several strong models say with less chance what a question takes.
    """
    others = [said["correct"] for model, said in row["peers"].items() if model in CLOUD]
    return (2 * float(row["strong_correct"]) + sum(others)) / (2 + len(others))


def _draft(row: Row) -> dict[str, float]:
    form = row.get("weak_well_formed")
    return asked_features(row["prompt"], row.get("lang")) | drafted_features(
        row["prompt"],
        row.get("weak_output") or "",
        answer_of(row),
        well_formed=None if form is None else bool(form),
        language=row.get("lang"),
    )


def _samples(row: Row) -> dict[str, float]:
    samples = row["weak_samples"]
    return (
        asked_features(row["prompt"])
        | drafted_features(row["prompt"], samples[0], samples[0])
        | sample_features(samples)
    )


_VOTERS = (
    "Meta-Llama-3.1-8B-Instruct",
    "Phi-3-mini-4k-instruct",
    "gemma-2-2b-it",
    "Qwen2-7B-Instruct",
    "Qwen2.5-3B-Instruct",
    "Mistral-7B-Instruct-v0.2",
    "gemma-7b",
)
_MAKERS = {
    "asked": lambda row: asked_features(row["prompt"]),
    "draft": _draft,
    "votes": lambda row: vote_features(answer_of(row), small_votes(row), _VOTERS),
    "samples": _samples,
    "options": lambda row: option_features(row["weak_logits"]),
}
_NAMES = {
    "asked": ASKED,
    "draft": ASKED + DRAFTED,
    "votes": AGREED + tuple(f"vote.{model}" for model in _VOTERS),
    "samples": ASKED + DRAFTED + SAMPLED,
    "options": OPTIONED,
}
