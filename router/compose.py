"""Config to live objects: the one file that knows every room."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import config as configs
from . import providers
from .catalogue.prices import Prices
from .catalogue.target import facts_of, line_of
from .clock import Clock, SystemClock
from .config import Bound, Config
from .drive.attempt import Live
from .drive.breaker import Breakers
from .drive.chances import Chances
from .drive.health import TargetHealth, health
from .drive.home import Home
from .drive.meter import DatedMeter
from .drive.network import Network, Place
from .drive.orchestrator import Orchestrator
from .drive.outgoing import Transform
from .drive.purse import Purse
from .drive.senses import DeviceSense, Senses
from .drive.speeds import Speeds
from .drive.toolloops import ToolLoops
from .drive.way import Way
from .errors import ConfigError
from .hops import Outcome
from .ledger import Ledger
from .ondevice import OnDevice
from .policy import load as policies
from .policy.reload import Watched
from .policy.rules import NOT_RUN, Policy
from .providers.base import Provider
from .providers.identity import identity_of
from .served import served
from .types import Chunk, Request
from .world.machine import Machine

if TYPE_CHECKING:
    from .calibrated import Calibrated
    from .device.wire import Healthy

log = logging.getLogger("firsthop")


@dataclass(slots=True)
class Router:
    """A config brought to life; `client` and `sync` are its faces."""

    config: Config
    watched: Watched
    ledger: Ledger
    clock: Clock
    targets: dict[str, Live]
    senses: Senses
    transforms: tuple[Transform, ...] = ()
    named: dict[str, Watched] = field(default_factory=dict)
    calibrated: Calibrated | None = None
    street: Orchestrator = field(init=False)

    def __post_init__(self) -> None:
        keep_text, transforms = self.config.keep_text, self.transforms
        home = Home(self.targets, self.ledger, self.clock, self.senses, keep_text, transforms)
        self.street = Orchestrator(home)

    @classmethod
    def of(
        cls,
        config: str | Path | Config | None,
        policy: str | None = None,
        clock: Clock | None = None,
        transforms: tuple[Transform, ...] = (),
    ) -> Router:
        """Read what is not read yet and build every target. Connects to nothing.

        Raises:
            ConfigError: the config, the policy or the price list is wrong, or they don't fit.
            LedgerError: the ledger's folder can't be written.
        """
        if not isinstance(config, str | Path | Config | None):
            raise ConfigError(
                f"has to be a path or the name of a shipped one, not {type(config).__name__}",
                field="config",
            )
        if not isinstance(config, Config):
            config = configs.load(configs.find(config))
        clock = clock or SystemClock()
        machine = Machine(clock)
        network = Network(clock, machine)
        targets = _targets(config, clock, network)
        watched = _watched(policy, config, targets, clock)
        ledger = Ledger.open(config.ledger_folder, keep_text=config.keep_text)
        calibrated = calibrated_by(config, targets, clock)
        senses = _senses(targets, clock, machine, network, calibrated)
        return cls(
            config, watched, ledger, clock, targets, senses, transforms, calibrated=calibrated
        )

    def of_policy(self, name: str | None) -> Watched:
        """The policy of that name or path. None: the one this router was made with."""
        if name is None:
            return self.watched
        if name not in self.named:
            self.named[name] = _watched(name, self.config, self.targets, self.clock)
        return self.named[name]

    def run(
        self, request: Request, policy: str | None, decision_id: str | None = None
    ) -> AsyncGenerator[Chunk | Outcome, None]:
        """One request, under the policy in force at its start; see `Orchestrator.run`."""
        watched = self.of_policy(policy)
        chosen, problem = watched.check(), watched.problem
        if request.cost_usd is not None:
            limit, only = "cost_usd of this call", request.target
            _check_prices(chosen, self.config, self.targets, limit=limit, only=only)
        notes: list[str] = []
        if problem is not None:
            notes.append(f"the policy's file was changed and is wrong: {problem}")
        if self.calibrated is not None and self.calibrated.problem is not None:
            notes.append(self.calibrated.problem)
        return self.street.run(request, chosen, tuple(notes), decision_id)

    def reload(self) -> Policy:
        """Read every key, policy and calibration file in use now. Returns the router's own policy
        in force.

        Raises:
            ConfigError: one of them is bad, the first of them if several are; their last good
                ones stay in force, and the others are read all the same.
        """
        bad: list[ConfigError] = []
        for bound in self.config.targets:
            try:
                if bound.key is not None:
                    bound.key.reload()
            except ConfigError as exc:
                bad.append(_unread(exc, bound, self.config))
        for watched in (self.watched, *self.named.values()):
            try:
                watched.reload_now()
            except ConfigError as exc:
                bad.append(exc)
        if self.calibrated is not None:
            self.calibrated.load()
        if bad:
            raise bad[0]
        return self.watched.policy

    async def device_health(self) -> Healthy | None:
        """How the first device target's worker is. None: there is none, or it is not up."""
        return None if self.senses.device is None else await self.senses.device.health()

    def health(self) -> dict[str, TargetHealth]:
        """How each target is, by name."""
        return health(self.targets, self.senses)

    async def aclose(self) -> None:
        """Close every target, then the ledger; each of them also when another can't be closed."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self.ledger.close)
            for live in self.targets.values():
                stack.push_async_callback(live.provider.aclose)
            if self.senses.network is not None:
                stack.push_async_callback(self.senses.network.aclose)


def fit(
    config: Config, policy: str | None = None, clock: Clock | None = None
) -> tuple[Policy, dict[str, Live]]:
    """The policy, named or the config's own, and every target by name; opens nothing.

    Raises:
        ConfigError: the config, the policy or the price list is wrong, or they don't fit.
    """
    clock = clock or SystemClock()
    targets = _targets(config, clock, Network(clock))
    return _watched(policy, config, targets, clock).policy, targets


def _targets(config: Config, clock: Clock, network: Network) -> dict[str, Live]:
    prices = price_lists(config)
    return {b.target.name: _live(b, config, prices, clock, network) for b in config.targets}


def calibrated_by(config: Config, targets: dict[str, Live], clock: Clock) -> Calibrated | None:
    """The calibration file of the config under its targets. None: it names none."""
    if config.confidence is None:
        return None
    from .calibrated import Calibrated  # with all it reads drafts by, which few configs need

    # Devices first: where the file is for nobody here, it was probably meant for one.
    lives = sorted(targets.items(), key=lambda item: not item[1].here)
    here = {name: identity_of(live.target, live.provider) for name, live in lives}
    return Calibrated(config.confidence, here, clock)


def _senses(
    targets: dict[str, Live],
    clock: Clock,
    machine: Machine,
    network: Network,
    calibrated: Calibrated | None,
) -> Senses:
    """What signals are read from; the first device target is *the* device."""
    device: DeviceSense | None = None
    for live in targets.values():
        here = live.provider
        if device is None and isinstance(here, OnDevice):
            device = DeviceSense(
                live, here.count_tokens, here.health, here.context_limit, here.forecast
            )
    return Senses(
        clock=clock,
        targets=targets,
        device=device,
        machine=machine,
        speeds=Speeds(clock),
        purse=Purse(clock),
        breakers=Breakers(clock),
        chances=Chances(),
        loops=ToolLoops(),
        network=network,
        confidence=calibrated,
    )


def price_lists(config: Config) -> Prices:
    """The config's own price list and the shipped one. Raises: ConfigError."""
    return Prices.load(config.prices, configs.shipped("configs") / "prices.yaml")


