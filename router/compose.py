"""Config to live objects: the one file that knows every room."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from . import config as configs
from . import providers
from .clock import Clock, SystemClock
from .config import Bound, Config
from .drive.attempt import Live
from .drive.going import Home
from .drive.meter import PriceMeter
from .drive.orchestrator import Orchestrator
from .errors import ConfigError
from .hops import Outcome
from .ledger import Ledger
from .ledger.pricing import PriceBook
from .policy import load as policies
from .policy.rules import Policy
from .providers.base import Provider
from .types import Chunk, Message, Request

if TYPE_CHECKING:
    from .device.wire import Healthy

log = logging.getLogger("firsthop")


@runtime_checkable
class OnDevice(Protocol):
    """What a provider on this device can be asked without a call."""

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens, template included. None: its tokenizer is not loaded."""
        ...

    async def health(self) -> Healthy | None:
        """How its worker is. None: it is not up."""
        ...


@dataclass(slots=True)
class Router:
    """A config brought to life; `client` and `sync` are its faces."""

    config: Config
    policy: Policy
    ledger: Ledger
    clock: Clock
    targets: dict[str, Live]
    cached: dict[str, Policy] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        config: str | Path | Config | None,
        policy: str | None = None,
        clock: Clock | None = None,
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
        chosen, targets = fit(config, policy, clock)
        ledger = Ledger.open(config.ledger_folder, keep_text=config.keep_text)
        return cls(config, chosen, ledger, clock, targets)

    def named(self, name: str | None) -> Policy:
        """The policy of that name or path, read once. None: the one this router was made with."""
        if name is None:
            return self.policy
        if name not in self.cached:
            self.cached[name] = _policy(name, self.config, self.targets, given=True)
        return self.cached[name]

    def run(self, request: Request, policy: str | None) -> AsyncGenerator[Chunk | Outcome, None]:
        """One request; see `Orchestrator.run`."""
        chosen = self.named(policy)
        if request.cost_usd is not None:
            _check_prices(chosen, self.config, self.targets, limit="cost_usd of this call")
        home = Home(self.targets, self.ledger, self.clock, self.count_tokens, self.config.keep_text)
        return Orchestrator(home).run(request, chosen)

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """The first device target's own count. None: there is none, or it is not loaded."""
        for live in self.targets.values():
            if isinstance(live.provider, OnDevice):
                return await live.provider.count_tokens(messages)
        return None

    async def device_health(self) -> Healthy | None:
        """How the first device target's worker is. None: there is none, or it is not up."""
        for live in self.targets.values():
            if isinstance(live.provider, OnDevice):
                return await live.provider.health()
        return None

    async def aclose(self) -> None:
        """Close every target, then the ledger; each of them also when another can't be closed."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self.ledger.close)
            for live in self.targets.values():
                stack.push_async_callback(live.provider.aclose)


def fit(
    config: Config, policy: str | None = None, clock: Clock | None = None
) -> tuple[Policy, dict[str, Live]]:
    """The policy, named or the config's own, and every target by name; opens nothing.

    Raises:
        ConfigError: the config, the policy or the price list is wrong, or they don't fit.
    """
    clock = clock or SystemClock()
    prices = PriceBook.load(config.prices)
    targets = {b.target.name: _live(b, config, prices, clock) for b in config.targets}
    name = config.policy if policy is None else policy
    return _policy(name, config, targets, given=policy is not None), targets


def _live(bound: Bound, config: Config, prices: PriceBook, clock: Clock) -> Live:
    target = bound.target
    try:
        provider: Provider = providers.build(target)
    except ConfigError as exc:
        raise _placed(exc, bound, config) from exc
    on = datetime.datetime.fromtimestamp(clock.wall(), datetime.UTC).date()
    line = prices.find(target.provider, bound.price or target.model, on)
    anyone = line is None or (line.model == "*" and line.id != bound.price)
    if bound.price is not None and anyone:  # a word misspelt must not become the price for all
        raise config.document.error(
            ConfigError,
            f"no price line is called {bound.price!r}",
            (*bound.place, "price"),
            hint=f"the prices are in {config.prices}",
        )
    retired = providers.dialect(target.provider)
    if retired is not None and retired.retired:
        log.warning(
            "target %s: %s was retired on %s; %s",
            target.name,
            target.provider,
            retired.retired,
            retired.successors or "choose another",
        )
    return Live(target=target, provider=provider, meter=PriceMeter(line), attempts=bound.attempts)


def _placed(error: ConfigError, bound: Bound, config: Config) -> ConfigError:
    """A provider's complaint about its target, with the file and line where that stands."""
    inside = (error.field or "").removeprefix(f"targets.{bound.target.name}").strip(".")
    place = (*bound.place, *(inside.split(".") if inside else ()))
    return config.document.error(ConfigError, error.message, place, hint=error.hint)


def _policy(name: str, config: Config, targets: dict[str, Live], *, given: bool) -> Policy:
    """Load a policy and hold it against the config."""
    try:
        policy = policies.load(policies.find(name, config.policy_folders))
    except ConfigError as exc:
        if given or exc.file is not None:
            raise
        raise config.document.error(ConfigError, exc.message, ("policy",), hint=exc.hint) from exc
    served = {live.target.tier for live in targets.values()}
    if not served & set(policy.tiers):
        raise config.document.error(
            ConfigError,
            f"no target serves a tier of policy {policy.name} ({', '.join(policy.tiers)})",
            ("targets",),
            hint=f"the config's targets serve: {', '.join(sorted(served))}",
        )
    if policy.limits.cost_usd is not None:
        _check_prices(policy, config, targets, limit=f"limits.cost_usd of policy {policy.name}")
    return policy


def _check_prices(policy: Policy, config: Config, targets: dict[str, Live], *, limit: str) -> None:
    """A dollar limit means nothing over a price nobody knows, so it is refused."""
    for bound in config.targets:
        target = bound.target
        if target.tier in policy.tiers and targets[target.name].meter.price is None:
            raise config.document.error(
                ConfigError,
                f"{limit} can't be kept: no price is known for model {target.model!r} "
                f"of {target.provider}",
                bound.place,
                hint="name a price line with `price:`, or use a policy without a dollar limit",
            )
