"""`firsthop status`: how far it is to the first certificate, and what calibration there is."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import config as configs
from ..confidence.spending import sure
from ..errors import ConfigError
from ..policy.explain import usd as dollars
from .calibrate import OUT, WORK, Per, goal_of
from .options import ConfigOption, JsonOption, PolicyOption

if TYPE_CHECKING:
    from ..calibration.goal import Goal
    from ..calibration.labelled import Labelled
    from ..calibration.looks import Look, Looks
    from ..calibration.status import Ahead, Filed
    from ..providers.base import Target


def status(
    file: Annotated[
        Path | None,
        typer.Option(help="The calibration to look at; the config's if not given.", metavar="FILE"),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled drafts to count too; the work file's if none.", metavar="FILE"),
    ] = None,
    loss: Annotated[str, typer.Option(help="Most losses of the promise that is wanted.")] = "5%",
    confidence: Annotated[str, typer.Option(help="Of the promise.")] = "90%",
    per: Annotated[
        Per, typer.Option(help="What a loss is a share of: all requests, or those kept.")
    ] = Per.all,
    config: ConfigOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many labels, hours and dollars the first certificate takes, and what is there."""
    from ..calibration.feedback import read_feedback
    from ..calibration.filing import device_of, strong_of, strong_tier
    from ..calibration.looks import Looks
    from ..calibration.plan import seconds_of
    from ..calibration.status import ahead, filed
    from ..calibration.tiers import by_tier
    from ..calibration.tracefile import read_labelled
    from ..compose import fit

    loaded = configs.load(configs.find(config))
    chosen, targets = fit(loaded, policy)
    goal = goal_of(loss, None, None, confidence, per.value)
    device = device_of(loaded, chosen.tiers)
    said = read_feedback(loaded.ledger_folder, device.name, device.model)
    data = data or ([WORK] if WORK.exists() else [])
    rows = [*said.rows, *(row for path in data for row in read_labelled(path).rows)]
    above = chosen.tiers[chosen.tiers.index(device.tier) + 1 :]
    rows = by_tier(rows, above, strong_tier(loaded, above, device, None)).rows
    looks, goal = _looks(Looks(loaded.ledger_folder), rows, goal, device)
    strong = strong_of(loaded, chosen.tiers, device)
    called = [device.name, *([strong.name] if strong else [])]
    found = ahead(
        rows,
        goal,
        seconds_of(loaded.ledger_folder, called),
        strong,
        targets[strong.name].meter.worst_case if strong else None,
    )
    looked = file or loaded.confidence or OUT
    there = filed(looked, _model_of(device), time.time())
    named = loaded.confidence is not None and loaded.confidence.resolve() == looked.resolve()
    if as_json:
        plain = {"ahead": asdict(found), "left_out": dict(said.left_out)}
        plain["file"] = {**asdict(there), "path": str(looked), "in_config": named}
        plain["looks"] = {"so_far": len(looks), "number": goal.look, "tested_at": goal.tested}
        plain["ahead"]["usd"] = None if found.usd is None else str(found.usd)
        typer.echo(json.dumps(plain, indent=2))
        return
    shown = _filed(looked, there, named=named)
    sources = [*(["--ledger"] if said.rows else []), *(f"--data {path}" for path in data)]
    looked_at = [f"looks    {len(looks)} so far; {_next(looks, goal)}"]
    for line in (
        *_ahead(found, strong, sources),
        *looked_at,
        *_left_out(said.left_out),
        *shown,
    ):
        typer.echo(line)


def _model_of(device: Target) -> tuple[str, str] | None:
    """Model and build as its folder says. None: the model is not here."""
    from ..calibration.filing import binding_of

    try:
        bound = binding_of(device, "any")
    except ConfigError:
        return None
    return bound.model, bound.quantisation


def _looks(
    memory: Looks, rows: Sequence[Labelled], goal: Goal, device: Target
) -> tuple[tuple[Look, ...], Goal]:
    """The looks so far at this model and build, and the goal as the look it would be. There are
    none where the model is not here."""
    from ..calibration.filing import binding_of

    try:
        bound = binding_of(device, "any")
    except ConfigError:
        return (), goal
    return memory.so_far(rows, goal, bound)


def _next(looks: Sequence[Look], goal: Goal) -> str:
    from ..calibration.goal import look_in_words

    known = any(look.number == goal.look for look in looks)
    return f"these labels were tested: {look_in_words(goal)}" if known else look_in_words(goal)


def _ahead(found: Ahead, strong: Target | None, sources: Sequence[str]) -> list[str]:
    from ..calibration.plan import USUAL_INPUT

    said = "seen" if found.seen else "assumed"
    if found.needed is None:
        return [
            f"labels   {found.labels}; no number would do while {found.lost:.0%} of drafts are "
            f"losses ({said})"
        ]
    lines = [
        f"labels   {found.labels} of {found.needed} to the first certificate "
        f"({found.lost:.0%} of drafts a loss, {said})"
    ]
    if not found.missing:
        return [*lines, f"         enough to try: firsthop calibrate {' '.join(sources)}"]
    hours = "unknown: device and judge have not been timed" if found.hours is None else ""
    lines.append(f"hours    {hours or f'about {found.hours:.2g}'}")
    if strong is None:
        lines.append("dollars  nobody could judge: no target serves a stronger tier")
    else:
        cost = "unknown: no price" if found.usd is None else f"at most {dollars(found.usd)}"
        lines.append(
            f"dollars  {cost} ({strong.name}, prompts of at most {USUAL_INPUT:,} tokens; nothing "
            "for feedback)"
        )
    return lines


def _left_out(left_out: Mapping[str, int]) -> list[str]:
    return [f"         {count} in the ledger left out: {why}" for why, count in left_out.items()]


def _filed(path: Path, there: Filed, *, named: bool) -> list[str]:
    if there.state == "none":
        so = "the config names it, so every draft goes on" if named else "every bar is uncertified"
        return [f"file     none at {path}: {so}"]
    age = "" if there.age_days is None else f", {there.age_days:.1f} days old"
    labels = "" if there.labels is None else f", of {there.labels} labels"
    state = {
        "valid": "valid" if there.bound else "whole; the device's model is not here to compare",
        "stale": "stale",
        "refused": "refused",
    }[there.state]
    lines = [f"file     {path}: {state}{labels}{age}"]
    lines += [f"         {there.problem}"] if there.problem else []
    if there.says and there.state == "valid":
        at = ""
        if there.look is not None and there.tested_at is not None:
            at = f" (look {there.look}, tested at {sure(there.tested_at)})"
        lines.append(f"         promises: {there.says}{at}")
    if not named:
        lines.append(f"         not in force: the config does not say `confidence: {path}`")
    return lines
