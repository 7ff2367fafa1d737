"""What `firsthop calibrate` found, for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..confidence.gain import LEAST
from ..confidence.guarantee import Certificate, Refused
from .screen import counted, table

if TYPE_CHECKING:
    from ..calibration.goal import Goal
    from ..calibration.labelled import Labelled
    from ..calibration.made import Made
    from ..calibration.probing import ProbeWorth
    from ..confidence.early import EarlyBars
    from ..confidence.gain import TierWorth

_PLACES = 1e4


def show(made: Made, rows: Sequence[Labelled], goal: Goal, look: str, out: Path, tier: str) -> None:
    """The verdict on all requests, on each task and language, and early bars as YAML.

    Args:
        look: Which look it was, in words.
    """
    from ..calibration.goal import in_words

    typer.echo(_labels(rows))
    if made.repeated:
        many = counted(made.repeated, "label")
        typer.echo(f"{many} of a question that is there already: left out of the tests")
    typer.echo(f"wanted: {in_words(goal)}\n{look}\n")
    _probe(made, rows)
    if isinstance(made.pooled, Refused):
        typer.echo(f"Refused. {made.pooled.reason}\n{_more(made.pooled)}\nNo file was written.")
        return
    _verdicts({"all": made.pooled})
    _spent(made, goal)
    for title, verdicts in (("task", made.tasks), ("language", made.languages)):
        if verdicts:
            typer.echo(f"\nby {title}, each a promise of its own:")
            _verdicts(verdicts)
    if goal.early and made.calibration is not None and made.calibration.early is not None:
        _early(made.calibration.early, made.aborts, tier)
    _tiers(made.tiers, rows)
    typer.echo(f"\n{out} written")


def _labels(rows: Sequence[Labelled]) -> str:
    unknown = sum(row.strong_right is None for row in rows)
    good = sum(row.good for row in rows)
    said = f"{counted(len(rows), 'label')}, {good:.0f} good"
    if unknown:
        said += f"; of {unknown} the strong tier's answer is not known: taken to be right"
    return said


def _probe(made: Made, rows: Sequence[Labelled]) -> None:
    """What the probe adds, or why there is none though labels bring states."""
    from ..confidence.probe import LEAST

    states = sum(row.state is not None for row in rows)
    if made.probe is not None:
        typer.echo(f"{probe_said(made.probe)}\n")
    elif states:
        typer.echo(
            f"probe: none. {counted(states, 'label')} with a state; the fit has a part of them, "
            f"and takes {LEAST} of one layer, {LEAST // 10} good and {LEAST // 10} not, for one\n"
        )


def probe_said(worth: ProbeWorth) -> str:
    """What a probe adds, as a sentence."""

    def figure(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3f}"

    return (
        f"probe of layer {worth.layer}, fitted on {worth.fitted} labels: AUROC "
        f"{figure(worth.auroc)} with it, {figure(worth.auroc_without)} without (within a task "
        f"{figure(worth.within)} and {figure(worth.within_without)} on average), on the "
        f"{worth.tested} labels the promise was tested on ({worth.known} of them with a state)"
    )


def _verdicts(verdicts: Mapping[str, Certificate | Refused]) -> None:
    lines = []
    for name, one in verdicts.items():
        if isinstance(one, Certificate):
            kept, seen = f"{one.kept:.1%}", f"{one.loss:.2%}"
            lines.append(
                (name, str(one.labels), f"{one.bar:.4f}", kept, seen, f"{one.most_loss:.2%}", "")
            )
        else:
            lines.append((name, str(one.labels), "refused", "", "", "", _more(one)))
    columns = ("", "tested on", "bar", "kept", "loss", "at most", "")
    table(None, columns, lines, right="tested on|bar|kept|loss|at most")


def _more(refused: Refused) -> str:
    if refused.more_labels is None:
        return "More of the same labels would not do."
    return f"About {refused.more_labels} more labels would do."


def _spent(made: Made, goal: Goal) -> None:
    """Dollars beside it: what the rows cost, which is an estimate and no promise."""
    from ..confidence.goals import mean_interval
    from ..confidence.guarantee import upper_bound

    if not isinstance(made.pooled, Certificate):
        return
    kept = made.kept()
    sent = len(kept) - sum(kept)
    most = upper_bound(sent, len(kept), goal.tested)
    all_bars = " by the strictest bars" if made.tasks or made.languages else ""
    typer.echo(f"escalated {sent / len(kept):.1%} here{all_bars}, at most {most:.1%}")
    costs = [row.row.cost_usd for row in made.judged]
    if costs and None not in costs:
        usd = [
            0.0 if stays else row.row.cost_usd or 0.0
            for row, stays in zip(made.judged, kept, strict=True)
        ]
        mean, low, high = mean_interval(usd, goal.confidence)
        typer.echo(
            f"dollars a request {mean:.6f}, {low:.6f} to {high:.6f} by bootstrap (no promise)"
        )


def _tiers(tiers: Sequence[TierWorth], rows: Sequence[Labelled]) -> None:
    """What each stronger tier is worth, and of which too few labels tell."""
    from ..report.tables import tiers as tiers_said

    silent = sorted({name for row in rows for name in row.tiers} - {one.tier for one in tiers})
    if tiers:
        typer.echo(f"\nwhat a tier adds, to a draft that is right {tiers[0].draft:.0%} likely:")
        said = tiers_said(tiers)
        table(None, said.columns, said.rows, right="|".join(said.right))
    if silent:
        typer.echo(
            f"of {', '.join(silent)} too few labels tell: it takes {LEAST} drafts of each kind, "
            "right and wrong, in the fit's part"
        )


def _early(early: EarlyBars, refused: Refused | None, tier: str) -> None:
    if refused is not None:
        typer.echo(f"\nno abort bars: {refused.reason} {_more(refused)}")
    if early.aborts is not None:
        aborts = early.aborts
        typer.echo(
            f"\nabort bars, tested on {aborts.drafts} kept drafts: cut {aborts.cut:.2%} of them, "
            f"at most {aborts.most_cut:.2%}; give up {aborts.given_up:.1%} of the others early"
        )
    commit = early.best_commit
    if commit is None:
        typer.echo("no early commit keeps the promise")
    else:
        typer.echo(
            f"early commit, tested on {commit.drafts} drafts: shows {commit.shown:.1%} at token "
            f"{commit.bar.tokens}; loss {commit.loss:.2%}, at most {commit.most_loss:.2%}"
        )
    lines = early_yaml(early, tier)
    if lines:
        typer.echo("\n# for a policy")
        typer.echo("\n".join(lines))


def early_yaml(early: EarlyBars, tier: str) -> list[str]:
    """Early bars as a policy's `abort` and `early`; rounded to the careful side."""
    lines = []
    if early.aborts is not None:
        lines += ["abort:", f"  - on: [{tier}]", "    bars:"]
        for bar in early.aborts.bars:
            at = math.floor(bar.mean_logprob * _PLACES) / _PLACES
            lines.append(
                f"      - {{tokens: {bar.tokens}, when: {{draft.mean_logprob: {{lt: {at:.4f}}}}}}}"
            )
    commit = early.best_commit
    if commit is not None:
        at = math.ceil(commit.bar.mean_logprob * _PLACES) / _PLACES
        lines += [
            "early:",
            f"  - on: [{tier}]",
            f"    tokens: {commit.bar.tokens}",
            f"    require: {{draft.mean_logprob: {{gte: {at:.4f}}}}}",
        ]
    return lines


def as_plain(made: Made, rows: Sequence[Labelled], goal: Goal, out: Path) -> dict[str, Any]:
    """For machines: certificates, refusals, and the file if there is one."""
    from ..calibration.calibrate import may_pass

    calibration = made.calibration
    return {
        "labels": len(rows),
        "says": None if calibration is None else calibration.says,
        "file": None if calibration is None else str(out),
        "look": {"number": goal.look, "tested_at": goal.tested, "counts": may_pass(rows, goal)},
        "all": _plain(made.pooled),
        "probe": None if made.probe is None else asdict(made.probe),
        "tiers": {one.tier: {**asdict(one), "per_usd": one.per_usd} for one in made.tiers},
        "tasks": {name: _plain(one) for name, one in made.tasks.items()},
        "languages": {name: _plain(one) for name, one in made.languages.items()},
        "early": None
        if calibration is None or calibration.early is None
        else asdict(calibration.early),
    }


def _plain(one: Certificate | Refused) -> dict[str, Any]:
    return {"certified": isinstance(one, Certificate), **asdict(one)}
