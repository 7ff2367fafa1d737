"""Prometheus' text of several workers made one: as if one process had counted it all.

Comes in: what each of them says, its own first. Goes out: one text of the same names. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ..money import EXACT

_OWN = ("firsthop_info", "firsthop_key_day_usd", "firsthop_device_")
"""The same for all: one policy, purses that are shared, one device."""
_LARGEST = ("firsthop_policy_stale", "firsthop_keys_stale", "firsthop_target_quiet_seconds")


@dataclass(slots=True)
class _Family:
    head: list[str] = field(default_factory=list)
    kind: str = ""
    series: dict[str, Decimal] = field(default_factory=dict)


def total(texts: Sequence[str]) -> str:
    """All of them together. Numbers add up, but for those that are alike or say how bad it is."""
    sums: dict[str, _Family] = {}
    for place, text in enumerate(texts):
        for name, family in _families(text).items():
            if name not in sums:
                if place == 0 or not name.startswith(_OWN):
                    sums[name] = family
            elif not name.startswith(_OWN):
                _add(sums[name].series, family.series, largest=name in _LARGEST)
    return _text(sums)


def left_by(dead: str, worker: str) -> str:
    """What all that have ended leave behind: what they have counted, and not how they were."""
    kept = {
        name: family
        for name, family in _families(worker).items()
        if family.kind in ("counter", "histogram") and not name.startswith(_OWN)
    }
    return total([dead, _text(kept)])


def _add(into: dict[str, Decimal], more: dict[str, Decimal], *, largest: bool) -> None:
    for series, value in more.items():
        before = into.get(series)
        if before is None:
            into[series] = value
        else:
            into[series] = max(before, value) if largest else EXACT.add(before, value)


def _families(text: str) -> dict[str, _Family]:
    found: dict[str, _Family] = {}
    family = _Family()
    for line in text.split("\n"):  # a name in it may hold what else is taken for a line's end
        if not line:
            continue
        if line.startswith("# "):
            _, what, name, said = line.split(" ", 3)
            family = found.setdefault(name, _Family())
            family.head.append(line)
            if what == "TYPE":
                family.kind = said
        else:
            series, _, value = line.rpartition(" ")
            family.series[series] = Decimal(value)
    return found


def _text(families: dict[str, _Family]) -> str:
    lines: list[str] = []
    for family in families.values():
        lines += family.head
        lines += [f"{series} {value:f}" for series, value in family.series.items()]
    return "".join(f"{line}\n" for line in lines)
