"""`GET /metrics`: what the sidecar has done and how it is, for Prometheus.

Comes in: requests that are over, from `After`, and the router as it is when somebody looks. Goes
out: text. Names, labels and units stand in docs/telemetry.md and are kept. What is not known is
not counted as zero: an attempt without usage adds no tokens, one without a price is counted apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from .. import __version__
from ..compose import Router
from ..hops import Attempt, Hop, Outcome
from .after import Over, Turned
from .callers import KEY_TAG, Callers
from .exposition import Counter, Histogram, lines

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds of all histograms, seconds: from a cached word to a long answer of a slow device."""

_STATES = ("closed", "half_open", "open")
_DEVICE_S = 1.0


class Metrics:
    """An `Observer` that counts."""

    traces = False

    def __init__(self) -> None:
        """All at zero."""
        self.requests = Counter(
            "firsthop_requests_total",
            "Requests that went down the street, by how they ended.",
            ("policy", "route", "status"),
        )
        self.turned_away = Counter(
            "firsthop_turned_away_total",
            "Requests that the door turned away.",
            ("status", "code"),
        )
        self.by_key = Counter(
            "firsthop_key_requests_total", "Requests by API key.", ("key", "status")
        )
        self.key_usd = Counter(
            "firsthop_key_cost_usd_total", "Dollars by API key, where known.", ("key",)
        )
        self.flags = Counter("firsthop_flags_total", "Flags of answers.", ("flag",))
        self.hops = Counter(
            "firsthop_hops_total", "Targets tried.", ("target", "tier", "cause", "status")
        )
        self.escalations = Counter(
            "firsthop_escalations_total", "Hops to another tier because of quality.", ("policy",)
        )
        self.attempts = Counter(
            "firsthop_attempts_total", "Calls on the wire; error is none for good.",
            ("target", "error"),
        )  # fmt: skip
        self.tokens = Counter(
            "firsthop_tokens_total", "Tokens as targets counted them.", ("target", "kind")
        )
        self.usd = Counter("firsthop_cost_usd_total", "Dollars, where known.", ("target",))
        self.unpriced = Counter(
            "firsthop_cost_unknown_total", "Calls whose cost is not known.", ("target",)
        )
        self.request_s = Histogram(
            "firsthop_request_seconds", "From arrival to the end.", ("policy",), REQUEST_S
        )
        self.first_byte_s = Histogram(
            "firsthop_first_byte_seconds", "From arrival to the first committed byte.",
            ("policy",), REQUEST_S,
        )  # fmt: skip
        self.hop_s = Histogram(
            "firsthop_hop_seconds", "From a hop's start to its end.", ("target",), REQUEST_S
        )
        self.first_token_s = Histogram(
            "firsthop_hop_first_token_seconds", "From a call to its first token.",
            ("target",), REQUEST_S,
        )  # fmt: skip

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        """See `Observer`."""
        for one in seen:
            if isinstance(one, Turned):
                self.turned_away.add((str(one.status), one.code))
                continue
            self._request(one.closed.outcome)
            key = one.closed.tags.get(KEY_TAG)
            if key is not None:
                self._by_key(key, one.closed.outcome)

    def reopen(self) -> None:
        """See `Observer`."""

    def close(self) -> None:
        """See `Observer`."""

    def _request(self, outcome: Outcome) -> None:
        policy = outcome.policy
        route = ">".join(hop.target for hop in outcome.hops if not hop.aside) or "none"
        self.requests.add((policy, route, outcome.status))
        self.request_s.add((policy,), outcome.total_s)
        if outcome.ttfb_s is not None:
            self.first_byte_s.add((policy,), outcome.ttfb_s)
        for flag in outcome.flags:
            self.flags.add((flag,))
        for hop in outcome.hops:
            if hop.cause == "escalation":
                self.escalations.add((policy,))
            self._hop(hop)

    def _hop(self, hop: Hop) -> None:
        self.hops.add((hop.target, hop.tier, hop.cause, hop.status))
        self.hop_s.add((hop.target,), hop.total_s)
        for attempt in hop.attempts:
            self._attempt((hop.target,), attempt)

    def _attempt(self, target: tuple[str], attempt: Attempt) -> None:
        self.attempts.add((*target, attempt.error_kind or "none"))
        if attempt.ttft_s is not None:
            self.first_token_s.add(target, attempt.ttft_s)
        usage = attempt.usage
        for kind, count in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if count is not None:
                self.tokens.add((*target, kind), count)
        if attempt.cost_usd is not None:
            self.usd.add(target, attempt.cost_usd)
        else:
            self.unpriced.add(target)

    def _by_key(self, key: str, outcome: Outcome) -> None:
        self.by_key.add((key, outcome.status))
        if outcome.cost_usd is not None:
            self.key_usd.add((key,), outcome.cost_usd)

    def lines(self) -> Iterator[str]:
        """What was counted, as text."""
        for metric in vars(self).values():
            yield from metric.lines()


