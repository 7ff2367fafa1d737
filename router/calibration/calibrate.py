"""Labelled drafts and a goal to a calibration, or to why there is none. Pure: the same rows, the
same result.

The estimator is fitted on one part of the rows; every promise is tested on another (`parts`). The
pooled bar comes first: without it there is no calibration. Each task and each language is then
tested as a promise of its own, at the same loss and confidence; what is refused there is said and
stops nothing, as the pooled bar holds for it. Where labels bring a layer's state, a probe of it is
fitted on the fit's part alone (`probing`), and the certificate's rows are read by it as the street
reads a draft.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..confidence.arrays import BoolArray, FloatArray, IntArray
from ..confidence.early import EarlyBars, certify_aborts, certify_commits, running_means
from ..confidence.estimator import Estimator, to_rows
from ..confidence.evidence import EVIDENCE, PROBE
from ..confidence.fitting import Recipe, fit
from ..confidence.goals import of_quality, within_spend
from ..confidence.guarantee import Certificate, Promise, Refused, certify, labels_needed
from ..confidence.probe import Probe
from ..confidence.stored import Binding, Calibration, Counts
from .goal import FIRST_KEPT, LEAST, STRICTEST, Goal, in_words, least_tested, outlook
from .labelled import GOOD, Labelled
from .made import Judged, Made, keeps
from .parts import Parts, once, part, share_tested
from .probing import ProbeWorth, probed, worth
from .tiers import all_gains, strong_gains, worths

_FOREST_FROM = 300
"""Rows of the fit below which the line stands alone."""
_NO_QUALITY = (
    "No label says that the strong tier was right, so no share of its quality can be promised."
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of every row once the estimator is there."""

    low: FloatArray
    chance: FloatArray
    lost: FloatArray
    strong: FloatArray  # 1: known to be right. Unknown counts for a loss, and not for quality.


def calibrate(
    rows: Sequence[Labelled],
    goal: Goal,
    binding: Binding,
    *,
    made_at: float,
    valid_until: float | None = None,
) -> Made:
    """Fit, and certify what can be.

    Args:
        made_at: Seconds since 1970-01-01 UTC; likewise `valid_until`.
    """
    parts, repeated = once(rows, part(rows, early=goal.early))
    good = np.array([row.good for row in rows])
    if not _fittable(rows, parts):
        return Made(pooled=_too_few(rows, good, goal), repeated=repeated)
    rows, probe = probed(rows, parts.fit)
    some = [rows[at] for at in parts.fit]
    estimator = _fitted(some, (*EVIDENCE, PROBE))
    seen = _see(estimator, rows)
    adds = None if probe is None else _added(probe, rows, parts, seen)
    pooled, promise = _pooled(seen, parts.test, goal)
    judged = tuple(
        Judged(row=rows[at], probability=float(seen.chance[at]), low=float(seen.low[at]))
        for at in parts.test
    )
    if isinstance(pooled, Refused):
        return Made(pooled=_for_all(pooled, goal), judged=judged, repeated=repeated, probe=adds)
    tasks = _by(rows, parts.test, lambda row: row.task, seen, promise, goal)
    languages = _by(rows, parts.test, lambda row: row.language, seen, promise, goal)
    calibration = Calibration(
        binding=binding,
        estimator=estimator,
        promise=promise,
        certificate=pooled,
        goal=goal.kind,
        says=in_words(goal),
        tasks={name: one for name, one in tasks.items() if isinstance(one, Certificate)},
        languages={name: one for name, one in languages.items() if isinstance(one, Certificate)},
        counts=_counts(rows, parts),
        made_at=made_at,
        valid_until=valid_until,
        probe=probe,
        look=goal.look,
        gains=strong_gains(some),
        tiers=all_gains(some),
    )
    aborts = None
    if goal.early:
        early, aborts = _early(rows, parts, seen, calibration, promise, goal)
        calibration = replace(calibration, early=early)
    return Made(
        pooled=pooled,
        calibration=calibration,
        tasks=tasks,
        languages=languages,
        aborts=aborts,
        judged=judged,
        repeated=repeated,
        probe=adds,
        tiers=worths(some, calibration.tiers, [one.probability for one in judged]),
    )


def may_pass(rows: Sequence[Labelled], goal: Goal) -> bool:
    """Whether so many labels could certify the goal if they said the best. A test that couldn't
    pass can't mislead, so it is no look."""
    parts, _ = once(rows, part(rows, early=goal.early))
    return _fittable(rows, parts) and _counts_as_look(goal, parts.test)


def _fittable(rows: Sequence[Labelled], parts: Parts) -> bool:
    known = [rows[at].good for at in parts.fit]
    return len(rows) >= LEAST and 0 < sum(known) < len(known)


def _counts_as_look(goal: Goal, test: IntArray) -> bool:
    least = least_tested(goal)
    return least is not None and len(test) >= least


def _again(goal: Goal, test: IntArray) -> float:
    """The confidence that the next look will be tested at."""
    return replace(goal, look=goal.look + _counts_as_look(goal, test)).tested


def _fitted(rows: Sequence[Labelled], read: Sequence[str]) -> Estimator:
    """An estimator over those of the signals that any of these rows has."""
    signals = [row.signals for row in rows]
    names = [name for name in read if any(_known(row, name) for row in signals)]
    recipe = Recipe() if len(rows) >= _FOREST_FROM else Recipe(growth=None)
    return fit(
        to_rows(signals, names),
        names,
        np.array([row.good for row in rows]),
        [row.task for row in rows],
        [row.key for row in rows],
        recipe,
    ).estimator


