"""Findings drawn, each plot an SVG whose text is text and whose colours are the page's."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..evaluation.compare import Change
from ..evaluation.findings import Findings, Routing
from ..evaluation.looks import Group

# Colours that stand for the page's own, so that one drawing serves light and dark: `_themed` puts
# the variables in.
INK, SOFT, GRID, ONE, TWO, THREE, FOUR = (f"#01020{digit}" for digit in range(1, 8))
_VARIABLES = {
    INK: "--ink", SOFT: "--soft", GRID: "--grid",
    ONE: "--one", TWO: "--two", THREE: "--three", FOUR: "--four",
}  # fmt: skip
_WIDTH, _HEIGHT = 4.6, 3.0
"""Inches of 72 points: about a phone's width in CSS pixels, so that text is as large as drawn."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "firsthop",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2,
}
_MOST_BARS = 12
_SHORT = 22
"""Letters of a name that leave room for another beside it."""
_LINE = 0.21
"""Inches of a line of the legend."""


def cost(routing: Routing) -> str:
    """Cost against quality."""
    with _drawn("cost") as (figure, axes, out):
        at, low, high = routing.band
        axes.fill_between(at, low, high, color=ONE, alpha=0.18, linewidth=0)
        for curve, colour in zip(reversed(routing.curves), (ONE, TWO, FOUR), strict=False):
            axes.plot(curve.spend, curve.quality, color=colour, label=f"device, then {curve.name}")
        axes.plot(*routing.mix, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.4, label="blind mix")
        for place, (point, mark) in enumerate(zip(routing.always, _marks(routing), strict=True)):
            name = f"always {point.name if place else 'the device'}"
            axes.plot(
                point.spend, point.quality, mark, color=INK, markersize=7, markerfacecolor="none",
                markeredgewidth=1.8, linestyle="none", label=name, clip_on=False,
            )  # fmt: skip
        axes.plot(
            routing.oracle.spend, routing.oracle.quality, "*", color=THREE, markersize=13,
            linestyle="none", label="oracle", clip_on=False,
        )  # fmt: skip
        if routing.chosen:
            _chosen(axes, routing)
        axes.set_xlabel(
            f"{'dollars' if routing.priced else 'calls'}, as a share of always {routing.strong}"
        )
        axes.set_ylabel("right answers")
        _percent(axes, "xy")
        _legend(figure, axes)
    return out[0]


def _chosen(axes: Axes, routing: Routing) -> None:
    point = routing.chosen[-1]
    ends = (routing.chosen_spend, routing.chosen_quality)
    across, upward = (
        None if e is None else [[max(0.0, v - e.low)], [max(0.0, e.high - v)]]
        for e, v in zip(ends, (point.spend, point.quality), strict=True)
    )
    axes.errorbar(
        point.spend, point.quality, xerr=across, yerr=upward, fmt="o", color=ONE, markersize=8,
        markeredgecolor=INK, markeredgewidth=1.2, elinewidth=1.4, capsize=3, zorder=5,
        label="the bar",
    )  # fmt: skip


def reliability(found: Findings) -> str:
    """Confidence against the share that is right."""
    with _drawn("reliability") as (figure, axes, out):
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        drawn = [(found.calibrated, ONE, "o")]
        if found.raw is not None:
            drawn.insert(0, (found.raw, TWO, "s"))
        most = max(each.rows for one, _, _ in drawn for each in one.bins)
        for one, colour, mark in drawn:
            x = [each.confidence for each in one.bins]
            y = [each.right for each in one.bins]
            ends = [
                [each.right - each.interval.low for each in one.bins],
                [each.interval.high - each.right for each in one.bins],
            ]
            axes.errorbar(x, y, yerr=ends, color=colour, linewidth=1.4, elinewidth=1, capsize=2)
            sizes = [18 + 110 * each.rows / most for each in one.bins]
            label = f"{one.name}, ECE {one.ece:.3f}"
            axes.scatter(x, y, s=sizes, color=colour, marker=mark, zorder=3, label=label)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("confidence (the larger the mark, the more answers)")
        axes.set_ylabel("right answers")
        _percent(axes, "y")
        _legend(figure, axes)
    return out[0]


