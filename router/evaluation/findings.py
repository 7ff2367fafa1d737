"""Everything that is found out about a judged set: what the terminal, JSON and the report show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..confidence.arrays import FloatArray
from ..confidence.gain import TierWorth
from ..confidence.guarantee import Certificate, Promise, upper_bound
from .compare import Change
from .curves import (
    BreakEven,
    Curve,
    Point,
    at_bar,
    break_even,
    cascade,
    cascades,
    cheapest_bar,
    mixture,
    oracle,
    references,
)
from .judged import Judged
from .looks import (
    Coverage,
    Group,
    Reliability,
    Without,
    Worth,
    coverage,
    groups,
    reliability,
    worths,
)
from .measured import WANTED, Figure, figures
from .resample import RESAMPLES, Interval, resamples

_GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Where drafts begin to be kept.

    Attributes:
        value: Keep a draft of at least this confidence.
        chosen: By whom, in a few words.
        here: Whether it was picked on the very rows it is judged on, which flatters it.
        promise: The loss that was certified of it elsewhere. None: nothing was, or another thing.
        says: What was certified, in words. Empty: nothing was, or `promise` says it.
        most_loss: Exact upper bound, at the promise's confidence or 90 %, of the loss on these
            rows, as the promise counts it. None: no stronger tier was judged.
    """

    value: float
    chosen: str
    here: bool
    promise: Promise | None
    says: str
    most_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Cost against quality.

    Attributes:
        rows: Of which every tier was judged.
        priced: Spend is in dollars; else in calls of the strong tier.
        strong: That tier's name, and `strong_usd` its mean dollars a request, where known.
        curves: A cascade to each stronger tier, the strong one last.
        band: For the last of them: spend, and the 90 % interval of quality there.
        always: Each tier asked always, weak to strong.
        mix: Spend and quality of the corners of blind mixtures.
        oracle: Who knows beforehand.
        chosen: The bar with each stronger tier behind it, the strong one last; empty without a bar.
        chosen_spend: Interval of the last one's spend; `chosen_quality` of its quality.
        breaks: Where a cascade stops saving.
    """

    rows: int
    priced: bool
    strong: str
    strong_usd: float | None
    curves: tuple[Curve, ...]
    band: tuple[FloatArray, FloatArray, FloatArray]
    always: tuple[Point, ...]
    mix: tuple[FloatArray, FloatArray]
    oracle: Point
    chosen: tuple[Point, ...]
    chosen_spend: Interval | None
    chosen_quality: Interval | None
    breaks: BreakEven


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found.

    Attributes:
        name: Of the set; `source` of the confidence; `rows` judged.
        device: Its name.
        notes: What a reader has to know, a sentence each.
        raw: Reliability and coverage of one raw signal. None: there is none.
        routing: None: no stronger tier was judged, or it is no better than the device.
        tiers: What each stronger tier adds to the usual draft; empty where no labels tell.
        changes: Against another confidence on the same rows; `other` names it.
    """

    name: str
    source: str
    rows: int
    device: str
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]
    bar: Bar | None
    calibrated: Reliability
    raw: Reliability | None
    covered: tuple[Coverage, ...]
    routing: Routing | None
    signals: tuple[Worth, ...]
    tasks: tuple[Group, ...]
    languages: tuple[Group, ...]
    tiers: tuple[TierWorth, ...] = ()
    other: str = ""
    changes: tuple[Change, ...] = ()

    def figure(self, name: str) -> Figure | None:
        """One of `figures`. None: it can't be told of these rows."""
        return next((one for one in self.figures if one.name == name), None)


