"""What the shipped estimator says of the real device's drafts, each judged by a fit without it.

A fold holds whole subjects: no question about what a fit has seen is judged by that fit, whatever
its kind. All that is chosen or fitted (which signals, how, the read-out of the states and its
ridge) is so inside the rows of the fit, anew for each fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from device_cache import Draft, Drafts
from device_set import Question

from router.confidence.arrays import BoolArray, FloatArray, folds_of
from router.confidence.asked import ASKED, asked_features
from router.confidence.drafted import DRAFTED, drafted_features
from router.confidence.evidence import PROBE
from router.confidence.fitting import Recipe, fit
from router.confidence.measures import auroc
from router.confidence.probe import fit_probe
from router.confidence.tokens import TOKENS, token_features
from router.confidence.trees import Growth

FOLDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Drafts with their signals. All arrays have one row a draft.

    Attributes:
        rows: Signals of `names`; NaN is unknown.
        states: Mean state of the middle layer, shape (n, size); NaN where there is none.
        layer: Which one that is.
    """

    names: tuple[str, ...]
    rows: FloatArray
    states: FloatArray
    layer: int
    right: FloatArray
    kinds: tuple[str, ...]
    subjects: tuple[str, ...]

    def some(self, which: BoolArray) -> Labelled:
        at = np.flatnonzero(which)
        return replace(
            self,
            rows=self.rows[at],
            states=self.states[at],
            right=self.right[at],
            kinds=tuple(self.kinds[i] for i in at),
            subjects=tuple(self.subjects[i] for i in at),
        )


def labelled(questions: Sequence[Question], drafts: Drafts) -> Labelled:
    """Signals of every draft, by the shipped code."""
    names = (*TOKENS, *ASKED, *DRAFTED)
    made = [_signals(q, d) for q, d in zip(questions, drafts.each, strict=True)]
    return Labelled(
        names=names,
        rows=np.array([[signals.get(name, math.nan) for name in names] for signals in made]),
        states=drafts.states(),
        layer=drafts.layer or 0,
        right=np.array([float(draft.right) for draft in drafts.each]),
        kinds=tuple(question.kind for question in questions),
        subjects=tuple(question.subject for question in questions),
    )


def _signals(question: Question, draft: Draft) -> dict[str, float]:
    whole = draft.finish == "stop"
    answer = (0, max(1, len(draft.stats) - 1)) if whole else None
    return (
        token_features(draft.stats, answer)
        | asked_features(question.question)
        | drafted_features(question.question, draft.text)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to read a draft: which signals, and how they are fitted.

    Attributes:
        text: Whether the prompt's and the draft's text are read beside the tokens' probabilities.
        probe: Whether the middle layer's state is.
    """

    text: bool
    probe: bool
    recipe: Recipe


LINE = Recipe(growth=None)
BOTH = Recipe(growth=Growth(trees=200, rate=0.05))
WAYS = (
    Way(text=False, probe=False, recipe=LINE),
    Way(text=True, probe=True, recipe=LINE),
    Way(text=True, probe=True, recipe=BOTH),
)
STRANGE = Way(text=False, probe=True, recipe=LINE)
"""For kinds nobody has labelled: what is told by words and numbers of one kind misleads on others,
which the recorded sets' tasks had shown before."""


class Part:
    """Rows to fit on and rows to judge, with the probe that the former give for both.

    Args:
        keys: The probe's: rows of one key are on one side when it judges rows of the fit.
    """

    def __init__(self, train: Labelled, test: Labelled, keys: Sequence[str]) -> None:
        self.train, self.test = train, test
        there = np.isfinite(train.states).all(axis=1)
        some = [key for key, known in zip(keys, there, strict=True) if known]
        made = fit_probe(train.states[there], train.right[there], some, train.layer)
        if made is None:
            raise ValueError(f"{there.sum()} rows with a state are too few to fit a probe")
        self._seen = np.full(len(there), math.nan)
        self._seen[there] = made.crossed
        read = made.probe.line.logit(test.states)
        self._new = np.where(np.isfinite(test.states).all(axis=1), read, math.nan)

    def judge(self, way: Way, *, strange: bool = False) -> tuple[FloatArray, FloatArray]:
        """P(good) of the rows to judge, and of the others by fits that left their fold out.

        Args:
            strange: Whether the rows to judge are of no kind that is known.
        """
        train, test = self.train, self.test
        names = train.names if way.text else TOKENS
        columns = [train.names.index(name) for name in names]
        seen, new = train.rows[:, columns], test.rows[:, columns]
        if way.probe:
            names = (*names, PROBE)
            seen, new = np.column_stack([seen, self._seen]), np.column_stack([new, self._new])
        fitted = fit(seen, names, train.right, train.kinds, train.subjects, way.recipe)
        buckets = [None] * len(test.kinds) if strange else list(test.kinds)
        return fitted.estimator.probabilities(new, buckets), fitted.crossed


def known(data: Labelled, ways: Sequence[Way] = WAYS) -> FloatArray:
    """P(good) of each draft, its kind known to the fit and its subject not. Shape (n,).

    Each fold is judged by the way that sorts the others best, pooled and within kinds, when these
    are crossed among themselves.
    """
    fold, good = folds_of(list(data.subjects), FOLDS), np.zeros(len(data.right))
    for place in range(FOLDS):
        train = data.some(fold != place)
        part = Part(train, data.some(fold == place), train.subjects)
        told = [part.judge(way) for way in ways]
        worth = [
            auroc(crossed, train.right) + within(crossed, train.right, train.kinds)
            for _, crossed in told
        ]
        good[fold == place] = told[int(np.argmax(worth))][0]
    return good


def unseen(data: Labelled, way: Way = STRANGE) -> FloatArray:
    """P(good) of each draft by a fit that never saw its kind."""
    good, kinds = np.zeros(len(data.right)), np.array(data.kinds)
    for kind in sorted(set(data.kinds)):
        out = kinds == kind
        train = data.some(~out)
        good[out] = Part(train, data.some(out), train.kinds).judge(way, strange=True)[0]
    return good


def within(score: FloatArray, right: FloatArray, kinds: Sequence[str]) -> float:
    """Mean over kinds of the AUROC within each; kinds all right or all wrong are left out."""
    names = np.array(kinds)
    each = [auroc(score[names == kind], right[names == kind]) for kind in sorted(set(kinds))]
    return float(np.nanmean(each))