def coverage(found: Findings) -> str:
    """Risk against coverage."""
    with _drawn("coverage") as (figure, axes, out):
        styles = [(ONE, "-"), (TWO, "-")] if len(found.covered) > 2 else [(ONE, "-")]
        for one, (colour, line) in zip(found.covered, [*styles, (THREE, "--")], strict=True):
            label = f"{one.name}, AURC {one.aurc:.3f}"
            axes.plot(one.coverage, one.risk, line, color=colour, label=label)
        overall = float(found.covered[0].risk[-1])
        axes.axhline(overall, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, label="any order")
        kept, right = found.figure("kept"), found.figure("right when kept")
        if kept is not None and right is not None:
            axes.plot(
                kept.value, 1 - right.value, "o", color=ONE, markersize=8, markeredgecolor=INK,
                markeredgewidth=1.2, linestyle="none", label="the bar",
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlabel("drafts kept, the surest first")
        axes.set_ylabel("wrong among the kept")
        _percent(axes, "xy")
        _legend(figure, axes)
    return out[0]


def signals(found: Findings) -> str:
    """The most telling signals, alone and within a task."""
    shown = found.signals[:_MOST_BARS][::-1]
    with _drawn("signals", height=0.8 + 0.25 * len(shown)) as (figure, axes, out):
        places = range(len(shown))
        inside = [0.5 if worth.within is None else worth.within for worth in shown]
        axes.hlines(places, inside, [worth.alone for worth in shown], color=GRID, linewidth=3)
        axes.plot([worth.alone for worth in shown], places, "o", color=ONE, label="all rows")
        told = [(worth.within, place) for place, worth in enumerate(shown) if worth.within]
        if told and len(found.tasks) > 1:
            axes.plot(*zip(*told, strict=True), "D", color=TWO, markersize=5, label="within a task")
        axes.axvline(0.5, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
        _named(axes, [worth.signal for worth in shown])
        axes.set_xlabel("AUROC alone (0.5 tells nothing)")
        _legend(figure, axes)
    return out[0]


def groups(name: str, groups: tuple[Group, ...]) -> str:
    """Of each task or language: share right, expected, and wrong among the kept."""
    shown = groups[: 2 * _MOST_BARS][::-1]
    with _drawn(name, height=0.7 + 0.34 * len(shown)) as (figure, axes, out):
        places = range(len(shown))
        ends = [
            [group.right - group.interval.low for group in shown],
            [group.interval.high - group.right for group in shown],
        ]
        axes.errorbar(
            [group.right for group in shown], places, xerr=ends, fmt="o", color=ONE, capsize=2,
            elinewidth=1.2, linewidth=0, label="right",
        )  # fmt: skip
        axes.plot(
            [group.confidence for group in shown], places, "|", color=INK, markersize=15,
            markeredgewidth=2, label="mean confidence",
        )  # fmt: skip
        kept = [(group.kept, place) for place, group in enumerate(shown) if group.kept is not None]
        if kept:
            axes.plot(*zip(*kept, strict=True), "D", color=THREE, markersize=6, label="kept")
        wrong = [
            (group.wrong_kept, place)
            for place, group in enumerate(shown)
            if group.wrong_kept is not None
        ]
        if wrong:
            label = "wrong of the kept"
            axes.plot(*zip(*wrong, strict=True), "X", color=TWO, markersize=7, label=label)
        _named(axes, [f"{group.name} ({group.rows})" for group in shown])
        axes.set_xlim(-0.03, 1.03)
        _percent(axes, "x")
        _legend(figure, axes)
    return out[0]


def breaks(routing: Routing) -> str:
    """What a cascade saves, over the share of escalations."""
    with _drawn("breaks") as (figure, axes, out):
        for curve, colour in zip(reversed(routing.curves), (ONE, TWO, FOUR), strict=False):
            label = f"device, then {curve.name}"
            axes.plot(curve.escalated, 1 - curve.spend, color=colour, label=label)
        axes.axhline(0, color=INK, linewidth=1)
        for point in routing.always[1:-1]:
            axes.axhline(
                1 - point.spend, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.4,
                label=f"always {point.name}",
            )  # fmt: skip
        rate = routing.breaks.rate
        if 0 < rate < 1:
            axes.axvline(rate, color=THREE, linestyle=":", linewidth=1.6, label="break-even")
        for point in routing.chosen[-1:]:
            assert point.escalated is not None
            axes.plot(
                point.escalated, 1 - point.spend, "o", color=ONE, markersize=8, linestyle="none",
                markeredgecolor=INK, markeredgewidth=1.2, label="the bar",
            )  # fmt: skip
        axes.set_xlabel("requests escalated")
        axes.set_ylabel(f"{'dollars' if routing.priced else 'calls'} saved")
        _percent(axes, "xy")
        _legend(figure, axes)
    return out[0]


def changes(changed: tuple[Change, ...]) -> str:
    """Differences of two confidences with their intervals; to the right is better."""
    shown = [change for change in changed if change.interval is not None][::-1]
    with _drawn("changes", height=0.8 + 0.36 * len(shown)) as (_, axes, out):
        for place, change in enumerate(shown):
            assert change.interval is not None
            sign = 1 if change.kind.better == "more" else -1
            middle = sign * (change.other - change.one)
            ends = sorted((sign * change.interval.low, sign * change.interval.high))
            colour = {"better": ONE, "worse": TWO}.get(change.verdict, SOFT)
            axes.plot(ends, [place, place], color=colour, linewidth=2.4)
            axes.plot(middle, place, "o", color=colour, markersize=7)
        axes.axvline(0, color=INK, linewidth=1)
        _named(axes, [change.name for change in shown])
        axes.set_xlabel("change, turned so that right is better")
    return out[0]


@contextmanager
def _drawn(name: str, height: float = _HEIGHT) -> Iterator[tuple[Figure, Axes, list[str]]]:
    """A figure to draw in; once that is done, its SVG stands in the list."""
    out: list[str] = []
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.add_subplot(), out
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    out.append(_themed(buffer.getvalue(), name))


def _named(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _percent(axes: Axes, which: str) -> None:
    for letter in which:
        axis = axes.xaxis if letter == "x" else axes.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))


def _marks(routing: Routing) -> str:
    """One for each tier: square, triangles, diamond."""
    return "s" + "^v<>"[: len(routing.always) - 2] + "D"


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the plot, which gets higher by as much; side by side only where names are short."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    columns = 2 if max(map(len, labels)) <= _SHORT else 1
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + _LINE * rows)
    figure.legend(handles, labels, loc="outside lower left", ncols=columns)


_ID = re.compile(r'\bid="([^"]+)"')
_USED = re.compile(r'(xlink:href="#|url\(#)')


def _themed(svg: str, name: str) -> str:
    """The drawing alone, with the page's colours, and ids that no other plot of the page has."""
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = _ID.sub(rf'id="{name}-\1"', svg)
    return _USED.sub(rf"\1{name}-", svg).strip()