def find(
    judged: Judged,
    *,
    bar: float | None = None,
    chosen: str = "given",
    certificate: Certificate | None = None,
    promise: Promise | None = None,
    says: str = "",
    without: Without | None = None,
    notes: tuple[str, ...] = (),
    tiers: tuple[TierWorth, ...] = (),
    times: int = RESAMPLES,
) -> Findings:
    """Judge a set.

    Args:
        bar: Keep a draft of at least this confidence. None: the certificate's; without one, the
            cheapest that has 95 % of the strong tier's quality on these rows.
        chosen: By whom `bar` was chosen.
        certificate: What was certified on other rows, with its `promise` where that is of a loss;
            `says` it in words where it is not.
        without: What the confidence is when a signal is unknown.
        tiers: What each stronger tier adds, counted elsewhere.
        times: How many resampled sets an interval is made of.

    Raises:
        ValueError: There are no rows.
    """
    if not len(judged):
        raise ValueError("there is nothing to judge")
    held = _bar(judged, bar, chosen, certificate, promise, says)
    value = None if held is None else held.value
    told = figures(judged, value, times)
    good = judged.good
    raw = judged.raw
    surest = [coverage("confidence", judged.confidence, good)]
    if raw is not None:
        surest.append(coverage(judged.raw_name, raw, good))
    surest.append(coverage("perfect order", good, good))
    return Findings(
        name=judged.name,
        source=judged.source,
        rows=len(judged),
        device=judged.device.name,
        notes=notes,
        figures=told,
        bar=held,
        calibrated=reliability("confidence", judged.confidence, good),
        raw=None if raw is None else reliability(judged.raw_name, raw, good),
        covered=tuple(surest),
        routing=_routing(judged, value, told, times),
        signals=worths(judged, without),
        tiers=tiers,
        tasks=groups(judged, judged.tasks, value),
        languages=groups(judged, [word or "not told" for word in judged.languages], value),
    )


def _bar(
    judged: Judged,
    bar: float | None,
    chosen: str,
    certificate: Certificate | None,
    promise: Promise | None,
    says: str,
) -> Bar | None:
    routed, here = judged.routed(), False
    if bar is None and certificate is not None:
        bar, chosen = certificate.bar, "certified"
    if bar is None and routed is not None:
        chosen, here = "cheapest here with 95 % of the strong tier's quality", True
        bar = cheapest_bar(routed, WANTED * float(routed.strong.right.mean()))
    if bar is None:
        return None
    kept_to = promise if chosen == "certified" else None
    return Bar(
        value=bar,
        chosen=chosen,
        here=here,
        promise=kept_to,
        says=says if chosen == "certified" and promise is None else "",
        most_loss=None if routed is None else _most_loss(routed, bar, kept_to),
    )


def _most_loss(judged: Judged, bar: float, promise: Promise | None) -> float:
    kept = judged.sure >= bar
    lost = int((kept & (judged.strong.right > judged.device.right)).sum())
    counts_kept = promise is not None and promise.per == "kept"
    trials = int(kept.sum()) if counts_kept else len(judged)
    return upper_bound(lost, trials, 0.9 if promise is None else promise.confidence)


def _routing(
    judged: Judged, bar: float | None, told: tuple[Figure, ...], times: int
) -> Routing | None:
    routed = judged.routed()
    if routed is None or routed.strong.right.mean() <= routed.device.right.mean():
        return None
    always = references(routed)
    usd = routed.strong.usd
    ends = {figure.name: figure.interval for figure in told}
    behind = routed.others if routed.priced else routed.others[-1:]
    return Routing(
        rows=len(routed),
        priced=routed.priced,
        strong=routed.strong.name,
        strong_usd=None if usd is None else float(usd.mean()),
        curves=cascades(routed),
        band=_band(routed, times),
        always=always,
        mix=mixture(always),
        oracle=oracle(routed),
        chosen=() if bar is None else tuple(at_bar(routed, t, bar, t.name) for t in behind),
        chosen_spend=ends.get("spend"),
        chosen_quality=ends.get("quality"),
        breaks=break_even(routed),
    )


def _band(judged: Judged, times: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Spend, and the 5 % and 95 % quantile of quality at it, of the cascade to the strong tier."""
    qualities = []
    least, most = 0.0, 1.0
    for rows in resamples(judged.prompts, times):
        some = judged.some(rows)
        if some.priced != judged.priced:
            continue  # a sample without one paid call has no spend to share
        steps = cascade(some, some.strong)
        least, most = max(least, float(steps.spend[0])), max(most, float(steps.spend[-1]))
        qualities.append((steps.spend, steps.quality))
    at = least + (most - least) * _GRID
    made = np.array([np.interp(at, spend, quality) for spend, quality in qualities])
    low, high = np.quantile(made, (0.05, 0.95), axis=0)
    return at, low, high
