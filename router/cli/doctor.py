"""`firsthop doctor`: is everything there that the config needs, and what to do if not."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from .. import __version__
from .. import config as configs
from ..config import Config
from ..drive.live import Live
from ..errors import ConfigError, LedgerError, ModelError, PolicyError
from ..policy.rules import Policy
from ..providers.base import Target
from .exits import Exit
from .options import ConfigOption, JsonOption, PolicyOption

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: The thing, such as a target's name.
        says: What was found, and what to do about it.
    """

    state: State
    what: str
    says: str


def doctor(
    config: ConfigOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Check config, policy, targets, models and ledger without calling a cloud."""
    findings = examine(config, policy)
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.state:4}  {finding.what:<20}  {finding.says}")
    if any(f.state == "fail" for f in findings):
        raise typer.Exit(Exit.FAILED)


def examine(config: str | None, policy: str | None) -> list[Finding]:
    """Look at everything; one finding a thing."""
    from ..compose import fit

    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    found = [Finding("ok", "firsthop", f"{__version__}, {python}")]
    try:
        loaded = configs.load(configs.find(config))
    except ConfigError as error:
        return [*found, Finding("fail", "config", str(error))]
    found.append(Finding("ok", "config", str(loaded.file)))
    found += [Finding("warn", s.name, f"left out: {s.why}") for s in loaded.skipped]
    found.append(_ledger(loaded))
    try:
        chosen, targets = fit(loaded, policy)
    except ConfigError as error:
        what = "policy" if isinstance(error, PolicyError) else "config"
        return [*found, Finding("fail", what, str(error))]
    found.append(Finding("ok", "policy", f"{chosen.name}@{chosen.revision}: {chosen.summary}"))
    for live in targets.values():
        found += _target(live)
    return found + _tiers(chosen, loaded)


def _ledger(loaded: Config) -> Finding:
    """Whether it opens, and so whether it can be written."""
    from ..ledger import Ledger

    try:
        Ledger.open(loaded.ledger_folder).close()
    except LedgerError as error:
        return Finding("fail", "ledger", str(error))
    text = "prompts and answers are kept" if loaded.keep_text else "no text is kept"
    return Finding("ok", "ledger", f"{loaded.ledger_folder}, {text}")


def _target(live: Live) -> list[Finding]:
    """A target's key, price and life; for the device its weights."""
    from .. import providers

    target = live.target
    dialect = providers.dialect(target.provider)
    found: list[Finding] = []
    if target.provider == "device":
        found.append(_weights(target.model, target.name))
        found += _accelerator(target)
    elif dialect is not None and dialect.key_env and not _signs_in(target):
        names = " or ".join(dialect.key_env)
        found.append(Finding("fail", target.name, f"no key; set {names} and name it under api_key"))
    else:
        found.append(
            Finding("ok", target.name, f"{target.provider}, model {target.model}, not called")
        )
    if live.meter.price is None:
        found.append(Finding("warn", target.name, "no price is known, so its cost stays unknown"))
    if dialect is not None and dialect.retired:
        found.append(
            Finding("fail", target.name, f"retired on {dialect.retired}; {dialect.successors}")
        )
    return found


def _signs_in(target: Target) -> bool:
    """Whether it has a key, or gets tokens instead."""
    return target.api_key is not None or target.options.get("auth") == "entra"


def _weights(model: str, name: str) -> Finding:
    from ..models import Store

    try:
        found = Store().find(model)
    except ModelError as error:
        return Finding("fail", name, str(error))
    limit = found.context_limit or "unknown"
    return Finding("ok", name, f"model {found.name} in {found.path}, context {limit}")


def _accelerator(target: Target) -> list[Finding]:
    """What was asked to run the model, and whether it can be told that it is there."""
    name = target.options.get("accelerator")
    if not isinstance(name, str):
        return []
    from ..device.runtime import has_accelerator

    if has_accelerator(name) is False:
        says = "is not in this build of onnxruntime-genai; the CPU is used"
        return [Finding("warn", target.name, f"accelerator {name} {says}")]
    return [Finding("ok", target.name, f"accelerator {name}; if it works shows at the first load")]


def _tiers(policy: Policy, loaded: Config) -> list[Finding]:
    served = {bound.target.tier for bound in loaded.targets}
    tiers = policy.tiers
    found = [
        Finding("warn", t, "a tier of the policy that no target serves; it is passed over")
        for t in tiers
        if t not in served
    ]
    return found + [
        Finding("warn", b.target.name, f"serves tier {b.target.tier}, which the policy hasn't")
        for b in loaded.targets
        if b.target.tier not in tiers
    ]
