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


def best_tier(
    chances: list[FloatArray], costs: list[FloatArray], usd_per_answer: float
) -> list[int]:
    """For each request the tier with the greatest expected worth less cost; ties to the cheaper.

    Args:
        chances: For each tier, cheapest first, P(good) of each request.
        costs: Dollars each would still cost; zero for an answer that is already there.
        usd_per_answer: What a right answer is worth.
    """
    found = []
    for row in range(len(chances[0])):
        worth = [
            usd_per_answer * float(chance[row]) - float(cost[row])
            for chance, cost in zip(chances, costs, strict=True)
        ]
        found.append(max(range(len(worth)), key=lambda tier: (worth[tier], -tier)))
    return found
