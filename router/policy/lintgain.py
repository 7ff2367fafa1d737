"""What is odd about how stronger tiers are weighed. For `lint`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..document import Place
from .confided import TIER_GAIN
from .rules import Policy

if TYPE_CHECKING:
    from .lint import Served

_LABELS = "labels have to name them: see `tiers` in docs/confidence.md"


def odd_gains(policy: Policy, served: Served | None) -> Iterator[tuple[str, Place, str | None]]:
    """A message, where it belongs, and what to do.

    Args:
        served: None: not known, so nothing is said of what a calibration tells.
    """
    gain = policy.gain
    if gain is None or served is None or not policy.weighs:
        return
    dark = served.lacking.get("", frozenset())
    silent = [tier for tier in policy.tiers[1:] if f"{TIER_GAIN}{tier}" in dark]
    if not silent:
        return
    names = ", ".join(silent)
    if gain.share is None:
        how = "too few labels of the calibration file tell"
        if not served.calibrated:
            how = "there is no calibration file (`confidence:` in the config) to tell"
        message = f"{how} what {names} gains, and there is no share, so the next tier is asked"
        yield message, ("gain",), f"{_LABELS}; or write share"
    elif len(silent) < len(policy.tiers) - 1:
        told = ", ".join(tier for tier in policy.tiers[1:] if tier not in silent)
        message = f"decides all the same: the calibration file tells of {told}, not of {names}"
        yield message, ("gain", "share"), _LABELS