def today(clock: Clock) -> datetime.date:
    """The day by which prices and life dates are looked up."""
    return datetime.datetime.fromtimestamp(clock.wall(), datetime.UTC).date()


def _live(bound: Bound, config: Config, prices: Prices, clock: Clock, network: Network) -> Live:
    target = bound.target
    try:
        provider: Provider = providers.build(target)
    except ConfigError as exc:
        raise _placed(exc, bound, config) from exc
    on = today(clock)
    facts = facts_of(target, bound.price, prices, on)
    line = facts.line
    anyone = line is None or (line.model == "*" and line.id != bound.price)
    if bound.price is not None and anyone:  # a word misspelt must not become the price for all
        raise config.document.error(
            ConfigError,
            f"no price line is called {bound.price!r}",
            (*bound.place, "price"),
            hint=f"the prices are in {', '.join(str(file) for file in prices.files)}; "
            "`firsthop prices` shows what is known",
        )
    for warning in facts.warnings(on):
        log.warning("target %s: %s", target.name, warning)
    return Live(
        target=target,
        provider=provider,
        meter=DatedMeter(partial(line_of, target, bound.price, prices), clock),
        attempts=bound.attempts,
        image_tokens=bound.image_tokens,
        here=getattr(provider, "here", False),
        unknown_price=bound.unknown_price,
        max_input_tokens=facts.max_input_tokens,
        way=_way(provider, bound, network),
    )


