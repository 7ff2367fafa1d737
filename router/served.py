"""What a config's targets serve, as the linter wants to know it: tiers, and what they can't tell.

Comes in: a config that was read. Goes out: a `Served`. Reads the price list and the calibration
file; builds no provider and connects to nothing.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable

from .catalogue.prices import Prices
from .catalogue.target import address
from .config import Config, shipped
from .policy.confided import OF_CONFIDENCE, OF_TIER
from .policy.lint import Served
from .policy.opinions import LEAST_PARAMETERS
from .providers.base import Target

_TELLS_ALL = ("device", "scripted")
"""Providers that show the model's whole distribution at each token, or are told what to show."""

_LOGPROBS = frozenset(("draft.mean_logprob", "draft.min_logprob", "draft.q10_logprob"))
_MARGINS = frozenset(("draft.first_margin", "draft.min_margin"))
_ENTROPY = frozenset(("draft.first_entropy",))
_OF_A_DEVICE = frozenset(
    f"device.{name}"
    for name in ("queue", "first_token_s", "end_s", "in_time", "fits", "sees_images", "calls_tools")
)


def served(config: Config) -> Served:
    """Which target serves which tier, and which signals none of a tier's targets can produce.

    Under the tier ``""`` stand the signals of a request that need a device target, where the
    config has none.
    """
    targets: dict[str, list[Target]] = {}
    for bound in config.targets:
        targets.setdefault(bound.target.tier, []).append(bound.target)
    lacking = {
        tier: frozenset.intersection(*(_lacking(target) for target in of_tier))
        for tier, of_tier in targets.items()
    }
    if not any(bound.target.provider == "device" for bound in config.targets):
        lacking[""] = _OF_A_DEVICE
    dark = _untold(config, targets)
    if dark:
        lacking[""] = lacking.get("", frozenset()) | dark
    prices = Prices.load(config.prices, shipped("configs") / "prices.yaml")
    today = datetime.datetime.now(datetime.UTC).date()
    unpriced: dict[str, tuple[str, ...]] = {}
    for bound in config.targets:
        target = bound.target
        name = bound.price or target.model
        known = prices.find(target.provider, name, today, address(target)) is not None
        if not known and not bound.unknown_price:
            unpriced[target.tier] = (*unpriced.get(target.tier, ()), target.name)
    return Served(
        unpriced=unpriced,
        tiers={tier: tuple(t.name for t in of_tier) for tier, of_tier in targets.items()},
        lacking={tier: names for tier, names in lacking.items() if names},
        calibrated=config.confidence is not None,
        small=frozenset(b.target.name for b in config.targets if _is_small(b.target)),
    )


def _untold(config: Config, tiers: Iterable[str]) -> frozenset[str]:
    """Signals that the config's calibration never tells: all of them where there is none, else
    those of tiers that no labels told of. A file that can't be read is no matter of the policy."""
    if config.confidence is None:
        return OF_CONFIDENCE | {f"{name}{tier}" for name in OF_TIER for tier in tiers}
    try:
        body = json.loads(config.confidence.read_bytes())["calibration"]
        told = frozenset(body.get("tiers", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()
    return frozenset(f"{name}{tier}" for name in OF_TIER for tier in tiers if tier not in told)


def _is_small(target: Target) -> bool:
    """Whether its model is not known to have the parameters it takes to judge its own draft."""
    if target.provider != "device":
        return True  # it is asked on this device only, and others don't say
    from .providers.device import parameters_of

    known = parameters_of(target.model)
    return known is None or known < LEAST_PARAMETERS


def _lacking(target: Target) -> frozenset[str]:
    """What a target never tells of its drafts."""
    if target.provider in _TELLS_ALL:
        return frozenset()
    if target.options.get("logprobs") is True:
        return _ENTROPY  # a cloud shows a few alternatives, never the whole distribution
    return _LOGPROBS | _MARGINS | _ENTROPY