def exposed(
    counted: list[str],
    router: Router,
    callers: Callers | None,
    active: int,
    device: Sequence[str] = (),
) -> str:
    """All there is to say now, in Prometheus' text format.

    Args:
        counted: `Metrics.lines`, taken while nothing was being counted.
        device: Of the device's worker: see `device_lines`.
    """
    return "\n".join([*counted, *_now(router, callers, active), *device]) + "\n"


def _now(router: Router, callers: Callers | None, active: int) -> Iterator[str]:
    policy, ledger = router.watched.policy, router.ledger
    build = (__version__, policy.name, policy.revision)
    yield from lines(
        "firsthop_info", "gauge", "The version and the policy in force; always 1.",
        ("version", "policy", "revision"), [(build, 1)],
    )  # fmt: skip
    for name, text, value in (
        ("requests_active", "Requests that are being answered.", active),
        ("ledger_unwritten", "Results that wait in memory for the disk.", ledger.unwritten),
        ("policy_stale", "1: the policy's file was changed and is wrong.",
         int(router.watched.problem is not None)),
    ):  # fmt: skip
        yield from lines(f"firsthop_{name}", "gauge", text, (), [((), value)])
    yield from lines(
        "firsthop_ledger_failures_total", "counter", "Times a line could not be written.",
        (), [((), ledger.failures)],
    )  # fmt: skip
    if callers is not None:
        stale = int(callers.problem is not None)
        yield from lines(
            "firsthop_keys_stale", "gauge", "1: the file of keys was changed and is wrong.",
            (), [((), stale)],
        )  # fmt: skip
        yield from lines(
            "firsthop_key_day_usd", "gauge", "Dollars of the day of keys that have a budget.",
            ("key",), [((name,), usd) for name, usd in callers.spent()],
        )  # fmt: skip
    health = router.health()
    states = [((name, s), int(t.breaker == s)) for name, t in health.items() for s in _STATES]
    yield from lines(
        "firsthop_breaker_state", "gauge", "How many workers have a target's breaker in the state.",
        ("target", "state"), states,
    )  # fmt: skip
    for name, text, values in (
        ("target_in_flight", "Calls under way.", [t.in_flight for t in health.values()]),
        ("target_queued", "Calls that wait for their turn.", [t.queued for t in health.values()]),
        ("target_quiet_seconds", "Seconds for which a target asked not to be called.",
         [t.quiet_for_s for t in health.values()]),
    ):  # fmt: skip
        pairs = [((key,), value) for key, value in zip(health, values, strict=True)]
        yield from lines(f"firsthop_{name}", "gauge", text, ("target",), pairs)


async def device_lines(router: Router) -> list[str]:
    """The device's worker, if it is up; one that does not answer in a second is passed over."""
    found = None
    try:
        async with asyncio.timeout(_DEVICE_S):
            found = await router.device_health()
    except TimeoutError:
        pass
    up = lines(
        "firsthop_device_up", "gauge", "1: the device's worker answers.",
        (), [((), int(found is not None))],
    )  # fmt: skip
    said = list(up)
    if found is None:
        return said
    reuse = found.reuse
    gauges = [
        ("device_active", "Jobs the device works on by turns.", found.active),
        ("device_queued", "Jobs that wait for the device.", found.queued),
        ("device_prefixes_kept", "Prompts whose caches are kept.", reuse.kept),
        ("device_prefixes_kept_bytes", "Bytes of those caches.", reuse.kept_bytes),
    ]
    if found.memory_bytes is not None:
        gauges.append(("device_memory_bytes", "Resident memory.", found.memory_bytes))
    for name, text, value in gauges:
        said += lines(f"firsthop_{name}", "gauge", text, (), [((), value)])
    for name, text, value in (
        ("device_jobs_total", "Jobs whose prompt was read, since the worker's start.", reuse.jobs),
        ("device_prefix_hits_total", "Those that began with something read before.", reuse.hits),
        ("device_tokens_read_total", "Prompt tokens the model had to read.", reuse.tokens_read),
        ("device_tokens_reused_total", "Prompt tokens it had not to.", reuse.tokens_reused),
        ("device_turned_away_total", "Jobs told at once to go elsewhere.", found.turned_away),
    ):
        said += lines(f"firsthop_{name}", "counter", text, (), [((), value)])
    return said
