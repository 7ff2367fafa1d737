"""Which signals of a draft only a calibration tells. Pure."""

from __future__ import annotations

OF_CONFIDENCE = frozenset(
    ("draft.confidence", "draft.confidence_low", "draft.certified", "draft.gain")
)
"""Signals that are unknown without a calibration, beside those `OF_TIER`."""
TIER_GAIN, TIER_GOOD = "draft.gain.", "draft.tier_good."
OF_TIER = (TIER_GAIN, TIER_GOOD)
"""How the names of those begin that a calibration tells of each stronger tier."""


def of_confidence(names: frozenset[str]) -> frozenset[str]:
    """Those of the signals that are unknown without a calibration."""
    return frozenset(name for name in names if name in OF_CONFIDENCE or name.startswith(OF_TIER))
