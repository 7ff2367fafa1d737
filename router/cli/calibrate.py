"""`firsthop calibrate`: labelled drafts become a bar that keeps a promise, or a refusal."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import config as configs
from ..config import Config
from ..errors import ConfigError
from ..providers.base import Provider, Target
from ..signals.catalogue import CATALOGUE
from .exits import Exit
from .onecall import call_once
from .options import ConfigOption, JsonOption, PolicyOption

if TYPE_CHECKING:
    from ..calibration.goal import Goal
    from ..calibration.labelled import Labelled
    from ..calibration.made import Made
    from ..confidence.stored import Binding

Per = StrEnum("Per", {"all": "all", "kept": "kept"})
_DAY_S = 86_400
OUT = Path("confidence.json")
WORK = Path("confidence.work.jsonl")
_NOT_READ = "no calibration reads them, so its bars are for drafts as they are, without any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What `--prompts` and what goes with it ask for."""

    prompts: Path | None
    work: Path
    strong: str | None
    judge: str | None
    tiers: bool
    most_usd: str
    most_hours: float
    idle: bool
    yes: bool


def calibrate(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled drafts, JSONL; may be given again.", metavar="FILE"),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Use the feedback in the ledger.")
    ] = False,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Make labels on the spot for these: one a line, or JSONL.", metavar="FILE"
        ),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="Most losses, such as 5%; the goal if none is given.")
    ] = None,
    spend: Annotated[
        str | None, typer.Option(help="Most requests that are escalated, such as 20%.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="Least share of the strong tier's quality, such as 95%.")
    ] = None,
    confidence: Annotated[str, typer.Option(help="Of the promise.")] = "90%",
    per: Annotated[
        Per, typer.Option(help="What a loss is a share of: all requests, or those kept.")
    ] = Per.all,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Promise for all requests together alone.")
    ] = False,
    early: Annotated[
        bool, typer.Option("--early", help="Also bars for drafts still being written.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Where the calibration goes; the config's `confidence` if not given.",
            metavar="FILE",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write plots to this HTML file.", metavar="FILE")
    ] = None,
    valid_days: Annotated[
        float | None, typer.Option(help="Days it holds; forever if not given.", min=0)
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Where labels made on the spot are kept.", metavar="FILE")
    ] = WORK,
    strong: Annotated[
        str | None,
        typer.Option(help="Target that drafts are compared with; the strongest if not given."),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="Target that says yes or no to a draft instead.")
    ] = None,
    tiers: Annotated[
        bool,
        typer.Option("--tiers", help="Ask the tiers between too, so that labels tell of each."),
    ] = False,
    most_usd: Annotated[
        str, typer.Option(help="Most dollars for labels, those in the work file included.")
    ] = "1.00",
    most_hours: Annotated[
        float, typer.Option(help="Most hours of making labels, this time.", min=0)
    ] = 8.0,
    idle: Annotated[
        bool, typer.Option("--idle", help="Only work while the machine does nothing else.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before it costs.")] = False,
    config: ConfigOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the bar that keeps a promise on your own questions, or say how many labels are missing.

    The estimator is fitted on one half of the labels, and the promise tested on the other. What
    can't be certified is refused: exit code 1, and no file. Each test of this model and build
    is a look more, held to more confidence, so that all of them together keep the promise.
    """
    from ..calibration.calibrate import calibrate as run
    from ..calibration.calibrate import may_pass
    from ..calibration.filing import write
    from ..calibration.goal import look_in_words
    from ..calibration.looks import Looks
    from ..report.write import check_drawable
    from .calibrate_report import draw
    from .calibrate_show import as_plain, show

    if not (data or ledger or prompts):
        raise ConfigError(
            "no labels are named",
            field="--data, --ledger or --prompts",
            hint="`firsthop status` says how many there are in the ledger",
        )
    if report is not None:
        check_drawable()
    goal = goal_of(loss, spend, quality, confidence, per.value, each=not pooled, early=early)
    wish = Wish(
        prompts=prompts,
        work=work,
        strong=strong,
        judge=judge,
        tiers=tiers,
        most_usd=most_usd,
        most_hours=most_hours,
        idle=idle,
        yes=yes,
    )
    loaded = configs.load(configs.find(config))
    out = out or loaded.confidence or OUT
    rows, device, binding = asyncio.run(_labels(loaded, policy, data or [], wish, ledger=ledger))
    now = time.time()
    until = None if valid_days is None else now + valid_days * _DAY_S
    goal = Looks(loaded.ledger_folder).take(rows, goal, binding, now, partial(may_pass, rows))
    made = run(rows, goal, binding, made_at=now, valid_until=until)
    look = look_in_words(goal, counts=may_pass(rows, goal))
    if made.calibration is not None:
        write(out, made.calibration)
    if report is not None:
        draw(report, made, device=device.model, strong="the strong tier", look=look)
    if as_json:
        typer.echo(json.dumps(as_plain(made, rows, goal, out), indent=2))
    else:
        show(made, rows, goal, look, out, device.tier)
        if made.calibration is None and out.exists():
            typer.echo(f"{out} is still the one from before, with what it promised then.")
        _to_do(out, loaded, made)
    if made.calibration is None:
        raise typer.Exit(Exit.FAILED)


def _to_do(out: Path, config: Config, made: Made) -> None:
    """Say what is still to do before the file counts, and for which requests it will not."""
    if made.calibration is None:
        return
    named = config.confidence
    if named is None or named.resolve() != out.resolve():
        folder, path = config.file.parent.resolve(), out.resolve()
        said = path.relative_to(folder) if path.is_relative_to(folder) else path
        typer.echo(f"not in force yet: {config.file} has to say `confidence: {said}`")
    counts = made.calibration.counts
    own = sorted(set(counts.tasks if counts else ()) - set(CATALOGUE["prompt.task"].words) - {""})
    if own:
        typer.echo(
            f"only for requests with the tag `task`, as nothing else tells: {', '.join(own)}"
        )


def goal_of(
    loss: str | None,
    spend: str | None,
    quality: str | None,
    confidence: str,
    per: str,
    *,
    each: bool = True,
    early: bool = False,
) -> Goal:
    """The goal that the options say; a loss of 5 % if they say none. Raises: ConfigError."""
    from ..calibration.goal import Goal

    said = {"loss": loss, "spend": spend, "quality": quality}
    given = [name for name, word in said.items() if word is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} are two goals", hint="give one of them")
    kind = given[0] if given else "loss"
    return Goal(
        kind=kind,  # type: ignore[arg-type]
        amount=share_of(said[kind] or "5%", f"--{kind}"),
        confidence=share_of(confidence, "--confidence"),
        per=per,  # type: ignore[arg-type]
        each=each,
        early=early,
    )


def share_of(word: str, option: str) -> float:
    """``5%`` or ``0.05``. Raises: ConfigError."""
    try:
        value = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise ConfigError(
            f"{word!r} is no share between 0 and 1", field=option, hint="write it as 5% or 0.05"
        )
    return value


async def _labels(
    config: Config, policy: str | None, data: list[Path], wish: Wish, *, ledger: bool
) -> tuple[list[Labelled], Target, Binding]:
    """Every label there is, and what they hold for."""
    from ..calibration.feedback import read_feedback
    from ..calibration.filing import binding_of, device_of, strong_tier
    from ..calibration.tiers import by_tier
    from ..calibration.tracefile import read_labelled
    from ..calibration.workfile import WorkFile
    from ..compose import fit as fitted
    from .calibrate_make import make

    chosen, targets = fitted(config, policy)
    device = device_of(config, chosen.tiers)
    provider = targets[device.name].provider
    try:
        rows: list[Labelled] = []
        if wish.prompts is None and wish.tiers:
            raise ConfigError(
                "is for labels that are made on the spot", field="--tiers", hint="add --prompts"
            )
        if wish.prompts is not None:
            with WorkFile(wish.work).alone():
                await make(config, policy, chosen.tiers, wish)
            data = [*data, wish.work] if wish.work.exists() and wish.work not in data else data
        for path in data:
            read = read_labelled(path)
            for line in read.bad:
                print(line, file=sys.stderr)
            print(f"{path}: {len(read.rows)} labels, {len(read.bad)} bad lines", file=sys.stderr)
            if read.opinions:
                print(f"  {read.opinions} bring opinions: {_NOT_READ}", file=sys.stderr)
            rows += read.rows
        if ledger:
            said = read_feedback(config.ledger_folder, device.name, device.model)
            print(f"ledger: {len(said.rows)} labels", file=sys.stderr)
            for reason, count in said.left_out.items():
                print(f"  {count} left out: {reason}", file=sys.stderr)
            rows += said.rows
        above = chosen.tiers[chosen.tiers.index(device.tier) + 1 :]
        strong = strong_tier(config, above, device, wish.strong)
        found = by_tier(rows, above, strong)
        for name, count in found.unknown.items():
            said_of = f"{count} labels tell of {name!r}, which is no tier above {device.tier}"
            print(f"  {said_of}; the policy has {', '.join(above)}", file=sys.stderr)
        for name, count in found.apart.items():
            said_of = f"{count} labels were made with {name} as the strong tier, not {strong}"
            print(f"  {said_of}: there it is not known how that did", file=sys.stderr)
        return found.rows, device, binding_of(device, await engine_of(device, provider))
    finally:
        for live in targets.values():
            await live.provider.aclose()


async def engine_of(device: Target, provider: Provider) -> str | None:
    """The engine as the device's worker names it, asked for one word. None: it doesn't answer."""
    if device.provider != "device":
        return None
    called = await call_once(provider, timeout_s=device.timeout_s)
    if called.error is not None:
        raise ConfigError(f"target {device.name} doesn't answer: {called.error}")
    info = getattr(provider, "info", None)
    return None if info is None else str(info.engine)
