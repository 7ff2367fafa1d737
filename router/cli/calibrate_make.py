"""Labels made on the spot: what they cost is shown first, then they are made, or not."""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING

import typer

from ..compose import Router
from ..config import Config
from ..errors import ConfigError
from ..policy.explain import usd as dollars
from ..world.load import processor_used
from .screen import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..calibration.making import Work
    from ..calibration.plan import Most, Plan
    from ..calibration.prompts import Prompt
    from .calibrate import Wish


async def make(config: Config, policy: str | None, tiers: tuple[str, ...], wish: Wish) -> None:
    """Draft and judge what has no row in the work file yet.

    Raises:
        ConfigError: there is nobody to judge, a price is not known, or nobody said yes.
    """
    from ..calibration.filing import beside_of, binding_of, device_of, strong_of
    from ..calibration.idle import idle
    from ..calibration.making import Caps, Cast, Maker
    from ..calibration.plan import plan, seconds_of
    from ..calibration.prompts import read_prompts
    from ..calibration.workfile import WorkFile
    from ..calibration.workline import done_keys, drafted_by

    assert wish.prompts is not None
    read = read_prompts(wish.prompts)
    for line in read.bad:
        print(line, file=sys.stderr)
    device, file = device_of(config, tiers), WorkFile(wish.work)
    names = {bound.target.name for bound in config.targets}
    for option, name in (("--strong", wish.strong), ("--judge", wish.judge)):
        if name is not None and name not in names:
            raise ConfigError(f"no target is called {name!r}", field=option)
    found = strong_of(config, tiers, device)
    strong = wish.strong or (None if found is None else found.name)
    judge = wish.judge
    if judge is None and strong is None:
        raise ConfigError(
            "nobody can judge the drafts: no target serves a stronger tier",
            field="--strong",
            hint="name a target with --strong or --judge, or label drafts and give --data",
        )
    beside: dict[str, str] = {}
    if wish.tiers:
        _check_compared(judge)
        beside = beside_of(config, tiers, device, strong or "")
    rows, here = file.rows(), binding_of(device, "any")
    drafter = f"{here.model} ({here.quantisation})"
    others = {name or "a model that it does not name" for name in drafted_by(rows) - {drafter}}
    if others:
        raise ConfigError(
            f"holds drafts of {', '.join(sorted(others))}, and the device is {drafter}",
            file=wish.work,
            field="--work",
            hint="name another work file: labels of one model say nothing of another",
        )
    done = done_keys(rows)
    todo = [prompt for prompt in read.prompts if prompt.key not in done]
    took = [row["seconds"] for row in rows if isinstance(row.get("seconds"), int | float)]
    called = [device.name, judge or strong or "", *beside.values()]
    usual = sum(took) / len(took) if took else seconds_of(config.ledger_folder, called)
    router = Router.of(config, policy)
    router.senses.states = frozenset((device.name,))  # for the probe that is fitted on them
    try:
        worst = _worst(router, device.name, strong, judge, beside)
        ahead = plan(todo, len(read.prompts) - len(todo), worst, usual)
        caps = Caps(usd=_amount(wish.most_usd), seconds=wish.most_hours * 3600)
        also = f"; {', '.join(beside.values())} asked too" if beside else ""
        _say(ahead, caps.usd, wish, f"{judge or f'the answer of {strong}'}{also}")
        if not todo or not _agreed(ahead, wish):
            return
        quiet = partial(
            idle,
            router.device_health,
            processor_used,
            lambda: router.senses.machine.read().on_mains,
        )
        maker = Maker(
            street=router,
            cast=Cast(
                device=device.name,
                device_tokens=device.max_output_tokens,
                drafted_by=drafter,
                strong=strong,
                strong_tier=None if strong is None else router.targets[strong].target.tier,
                judge=judge,
                beside=beside,
            ),
            file=file,
            clock=router.clock,
            caps=caps,
            worst=worst,
            idle=quiet if wish.idle else None,
        )
        work = await maker.make(read.prompts, partial(_tell, len(read.prompts)))
        _told(work)
    finally:
        await router.aclose()


def _check_compared(judge: str | None) -> None:
    """Other tiers' answers are compared with the strong one's, or the reference."""
    if judge is not None:
        raise ConfigError(
            "is for answers that are compared, and a judge is shown the draft alone",
            field="--tiers",
            hint="leave --judge out",
        )


def _worst(
    router: Router,
    device: str,
    strong: str | None,
    judge: str | None,
    beside: Mapping[str, str],
) -> Callable[[Prompt], Most]:
    """Most dollars of one prompt: of its draft, where that is not free, and of its judge or the
    strong tier's answer, and those of the tiers beside it."""
    from ..calibration.plan import Most, worst_of_judge, worst_of_strong

    here, asked = router.targets[device], router.targets[judge or strong or device]

    def both(prompt: Prompt) -> Most:
        draft = worst_of_strong(prompt, here.target, here.meter.worst_case)
        if judge is not None:
            other = worst_of_judge(prompt, here.target, asked.meter.worst_case)
        else:
            other = worst_of_strong(prompt, asked.target, asked.meter.worst_case)
        more = {tier: router.targets[name] for tier, name in beside.items()}
        return Most(
            draft=draft,
            other=other,
            beside={
                tier: worst_of_strong(prompt, live.target, live.meter.worst_case)
                for tier, live in more.items()
            },
        )

    return both


def _amount(word: str) -> Decimal:
    try:
        value = Decimal(word.removeprefix("$"))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise ConfigError(f"{word!r} is no amount of dollars", field="--most-usd")
    return value


def _say(ahead: Plan, most: Decimal, wish: Wish, judge: str) -> None:
    """What is about to be done and what it costs, before any of it."""
    cost = "not known" if ahead.usd is None else f"at most {dollars(ahead.usd)}"
    time = (
        "unknown: nothing was measured yet" if ahead.hours is None else f"about {ahead.hours:.2g}"
    )
    lines = (
        f"{counted(ahead.todo, 'prompt')} to draft and judge, {ahead.done} done already",
        f"judged by   {judge}",
        f"dollars     {cost}; stops before {dollars(most)}",
        f"hours       {time}; stops at {wish.most_hours:g}",
        f"kept in     {wish.work}",
    )
    for line in lines:
        print(line, file=sys.stderr)


def _agreed(ahead: Plan, wish: Wish) -> bool:
    """Whether to go on. Raises: ConfigError where nobody can be asked, or no cap can be kept."""
    if ahead.usd is None:
        raise ConfigError(
            "the dollars can't be capped: no price is known for who drafts or who judges",
            field="--most-usd",
            hint="declare a price in a file under `prices:`",
        )
    if wish.yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("nobody is here to say yes", field="--yes", hint="give --yes to go on")
    return typer.confirm("Go on?", err=True)


def _tell(total: int, done: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="", file=sys.stderr, flush=True)
    elif done % 25 == 0:
        print(f"{done} of {total}", file=sys.stderr)


def _told(work: Work) -> None:
    lead = "\n" if sys.stderr.isatty() else ""
    print(f"{lead}{work.made} made, {dollars(work.spent_usd)} spent in all", file=sys.stderr)
    for reason, count in work.failed.items():
        print(f"  {count} failed: {reason}; the next run tries again", file=sys.stderr)
    for reason, count in work.unnamed.items():
        print(f"  {count} labels say nothing of {reason}", file=sys.stderr)
    if work.stopped is not None:
        print(f"stopped: {work.stopped}; run it again to go on", file=sys.stderr)