def _added(probe: Probe, rows: Sequence[Labelled], parts: Parts, seen: _Seen) -> ProbeWorth | None:
    """What the probe adds to the same fit without it, on the certificate's rows. None: no rows."""
    test = parts.test
    if not len(test):
        return None
    plain = _fitted([rows[at] for at in parts.fit], EVIDENCE)
    without = _see(plain, [rows[at] for at in test]).chance
    return worth(probe, rows, parts.fit, test, seen.chance[test], without)


def _counts(rows: Sequence[Labelled], parts: Parts) -> Counts:
    return Counts(
        labels=len(rows),
        fitted=len(parts.fit),
        certified=len(parts.test),
        early=len(parts.early),
        tasks=Counter(row.task for row in rows),
        languages=Counter(row.language for row in rows),
    )


def _known(signals: Mapping[str, float], name: str) -> bool:
    return math.isfinite(signals.get(name, math.nan))


def _see(estimator: Estimator, rows: Sequence[Labelled]) -> _Seen:
    values = to_rows([row.signals for row in rows], estimator.names)
    tasks = [row.task for row in rows]
    low = estimator.lows(values, tasks)
    # Nothing is promised of a task that the fit has not seen, so no bar may keep its drafts.
    low[~np.isin(tasks, estimator.buckets)] = -np.inf
    strong = [float(row.strong_right is not None and row.strong_right >= GOOD) for row in rows]
    return _Seen(
        low=low,
        chance=estimator.probabilities(values, tasks),
        lost=np.array([row.lost for row in rows]),
        strong=np.array(strong),
    )


def _pooled(seen: _Seen, test: IntArray, goal: Goal) -> tuple[Certificate | Refused, Promise]:
    """The verdict on all, and the promise as `guarantee` knows it."""
    low, lost, again = seen.low[test], seen.lost[test], _again(goal, test)
    promise = Promise(loss=goal.amount, confidence=goal.tested, per=goal.per)
    if goal.kind == "spend":
        return within_spend(low, lost, goal.amount, goal.tested, again), promise
    if goal.kind == "quality":
        if not seen.strong[test].any():
            return Refused(reason=_NO_QUALITY, labels=len(test), more_labels=None), promise
        found, bound = of_quality(low, lost, seen.strong[test], goal.amount, goal.tested, again)
        return found, Promise(loss=bound, confidence=(1 + goal.tested) / 2)
    return _certify(low, lost, promise, again), promise


def _certify(
    low: FloatArray, lost: FloatArray, promise: Promise, again: float
) -> Certificate | Refused:
    """The first bar keeps as many drafts as it takes to tell; of all requests, 1 in 20 do.

    Where the sequence begins hangs on the number of labels alone, never on what they say.
    """
    least = STRICTEST
    if promise.per == "kept" and len(low):
        some = labels_needed(promise.loss / 3, promise) or len(low)
        least = min(FIRST_KEPT, max(least, some / len(low)))
    return certify(low, lost, promise, least_kept=least, again=again)


def _by(
    rows: Sequence[Labelled],
    test: IntArray,
    name_of: Callable[[Labelled], str],
    seen: _Seen,
    promise: Promise,
    goal: Goal,
) -> dict[str, Certificate | Refused]:
    """Each task, or language, as a promise on losses of its own. One that is all is not repeated.

    What a spend promises is of all requests, so there is nothing to promise of a part.
    """
    if goal.kind == "spend" or not goal.each:
        return {}
    names = np.array([name_of(rows[at]) for at in test])
    again = _again(goal, test)
    if goal.kind == "quality":
        again = (1 + again) / 2
    found: dict[str, Certificate | Refused] = {}
    for name in sorted(set(names.tolist()) - {""}):
        own = test[names == name]
        if len(own) < len(test):
            verdict = _certify(seen.low[own], seen.lost[own], promise, again)
            found[name] = verdict if isinstance(verdict, Certificate) else _for_all(verdict, goal)
    return found


def _early(
    rows: Sequence[Labelled],
    parts: Parts,
    seen: _Seen,
    file: Calibration,
    promise: Promise,
    goal: Goal,
) -> tuple[EarlyBars, Refused | None]:
    """Bars for beginnings, ordered by the fit's rows and tested on rows of their own."""
    fit, test = parts.fit, parts.early
    means = running_means([row.logprobs for row in rows])
    kept: BoolArray = np.array(
        [
            keeps(file, row.task, row.language, low)
            for row, low in zip(rows, seen.low.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    told = np.array([bool(rows[at].logprobs) for at in test], dtype=np.bool_)
    test = test[told]
    aborts = certify_aborts(means[fit][kept[fit]], means[test], kept[test], goal.tested)
    commits = (
        certify_commits(means[fit], means[test], kept[test], seen.lost[test], promise)
        if goal.kind != "spend"
        else ()
    )
    if isinstance(aborts, Refused):
        return EarlyBars(commits=commits), _for_all(aborts, goal)
    return EarlyBars(aborts=aborts, commits=commits), None


def _for_all(refused: Refused, goal: Goal) -> Refused:
    """A refusal over the tested part, with how many labels of all would do."""
    if refused.more_labels is None:
        return refused
    more = math.ceil(refused.more_labels / share_tested(early=goal.early))
    return Refused(reason=refused.reason, labels=refused.labels, more_labels=more)


def _too_few(rows: Sequence[Labelled], good: FloatArray, goal: Goal) -> Refused:
    """Nothing can be fitted on so few labels, or on labels that all say the same."""
    total = len(rows)
    if total < LEAST:
        reason = f"There are {total} labels that can be used, and {LEAST} is the least to fit on."
        needed = outlook(rows, goal)[0] or LEAST
        return Refused(reason=reason, labels=total, more_labels=max(1, needed - total))
    word = "good" if good.sum() else "not good"
    reason = f"Every label to fit on says {word}, so there is nothing to tell apart."
    return Refused(reason=reason, labels=total, more_labels=None)