def _way(provider: Provider, bound: Bound, network: Network) -> Way:
    """The way to a target: over the network where its provider says that it needs one."""
    address: tuple[str, int] | None = getattr(provider, "address", None)
    if address is None:
        return Way(max_in_flight=bound.max_in_flight)
    network.add(Place(*address))
    return Way(max_in_flight=bound.max_in_flight, network=network)


def _placed(error: ConfigError, bound: Bound, config: Config) -> ConfigError:
    """A provider's complaint about its target, with the file and line where that stands."""
    inside = (error.field or "").removeprefix(f"targets.{bound.target.name}").strip(".")
    place = (*bound.place, *(inside.split(".") if inside else ()))
    return config.document.error(ConfigError, error.message, place, hint=error.hint)


def _unread(error: ConfigError, bound: Bound, config: Config) -> ConfigError:
    """A key that can't be read again, with the place in the config that says where it lies."""
    return config.document.error(
        ConfigError, error.message, (*bound.place, "api_key"), hint=error.hint
    )


def _watched(name: str | None, config: Config, targets: dict[str, Live], clock: Clock) -> Watched:
    """The policy of that name or path, or the config's own, held against the config."""
    fits = partial(_hold, config, targets)
    try:
        path = policies.find(config.policy if name is None else name, config.policy_folders)
        return Watched(path, clock, served=served(config), fits=fits)
    except ConfigError as exc:
        if name is not None or exc.file is not None:
            raise
        raise config.document.error(ConfigError, exc.message, ("policy",), hint=exc.hint) from exc


def _hold(config: Config, targets: dict[str, Live], policy: Policy) -> None:
    """Raises ConfigError when a policy can't be kept under this config."""
    tiers = {live.target.tier for live in targets.values()}
    if not tiers & set(policy.tiers):
        raise config.document.error(
            ConfigError,
            f"no target serves a tier of policy {policy.name} ({', '.join(policy.tiers)})",
            ("targets",),
            hint=f"the config's targets serve: {', '.join(sorted(tiers))}",
        )
    for name in ("cost_usd", "day_usd"):
        if getattr(policy.limits, name) is not None:
            _check_prices(policy, config, targets, limit=f"limits.{name} of policy {policy.name}")
    for part, not_yet in NOT_RUN.items():
        if getattr(policy, part) is not None:
            log.warning("policy %s has a %s, and %s", policy.name, part, not_yet)


def _check_prices(
    policy: Policy,
    config: Config,
    targets: dict[str, Live],
    *,
    limit: str,
    only: str | None = None,
) -> None:
    """A dollar limit over a price nobody knows is refused. `only`: the one target that counts."""
    for bound in config.targets:
        target = bound.target
        unknown = targets[target.name].meter.price is None and not bound.unknown_price
        if target.tier in policy.tiers and unknown and only in (None, target.name):
            raise config.document.error(
                ConfigError,
                f"{limit} can't be kept: no price is known for target {target.name}, "
                f"model {target.model!r} of {target.provider}",
                (*bound.place, "price"),
                hint="name its model or a price line with `price:`, declare a price in a file "
                "under `prices:`, or write `unknown_price: allow` to let the limit pass it by",
            )
