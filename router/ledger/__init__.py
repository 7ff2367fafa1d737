"""What happened becomes a row: values to book, dated prices, the ledger, and its reports.

Names are imported when they are first used, so a room that only needs the values does not pay for
a database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .entry import Began, Closed, Sink
    from .ledger import Ledger
    from .pricing import PriceBook, PriceLine
    from .recordings import recorded
    from .report import Report

__all__ = ["Began", "Closed", "Ledger", "PriceBook", "PriceLine", "Report", "Sink", "recorded"]

_HOMES = {
    "Began": "entry",
    "Closed": "entry",
    "Ledger": "ledger",
    "PriceBook": "pricing",
    "PriceLine": "pricing",
    "Report": "report",
    "Sink": "entry",
    "recorded": "recordings",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)
