"""Every signal a policy can speak of: the single source for checks, docs, schema and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from .complexity import COMPLEXITY
from .device import DEVICE
from .draft import DRAFT
from .request import REQUEST
from .signal import CHEAP_US, AtMost, Kind, Known, Signal, Value
from .world import WORLD

__all__ = [
    "CATALOGUE",
    "CHEAP_US",
    "FAMILIES",
    "AtMost",
    "Kind",
    "Known",
    "Signal",
    "Value",
    "find_signal",
    "tier_named",
]

_TAGS = "request.tags.*"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALL = {s.name: s for s in (*REQUEST, *COMPLEXITY, *DEVICE, *WORLD, *DRAFT)}

CATALOGUE: Mapping[str, Signal] = {n: s for n, s in _ALL.items() if "*" not in n}
"""Signals by their whole name."""

FAMILIES: Mapping[str, Signal] = {n: s for n, s in _ALL.items() if "*" in n}
"""Signals with a part that the caller or the policy names, such as ``request.tags.*``."""


def find_signal(name: str) -> Signal | None:
    """The signal of that name, one of a family included. None: there is none."""
    found = CATALOGUE.get(name)
    if found is not None:
        return found
    for pattern, signal in FAMILIES.items():
        if _inside(pattern, name) is not None:
            return replace(signal, name=name)
    return None


def tier_named(name: str) -> str | None:
    """The tier that a signal such as ``tier.cloud.end_s`` is about. None: it names none."""
    if name in CATALOGUE:
        return None
    found = (_inside(pattern, name) for pattern in FAMILIES if pattern != _TAGS)
    return next((tier for tier in found if tier is not None), None)


def _inside(pattern: str, name: str) -> str | None:
    """What stands for the ``*``. None: the name is none of that family."""
    before, after = pattern.split("*")
    inside = name[len(before) : len(name) - len(after)]
    fits = name == f"{before}{inside}{after}" and _NAME.fullmatch(inside)
    return inside if fits else None
