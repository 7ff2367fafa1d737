"""firsthop: the first hop of every request is the user's own device.

`Router` and `AsyncRouter` answer a request on the device first; a policy reads how sure the draft
is and goes on to a cloud only when that is worth its price; a ledger books every hop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    AuthFailed,
    BadWire,
    ConfigError,
    ContentFiltered,
    Filtered,
    Forbidden,
    Gone,
    HopError,
    Incapable,
    LedgerError,
    LimitReached,
    ModelError,
    NoAnswer,
    NotSent,
    PolicyError,
    RateLimited,
    Refused,
    RouterError,
    TimedOut,
    Unavailable,
)
from .hops import Attempt, Hop, Outcome
from .types import Image, Message, Request, Tool, ToolCall, Usage

if TYPE_CHECKING:
    from .answer import Answer
    from .client import AsyncRouter, Stream
    from .sync import Router

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AsyncRouter",
    "Attempt",
    "AuthFailed",
    "BadWire",
    "ConfigError",
    "ContentFiltered",
    "Filtered",
    "Forbidden",
    "Gone",
    "Hop",
    "HopError",
    "Image",
    "Incapable",
    "LedgerError",
    "LimitReached",
    "Message",
    "ModelError",
    "NoAnswer",
    "NotSent",
    "Outcome",
    "PolicyError",
    "RateLimited",
    "Refused",
    "Request",
    "Router",
    "RouterError",
    "Stream",
    "TimedOut",
    "Tool",
    "ToolCall",
    "Unavailable",
    "Usage",
]

_LAZY = {
    "Answer": ".answer",
    "AsyncRouter": ".client",
    "Router": ".sync",
    "Stream": ".client",
}


def __getattr__(name: str) -> Any:
    """Load the doors when they are first asked for, so that importing the package is cheap."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name], __name__), name)
