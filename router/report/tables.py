"""Findings as tables of words, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..evaluation.curves import Point
from ..evaluation.findings import Findings, Routing
from ..evaluation.looks import Group
from ..evaluation.resample import Interval
from .words import between, change_row, number, share

if TYPE_CHECKING:
    from ..confidence.gain import TierWorth

_UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Words in rows. `right`: names of the columns that stand to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()


def figures(found: Findings) -> Table:
    """Every figure with its interval and what it is."""
    return Table(
        columns=("figure", "value", "90 % interval", "better", "what it is"),
        rows=tuple(
            (
                figure.name,
                number(figure.name, figure.value),
                between(figure.name, figure.interval),
                figure.kind.better or "",
                figure.kind.says,
            )
            for figure in found.figures
        ),
        right=frozenset(("value",)),
    )


def ways(routing: Routing) -> Table:
    """Ways to answer all requests: quality, spend, escalations."""
    unit = "spend" if routing.priced else "calls"
    rows = [_way(f"always {point.name}", point, routing) for point in routing.always]
    rows += [_way(f"bar, else {point.name}", point, routing) for point in routing.chosen]
    rows.append(_way("oracle", routing.oracle, routing))
    return Table(
        columns=("way", "quality", unit, "usd a request", "escalated", f"blind mix's {unit}"),
        rows=tuple(rows),
        right=frozenset(("quality", unit, "usd a request", "escalated", f"blind mix's {unit}")),
    )


def _way(name: str, point: Point, routing: Routing) -> tuple[str, ...]:
    usd = _UNKNOWN
    if routing.priced and routing.strong_usd is not None:
        usd = f"{point.spend * routing.strong_usd:.6f}"
    blind = mixture_at(routing, point.quality)
    return (
        name,
        share(point.quality),
        share(point.spend),
        usd,
        "" if point.escalated is None else share(point.escalated),
        "none reaches it" if blind is None else share(blind),
    )


def mixture_at(routing: Routing, quality: float) -> float | None:
    """Spend of the cheapest blind mix that has a quality. None: none has."""
    spend, reached = routing.mix
    if quality > reached[-1] + 1e-12:
        return None
    for at in range(len(reached)):
        if reached[at] >= quality - 1e-12:
            if at == 0:
                return float(spend[0])
            part = (quality - reached[at - 1]) / (reached[at] - reached[at - 1])
            return float(spend[at - 1] + part * (spend[at] - spend[at - 1]))
    return None


def curve(routing: Routing) -> Table:
    """The cascade to the strong tier, at every tenth of escalations."""
    steps = routing.curves[-1]
    rows = []
    for tenth in range(11):
        at = int(abs(steps.escalated - tenth / 10).argmin())
        rows.append(
            (
                share(float(steps.escalated[at])),
                share(float(steps.spend[at])),
                share(float(steps.quality[at])),
                share(1 - float(steps.spend[at])),
            )
        )
    columns = ("escalated", "spend", "quality", "saved")
    return Table(columns=columns, rows=tuple(dict.fromkeys(rows)), right=frozenset(columns))


def bins(found: Findings) -> Table:
    """Bins of calibration, of confidence and of the raw score."""
    rows = []
    for one in (found.calibrated, *([] if found.raw is None else [found.raw])):
        for each in one.bins:
            rows.append(
                (
                    one.name,
                    f"{each.confidence:.3f}",
                    share(each.right),
                    _shares(each.interval),
                    str(each.rows),
                )
            )
    return Table(
        columns=("by", "mean", "right", "90 % interval", "rows"),
        rows=tuple(rows),
        right=frozenset(("mean", "right", "rows")),
    )


def coverages(found: Findings) -> Table:
    """Share of wrong answers among the surest, at every tenth."""
    names = tuple(one.name for one in found.covered)
    rows = []
    for tenth in range(1, 11):
        cells = [share(tenth / 10)]
        for one in found.covered:
            at = int(abs(one.coverage - tenth / 10).argmin())
            cells.append(share(float(one.risk[at])))
        rows.append(tuple(cells))
    area = tuple(f"{one.aurc:.3f}" for one in found.covered)
    rows.append(("AURC", *area))
    return Table(columns=("kept", *names), rows=tuple(rows), right=frozenset(("kept", *names)))


def signals(found: Findings, most: int | None = None) -> Table:
    """What each signal tells, the most telling first."""
    columns = ("signal", "known", "speaks for it", "AUROC alone", "within a task", "adds")
    rows = tuple(
        (
            worth.signal,
            share(worth.known),
            "more" if worth.more else "less",
            f"{worth.alone:.3f}",
            _UNKNOWN if worth.within is None else f"{worth.within:.3f}",
            _UNKNOWN if worth.adds is None else f"{worth.adds:+.4f}",
        )
        for worth in found.signals[:most]
    )
    return Table(
        columns=columns,
        rows=rows,
        right=frozenset(("known", "AUROC alone", "within a task", "adds")),
    )


def groups(kind: str, found: tuple[Group, ...]) -> Table:
    """Tasks or languages, the largest first."""
    columns = (kind, "rows", "right", "confidence", "AUROC", "kept", "wrong of kept", "interval")
    rows = tuple(
        (
            group.name,
            str(group.rows),
            share(group.right),
            share(group.confidence),
            _UNKNOWN if group.auroc is None else f"{group.auroc:.3f}",
            _UNKNOWN if group.kept is None else share(group.kept),
            _UNKNOWN if group.wrong_kept is None else share(group.wrong_kept),
            "" if group.wrong_interval is None else _shares(group.wrong_interval),
        )
        for group in found
    )
    return Table(columns=columns, rows=rows, right=frozenset(columns[1:7]))


def tiers(found: Sequence[TierWorth]) -> Table:
    """What each stronger tier adds to the usual draft."""
    columns = ("tier", "labels", "right", "rescues", "spoils", "gain", "usd", "gain a dollar")
    rows = tuple(
        (
            one.tier,
            str(one.labels),
            share(one.right),
            share(one.odds.rescue),
            share(one.odds.slip),
            f"{one.gain:+.3f}",
            _UNKNOWN if one.usd is None else f"{one.usd:.6f}",
            _UNKNOWN if one.per_usd is None else f"{one.per_usd:,.0f}",
        )
        for one in found
    )
    return Table(columns=columns, rows=rows, right=frozenset(columns[1:]))


def changes(found: Findings) -> Table:
    """Two confidences on the same rows."""
    return Table(
        columns=("figure", "one", "other", "change", "90 % interval", "the other is"),
        rows=tuple(change_row(change) for change in found.changes),
        right=frozenset(("one", "other", "change")),
    )


def _shares(ends: Interval) -> str:
    return f"{share(ends.low)} to {share(ends.high)}"
