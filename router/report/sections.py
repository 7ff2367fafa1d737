"""What the report says, part by part: each plot with its sentence, alternative text and table."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.findings import Findings
from ..evaluation.looks import Group
from . import plots, tables, words
from .page import Section


def lead(found: Findings) -> list[str]:
    """The paragraphs at the top: what was judged, what the bar is worth, what to know."""
    judged = f"{found.rows} labelled answers of {found.device}, by this confidence: {found.source}."
    return [judged, words.bar_said(found), *found.notes]


def plotted(found: Findings) -> list[Section]:
    """All plots, those that people decide by first."""
    return [
        *_changes(found),
        *_routing(found),
        _reliability(found),
        _coverage(found),
        *_signals(found),
        *_tiers(found),
        *_groups("task", "By task", found.tasks),
        *_groups("language", "By language", found.languages),
    ]


def figures(found: Findings) -> Section:
    """Every figure, with its interval and what it is."""
    return Section(
        name="figures",
        title="Figures",
        says="What is better, more or less, stands beside each.",
        table=tables.figures(found),
    )


def _changes(found: Findings) -> Iterator[Section]:
    if not found.changes:
        return
    says = words.changes_said(found)
    yield Section(
        name="changes",
        title="One confidence against the other",
        says=says,
        svg=plots.changes(found.changes),
        alt=f"The difference in each figure with its interval, around a line at zero. {says}",
        table=tables.changes(found),
    )


def _routing(found: Findings) -> Iterator[Section]:
    routing = found.routing
    if routing is None:
        return
    says = words.cost_said(found, routing)
    yield Section(
        name="cost",
        title="Cost against quality",
        says=says,
        svg=plots.cost(routing),
        alt=f"Rising lines of quality over spend; the band around one is its interval. {says}",
        table=tables.ways(routing),
    )
    says = words.breaks_said(found, routing)
    yield Section(
        name="breaks",
        title="Where it stops saving",
        says=says,
        svg=plots.breaks(routing),
        alt=f"Falling lines of savings over the share of requests escalated. {says}",
        table=tables.curve(routing),
    )


def _reliability(found: Findings) -> Section:
    says = words.reliability_said(found)
    return Section(
        name="reliability",
        title="Does it come true?",
        says=says,
        svg=plots.reliability(found),
        alt=f"Marks of the share that is right over confidence, around a diagonal. {says}",
        table=tables.bins(found),
    )


def _coverage(found: Findings) -> Section:
    says = words.coverage_said(found)
    return Section(
        name="coverage",
        title="Risk against coverage",
        says=says,
        svg=plots.coverage(found),
        alt=f"Lines of the share wrong among the kept, over the share kept. {says}",
        table=tables.coverages(found),
    )


def _signals(found: Findings) -> Iterator[Section]:
    if not found.signals:
        return
    says = words.signals_said(found)
    yield Section(
        name="signals",
        title="What each signal adds",
        says=says,
        svg=plots.signals(found),
        alt=f"One row for each signal, with a mark at its AUROC. {says}",
        table=tables.signals(found),
    )


def _tiers(found: Findings) -> Iterator[Section]:
    if not found.tiers:
        return
    yield Section(
        name="tiers",
        title="What each tier adds",
        says=words.tiers_said(found.tiers),
        table=tables.tiers(found.tiers),
    )


def _groups(kind: str, title: str, groups: tuple[Group, ...]) -> Iterator[Section]:
    if len(groups) < 2:
        return
    says = words.groups_said(kind, groups)
    yield Section(
        name=f"{kind}s",
        title=title,
        says=says,
        svg=plots.groups(f"{kind}s", groups),
        alt=f"A row for each {kind}: shares right, expected, kept, and wrong of these. {says}",
        table=tables.groups(kind, groups),
    )
