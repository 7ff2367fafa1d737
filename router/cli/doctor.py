"""`firsthop doctor`: is everything there that the config needs, and what to do if not."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__, providers
from .. import config as configs
from ..catalogue.target import facts_of
from ..clock import Clock, SystemClock
from ..confidence.spending import sure
from ..config import Bound, Config
from ..errors import AuthFailed, ConfigError, HopError, LedgerError, ModelError, PolicyError
from ..policy.rules import Policy
from ..providers.base import Dialect, Provider, Target
from ..providers.check import Check, Checkable
from ..providers.endpoint import key_headers
from ..providers.identity import identity_of
from ..providers.ollama_options import NATIVE
from . import checks
from .checks import Finding
from .exits import Exit
from .onecall import Called, call_once
from .options import ConfigOption, JsonOption, PolicyOption
from .screen import counted, say, say_it_once

if TYPE_CHECKING:
    from ..catalogue.prices import Prices

OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Ask no service; look only at what is on this machine.")
]
CallOption = Annotated[
    bool, typer.Option("--call", help="Ask each cloud for one word too; costs some twenty tokens.")
]

INDENT = 28
"""Where a finding says what was found."""

_COLOURS = {"ok": "green", "unknown": "cyan", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who may be asked: each service for its list, each cloud for a word."""

    services: bool = True
    words: bool = False


def doctor(
    config: ConfigOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
    call: CallOption = False,
) -> None:
    """Check config, policy, ledger and each target: key, service, model, price, life, clock."""
    if offline and call:
        raise ConfigError("can't be used with --offline", field="--call")
    say_it_once()
    asking = Asking(services=not offline, words=call)
    findings = examine(config, policy, asking)
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        show(findings)
    if any(f.state == "fail" for f in findings):
        raise typer.Exit(Exit.FAILED)


def show(findings: list[Finding]) -> None:
    """A line a finding, what to do below it, and how many there are of each kind."""
    for finding in findings:
        state = "?" if finding.state == "unknown" else finding.state
        line = f"{state:4}  {finding.what:<20}  {finding.says}"
        if sys.stdout.isatty():
            # Folded without the colour, whose codes have no width.
            typer.secho(f"{state:4}", fg=_COLOURS[finding.state], nl=False)
            say(line, indent=INDENT, skip=4)
        else:
            typer.echo(line)
        if finding.do is not None:
            say(f"{'':{INDENT}}-> {finding.do}", indent=INDENT + 3)
    count = Counter(f.state for f in findings)
    broken, odd = counted(count["fail"], "thing"), counted(count["warn"], "warning")
    typer.echo(f"\n{broken} to mend, {odd}." if count["fail"] else f"\nNothing to mend, {odd}.")


def examine(
    config: str | None,
    policy: str | None,
    asking: Asking = Asking(services=False),
    clock: Clock | None = None,
) -> list[Finding]:
    """Look at everything; what was found, in the order of the config."""
    from ..compose import price_lists, today

    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    found = [Finding("ok", "firsthop", f"{__version__}, {python}", "firsthop")]
    try:
        loaded = configs.load(configs.find(config))
        prices = price_lists(loaded)
    except ConfigError as error:
        return [*found, Finding("fail", "config", str(error), "config")]
    found.append(Finding("ok", "config", str(loaded.file), "config"))
    found += [Finding("warn", s.name, f"left out: {s.why}", "config") for s in loaded.skipped]
    found.append(_ledger(loaded))
    clock = clock or SystemClock()
    if loaded.confidence is not None:
        found.append(_confidence(loaded, loaded.confidence, clock))
    chosen, judged = _policy(loaded, policy, clock)
    found += judged
    for seen in asyncio.run(_look(loaded, asking)):
        found += _target(seen, prices, today(clock))
    return found + (_tiers(chosen, loaded) if chosen else [])


def _policy(
    loaded: Config, policy: str | None, clock: Clock
) -> tuple[Policy | None, list[Finding]]:
    """The policy under this config, or why it can't be kept."""
    from ..compose import fit

    try:
        chosen, _ = fit(loaded, policy, clock)
    except ConfigError as error:
        what: checks.Check = "policy" if isinstance(error, PolicyError) else "config"
        return None, [Finding("fail", what, str(error), what)]
    says = f"{chosen.name}@{chosen.revision}: {chosen.summary}"
    return chosen, [Finding("ok", "policy", says, "policy")]


def _ledger(loaded: Config) -> Finding:
    """Whether it opens, and so whether it can be written."""
    from ..ledger import Ledger

    try:
        Ledger.open(loaded.ledger_folder).close()
    except LedgerError as error:
        return Finding("fail", "ledger", str(error), "ledger")
    text = "prompts and answers are kept" if loaded.keep_text else "no text is kept"
    return Finding("ok", "ledger", f"{loaded.ledger_folder}, {text}", "ledger")


