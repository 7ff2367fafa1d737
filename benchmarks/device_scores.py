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
from router.confidence.fitting import Recipe, fit
from router.confidence.measures import auroc
from router.confidence.tokens import TOKENS, token_features
from router.confidence.trees import Growth

FOLDS = 5
PROBE = "draft.probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Drafts with their signals. All arrays have one row a draft.

    Attributes:
        rows: Signals of `names`; NaN is unknown.
        states: Mean state of the middle layer, shape (n, size).
    """

    names: tuple[str, ...]
    rows: FloatArray
    states: FloatArray
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
        ridge: Of the read-out of the middle layer's state. None: it is not read.
    """

    text: bool
    ridge: float | None
    recipe: Recipe


LINE = Recipe(growth=None)
BOTH = Recipe(growth=Growth(trees=120, rate=0.05))
WAYS = (
    Way(text=False, ridge=None, recipe=LINE),
    Way(text=True, ridge=None, recipe=BOTH),
    Way(text=False, ridge=300.0, recipe=LINE),
    Way(text=True, ridge=300.0, recipe=LINE),
    Way(text=True, ridge=300.0, recipe=BOTH),
)


def known(data: Labelled, ways: Sequence[Way] = WAYS, turn: int = 0) -> FloatArray:
    """P(good) of each draft, its kind known to the fit and its subject not. Shape (n,)."""
    fold, good = folds_of(list(data.subjects), FOLDS, turn), np.zeros(len(data.right))
    for part in range(FOLDS):
        train, test = data.some(fold != part), data.some(fold == part)
        good[fold == part] = _best(train, ways, test)
    return good


def unseen(data: Labelled, way: Way) -> FloatArray:
    """P(good) of each draft by a fit that never saw its kind."""
    good, kinds = np.zeros(len(data.right)), np.array(data.kinds)
    for kind in sorted(set(data.kinds)):
        out = kinds == kind
        train = data.some(~out & ~np.isin(data.subjects, np.array(data.subjects)[out]))
        good[out] = judge(train, data.some(out), way, strange=True)[0]
    return good


def judge(
    train: Labelled, test: Labelled, way: Way, *, strange: bool = False
) -> tuple[FloatArray, FloatArray]:
    """P(good) of `test`'s drafts, and of `train`'s by fits that left their fold out.

    Args:
        strange: Whether the kinds of `test` are to be judged as of no kind that is known.
    """
    seen, new, names = _rows(train, test, way, train.kinds if strange else train.subjects)
    fitted = fit(seen, names, train.right, train.kinds, train.subjects, way.recipe)
    buckets = [None] * len(test.kinds) if strange else list(test.kinds)
    return fitted.estimator.probabilities(new, buckets), fitted.crossed


def within(score: FloatArray, right: FloatArray, kinds: Sequence[str]) -> float:
    """Mean over kinds of the AUROC within each; kinds all right or all wrong are left out."""
    each, names = [], np.array(kinds)
    for kind in sorted(set(kinds)):
        at = names == kind
        each.append(auroc(score[at], right[at]))
    return float(np.nanmean(each))


def _best(train: Labelled, ways: Sequence[Way], test: Labelled) -> FloatArray:
    """`test` by the way that sorts `train` best, pooled and within kinds, when folds are crossed."""
    told = [judge(train, test, way) for way in ways]
    worth = [
        auroc(crossed, train.right) + within(crossed, train.right, train.kinds)
        for _, crossed in told
    ]
    return told[int(np.argmax(worth))][0]
