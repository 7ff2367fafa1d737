"""Figures as words: shares, dollars, intervals, and the sentence that stands under each plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..evaluation.compare import Change
from ..evaluation.findings import Findings, Routing
from ..evaluation.looks import Group
from ..evaluation.measured import Figure
from ..evaluation.resample import Interval

if TYPE_CHECKING:
    from ..confidence.gain import TierWorth

_AS_SHARES = frozenset(
    (
        "calls at 95 %",
        "cost at 95 %",
        "blind mix at 95 %",
        "saved on the blind mix",
        "kept",
        "right when kept",
        "loss",
        "quality",
        "spend",
    )
)

_APART = 0.02
"""How much less a signal has to tell within a task, for that to be said."""


def share(value: float) -> str:
    """``0.123`` as ``12.3 %``, ``0.5`` as ``50 %``."""
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def number(name: str, value: float) -> str:
    """A figure in the form it is known by."""
    return share(value) if name in _AS_SHARES else f"{value:.3f}"


def between(name: str, ends: Interval | None) -> str:
    """An interval, or nothing."""
    return "" if ends is None else f"{number(name, ends.low)} to {number(name, ends.high)}"


def signed(name: str, value: float) -> str:
    """A difference, with its sign."""
    return ("+" if value > 0 else "") + number(name, value)


def with_interval(figure: Figure) -> str:
    """``0.890 (0.870 to 0.910)``."""
    ends = between(figure.name, figure.interval)
    return number(figure.name, figure.value) + (f" ({ends})" if ends else "")


def bar_said(found: Findings) -> str:
    """Where the bar lies and what it is worth."""
    bar = found.bar
    if bar is None:
        return "There is no bar: nothing was certified, and no stronger tier says what would do."
    if math.isinf(bar.value):
        return "No bar keeps a draft and has the quality that was asked."
    kept, right = found.figure("kept"), found.figure("right when kept")
    text = f"The bar is {bar.value:.3f} ({bar.chosen})."
    if kept is not None:
        text += f" It keeps {share(kept.value)} of the drafts"
        text += f", of which {share(right.value)} are right." if right is not None else "."
    if bar.here:
        text += " It was picked on these very rows, so on other rows expect somewhat less."
    loss = found.figure("loss")
    if loss is None or bar.most_loss is None:
        return text
    text += (
        f" In {share(loss.value)} of all requests a wrong draft is kept that the strong tier would "
        f"have got right"
    )
    if bar.promise is None:
        text += f"; at most {share(bar.most_loss)}, with 90 % confidence."
        return text + (f" Certified: {bar.says.rstrip('.')}." if bar.says else " Not certified.")
    held = "holds" if bar.most_loss <= bar.promise.loss else "is not shown to hold"
    per = "the kept" if bar.promise.per == "kept" else "all requests"
    return text + (
        f". The promise (at most {share(bar.promise.loss)} of {per}, with "
        f"{share(bar.promise.confidence)} confidence) {held} on these rows by themselves: their "
        f"exact upper bound is {share(bar.most_loss)}."
    )


def cost_said(found: Findings, routing: Routing) -> str:
    """Under the plot of cost and quality."""
    unit = "dollars" if routing.priced else "calls"
    strong, device = routing.always[-1], routing.always[0]
    text = (
        f"Each point of a line is one bar: the further right, the more is escalated. Always the "
        f"device has {share(device.quality)} right, always {strong.name} {share(strong.quality)}; "
        f"who knew beforehand would have {share(routing.oracle.quality)} for "
        f"{share(routing.oracle.spend)} of the {unit}."
    )
    least = found.figure("cost at 95 %") or found.figure("calls at 95 %")
    if least is not None:
        text += (
            f" For 95 % of the quality of {strong.name} a cascade needs {with_interval(least)} of "
            f"its {unit}"
        )
        blind = found.figure("blind mix at 95 %")
        text += f"; a blind mix of two tiers needs {share(blind.value)}." if blind else "."
    saved = found.figure("saved on the blind mix")
    if saved is not None and saved.interval is not None:
        if saved.interval.low > 0:
            text += " That the cascade is cheaper is more than chance."
        elif saved.interval.high < 0:
            text += " The blind mix is cheaper, by more than chance."
        else:
            text += " Which of the two is cheaper can't be told from so few rows."
    return text


def breaks_said(found: Findings, routing: Routing) -> str:
    """Under the plot of break-even."""
    breaks = routing.breaks
    strong = routing.always[-1].name
    if not routing.priced:
        text = "Counted in calls, since dollars are not known: each kept draft saves one call."
    elif breaks.cost_ratio:
        text = (
            f"A draft costs {share(breaks.cost_ratio)} of a call of {strong}, so a cascade saves "
            f"only while fewer than {share(breaks.rate)} of the requests are escalated."
        )
        if breaks.rate <= 0:
            text = (
                f"A draft costs as much as a call of {strong} or more: no cascade saves anything."
            )
    else:
        text = (
            f"A draft costs no dollars, so against always {strong} every kept draft saves; what it "
            "costs in time is not part of this."
        )
    if breaks.under_cheap is not None:
        text += (
            " Against always asking the cheapest cloud tier a cascade to the strong one costs less "
            f"only up to {share(breaks.under_cheap)} escalations."
        )
    if routing.chosen:
        point = routing.chosen[-1]
        assert point.escalated is not None
        saves = 1 - point.spend
        word = "saves" if saves >= 0 else "wastes"
        text += f" The bar escalates {share(point.escalated)} and {word} {share(abs(saves))}."
    return text


def reliability_said(found: Findings) -> str:
    """Under the plot of reliability."""
    after = found.calibrated
    text = (
        "On the diagonal a confidence of 0.8 is right 8 times of 10; below it, it is too sure. "
        f"The mean gap (ECE) is {after.ece:.3f} with the confidence"
    )
    if found.raw is None:
        return text + ". The rows have no raw score of the model's own to compare with."
    return text + f", and {found.raw.ece:.3f} with {found.raw.name}."


def coverage_said(found: Findings) -> str:
    """Under the plot of risk and coverage."""
    first, last = found.covered[0], found.covered[-1]
    half = min(range(len(first.coverage)), key=lambda at: abs(first.coverage[at] - 0.5))
    text = (
        f"Keeping all, {share(float(first.risk[-1]))} are wrong. Keeping the surest half, "
        f"{share(float(first.risk[half]))} of these are wrong"
    )
    if len(found.covered) > 2:
        raw = found.covered[1]
        text += f" by confidence and {share(float(raw.risk[half]))} by {raw.name}"
    return text + f"; in a perfect order {share(float(last.risk[half]))}."


def signals_said(found: Findings) -> str:
    """Under the plot of signals."""
    best = found.signals[0]
    whole = found.figure("AUROC")
    text = f"The most telling signal alone is {best.signal}, with an AUROC of {best.alone:.3f}"
    text += f"; all together have {whole.value:.3f}." if whole is not None else "."
    inside = [worth for worth in found.signals if worth.within is not None]
    if len(found.tasks) > 1 and inside:
        top = max(inside, key=lambda worth: worth.within or 0.0)
        if top.within is not None and top.within < best.alone - _APART:
            text += " Part of that tells tasks apart, not right from wrong:"
        text += " W" if text.endswith(".") else " w"
        text += f"ithin a task the most telling is {top.signal}, with {top.within:.3f}."
    adding = [worth for worth in found.signals if worth.adds is not None]
    if adding:
        most = max(adding, key=lambda worth: worth.adds or 0.0)
        text += f" Most is lost when {most.signal} is unknown: {most.adds:.3f} of it."
        text += " Signals that stand for each other lose little one at a time."
    return text


def tiers_said(tiers: Sequence[TierWorth]) -> str:
    """How the table of tiers is to be read, and which buys most for a dollar."""
    useful = [one for one in tiers if one.gain > 0]
    best = None
    if len(useful) > 1 and all(one.per_usd is not None for one in useful):
        best = max(useful, key=lambda one: one.per_usd or 0.0)
    read = (
        "How each stronger tier fared on the labels that the estimator was fitted on: how often it "
        "is right, rescues a wrong draft, spoils a right one; and what asking it adds to the "
        f"median draft, which is right {share(tiers[0].draft)} likely. Estimates, no promises."
    )
    return read if best is None else f"{read} There {best.tier} adds most for a dollar."


def groups_said(kind: str, groups: tuple[Group, ...]) -> str:
    """Under the plot of tasks or languages."""
    far = max(groups, key=lambda group: abs(group.right - group.confidence))
    text = (
        f"Furthest from its confidence is {far.name}: {share(far.right)} are right where "
        f"{share(far.confidence)} were expected."
    )
    kept = [group for group in groups if group.wrong_kept is not None]
    if kept:
        worst = max(kept, key=lambda group: group.wrong_kept or 0.0)
        assert worst.kept is not None
        assert worst.wrong_kept is not None
        text += (
            f" Of what the bar keeps, most is wrong in {worst.name}: {share(worst.wrong_kept)} of "
            f"{share(worst.kept)} kept."
        )
    return text + f" A {kind} with few rows has a wide interval."


def changes_said(found: Findings) -> str:
    """Under the plot of a comparison."""
    better = [change.name for change in found.changes if change.verdict == "better"]
    worse = [change.name for change in found.changes if change.verdict == "worse"]
    text = f"{found.other} against {found.source}, on the same rows: "
    if not better and not worse:
        return text + "no difference is more than chance."
    parts = [f"better in {', '.join(better)}"] if better else []
    parts += [f"worse in {', '.join(worse)}"] if worse else []
    rest = len(found.changes) - len(better) - len(worse)
    return text + " and ".join(parts) + ("; the others can't be told." if rest else ".")


def change_row(change: Change) -> tuple[str, ...]:
    """A line of the table of a comparison."""
    ends = change.interval
    return (
        change.name,
        number(change.name, change.one),
        number(change.name, change.other),
        signed(change.name, change.other - change.one),
        ""
        if ends is None
        else f"{signed(change.name, ends.low)} to {signed(change.name, ends.high)}",
        change.verdict,
    )
