"""How hard a test tries: a short seed in CI, much longer under `make soak`."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("FIRSTHOP_SOAK"))


def times(count: int) -> int:
    """`count` in CI, forty times that under `make soak`."""
    return 40 * count if SOAK else count