def _confidence(loaded: Config, file: Path, clock: Clock) -> Finding:
    """Whether the calibration file holds for a model of this config, and what it promises."""
    from ..calibrated import Calibrated

    targets = sorted((b.target for b in loaded.targets), key=lambda t: t.provider != "device")
    here = {
        t.name: identity_of(t, providers.build(t) if t.provider == "device" else None)
        for t in targets
    }
    found = Calibrated(file, here, clock)
    do = "run `firsthop calibrate` again; until then every draft goes on"
    if found.calibration is None:
        return Finding("fail", "confidence", str(found.problem), "confidence", do)
    engine = f"made with {found.calibration.binding.engine}, which the first draft is held to"
    certificate, promise = found.calibration.certificate, found.calibration.promise
    if certificate is None or promise is None:
        says = f"{file}: nothing is certified, so draft.certified stays unknown; {engine}"
        return Finding("warn", "confidence", says, "confidence", do)
    per = "of all requests" if promise.per == "all" else "of the drafts that are kept"
    held = f"loss at most {promise.loss:.3g} {per} with confidence {sure(promise.confidence)}"
    if found.calibration.goal != "loss":  # of a spend, `promise.loss` is the share escalated
        held = found.calibration.says
    says = f"{file}: bar {certificate.bar:.3g}, {held}; {engine}"
    return Finding("ok", "confidence", says, "confidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A target, how it is spoken with at its address, and what came of looking at it.

    Attributes:
        wrong: Why it can't be.
        check: None: nobody was asked.
        called: None: it was not asked for a word.
    """

    bound: Bound
    wrong: ConfigError | None = None
    dialect: Dialect | None = None
    check: Check | None = None
    called: Called | None = None


async def _look(loaded: Config, asking: Asking) -> list[_Seen]:
    """Ask all services at once."""
    return await asyncio.gather(*(_seen(bound, asking) for bound in loaded.targets))


async def _seen(bound: Bound, asking: Asking) -> _Seen:
    target = bound.target
    try:
        provider: Provider = providers.build(target)
    except ConfigError as error:
        return _Seen(bound=bound, wrong=error)
    # Its own: one that has several forms is spoken with as this address wants it.
    dialect = getattr(provider, "dialect", None) or providers.dialect(target.provider)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(provider.aclose)
        ended = dialect is not None and dialect.retired and target.base_url is None
        here = target.provider == "device"  # whose weights are looked at below, asked or not
        if not asking.services or ended or here or not isinstance(provider, Checkable):
            return _Seen(bound=bound, dialect=dialect)
        check = await provider.check()
        if check.url is None and not check.says:
            return _Seen(bound=bound, dialect=dialect)
        called = None
        if asking.words and check.reachable is not False:
            called = await call_once(provider, timeout_s=target.timeout_s)
        return _Seen(bound=bound, dialect=dialect, check=check, called=called)


def _target(seen: _Seen, prices: Prices, on: date) -> list[Finding]:
    """All about one target; for the device its weights."""
    bound, target = seen.bound, seen.bound.target
    name = target.name
    if seen.wrong is not None:
        return [Finding("fail", name, seen.wrong.message, "config", seen.wrong.hint)]
    found: list[Finding] = []
    if target.provider == "device":
        found += _weights(target)
        found += _accelerator(target)
    elif seen.check is None:
        says = f"{target.provider}, model {target.model}, not asked"
        found.append(Finding("ok", name, says, "reachable"))
    needs = _needs_key(target, seen.dialect)
    found += checks.key(bound, needs)
    if seen.check is not None:
        found += checks.service(bound, seen.check, needs, called=seen.called is not None)
        found += checks.clock(bound, seen.check)
    if seen.called is not None:
        found.append(checks.call(bound, seen.called))
    facts = facts_of(target, bound.price, prices, on, conflicts=True)
    own = len(prices.books) > 1 and facts.line in prices.books[0].lines
    found += checks.price(facts, own=own)
    known = checks.lives(facts, seen.dialect, seen.check)
    return found + [checks.life(name, one, on) for one in known]


def _needs_key(target: Target, dialect: Dialect | None) -> str | None:
    """Why a call would fail for want of a good key. None: it wouldn't."""
    try:
        key_headers(target, dialect or NATIVE)
    except AuthFailed as error:
        return error.message
    return None


def _weights(target: Target) -> list[Finding]:
    from ..device.room import SHORT_TOKENS, need_of
    from ..models import Store

    name = target.name
    try:
        found = Store().find(target.model)
        need = need_of(found.path, found.context_limit).at(SHORT_TOKENS)
    except (ModelError, HopError) as error:
        return [Finding("fail", name, str(error), "weights")]
    limit, workers = found.context_limit or "unknown", target.options.get("workers", 1)
    says = f"model {found.name} in {found.path}, context {limit}, {need / 1e9:.1f} GB to load"
    if workers != 1:
        says += f" in each of {workers} workers"
    return [Finding("ok", name, says, "weights")]


def _accelerator(target: Target) -> list[Finding]:
    """What was asked to run the model, and whether it can be told that it is there."""
    name = target.options.get("accelerator")
    if not isinstance(name, str):
        return []
    from ..device.runtime import has_accelerator

    if has_accelerator(name) is False:
        says = f"accelerator {name} is not in this build of onnxruntime-genai; the CPU is used"
        return [Finding("warn", target.name, says, "accelerator")]
    says = f"accelerator {name}; if it works shows at the first load"
    return [Finding("ok", target.name, says, "accelerator")]


def _tiers(policy: Policy, loaded: Config) -> list[Finding]:
    served = {bound.target.tier for bound in loaded.targets}
    tiers = policy.tiers
    unserved = "a tier of the policy that no target serves; it is passed over"
    found = [Finding("warn", t, unserved, "tier") for t in tiers if t not in served]
    return found + [
        Finding(
            "warn", b.target.name, f"serves tier {b.target.tier}, which the policy hasn't", "tier"
        )
        for b in loaded.targets
        if b.target.tier not in tiers
    ]
