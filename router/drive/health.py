"""How each target is, for people and probes: what the router would do with it now, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..types import RateLimit
from .breaker import State
from .live import Live
from .senses import Senses


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """One target, as this process knows it.

    Attributes:
        breaker: State of its circuit breaker.
        open_for_s: Seconds until an open breaker lets calls through again; infinity: never. None:
            it does now.
        last_error: Kind of the error that its last call ended with. None: well, or there was none.
        quiet_for_s: Seconds for which it asked not to be called; 0: it may be.
        limit: What it said last of its rate limits. None: nothing yet.
        in_flight: Calls under way.
        max_in_flight: Most of them at once. None: there is no limit.
        queued: Calls that wait for their turn.
        offline_since: Since when there is no network to it, seconds since 1970-01-01 UTC. None:
            there is one as far as is known, or it needs none.
    """

    target: str
    tier: str
    breaker: State
    open_for_s: float | None
    last_error: str | None
    quiet_for_s: float
    limit: RateLimit | None
    in_flight: int
    max_in_flight: int | None
    queued: int
    offline_since: float | None


def health(targets: Mapping[str, Live], senses: Senses) -> dict[str, TargetHealth]:
    """Every target by name, in the order of the config. Asks nobody and changes nothing."""
    return {name: _one(live, senses) for name, live in targets.items()}


def _one(live: Live, senses: Senses) -> TargetHealth:
    name, way = live.target.name, live.way
    return TargetHealth(
        target=name,
        tier=live.target.tier,
        breaker=senses.breakers.state(name),
        open_for_s=senses.breakers.open_for_s(name),
        last_error=way.last_error,
        quiet_for_s=way.quiet_s(senses.clock.now()),
        limit=way.limit,
        in_flight=way.in_flight,
        max_in_flight=way.max_in_flight,
        queued=way.queued,
        offline_since=None if way.network is None else way.network.offline_since,
    )
