"""How the doubt of one promise is shared among all looks at one model and build.

Whoever adds labels and tests again, takes other labels, or tests another goal, has that many
chances of being fooled. So each look gets a share of the doubt, and all shares sum to one:
by the union bound (Boole), however the looks hang together, the chance that any look certifies
what is not so is at most the whole doubt. Spending it bit by bit is Lan & DeMets' idea (Biometrika
70, 1983, 659-663); of their rules none is taken, as those need the looks to be of one goal.

Most goes to the first look, since most people take one or two: 0.7, then 0.3 / (k (k - 1)) for
look k, which sums to one. The second has as much as under the usual 6 / (pi k)^2, the first more.
`benchmarks/looks.py` measures what it costs.
"""

from __future__ import annotations

import math

_FIRST = 0.7


def share_of(look: int) -> float:
    """The share of the doubt that look number `look`, from 1, may use."""
    return _FIRST if look == 1 else (1 - _FIRST) / (look * (look - 1))


def confidence_of(confidence: float, look: int) -> float:
    """What a look is tested at, so that all looks together hold with `confidence`."""
    return 1 - (1 - confidence) * share_of(look)


def sure(confidence: float) -> str:
    """A confidence below one in so many digits that it is not read as one: two of its doubt."""
    doubt = 1 - confidence
    places = 4 if doubt <= 0 else max(4, 1 - math.floor(math.log10(doubt)))
    return f"{confidence:.{places}f}".rstrip("0").rstrip(".")
