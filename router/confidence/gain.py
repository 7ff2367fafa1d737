"""What escalating buys: quality expected above the draft's, and what it costs to get it.

A draft that is wrong is worth escalating only as far as the stronger tier gets that kind of thing
right, so two chances are multiplied: that the draft is wrong, and that the tier then rescues it.
"""

from __future__ import annotations

from .arrays import FloatArray


def expected_gain(good: FloatArray, rescue: FloatArray, slip: FloatArray) -> FloatArray:
    """Quality that the stronger tier is expected to add.

    Args:
        good: P(draft right).
        rescue: P(tier right | draft wrong).
        slip: P(tier wrong | draft right).
    """
    return (1 - good) * rescue - good * slip
