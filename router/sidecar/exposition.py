"""Counters, gauges and histograms as Prometheus' text format 0.0.4 has them, and nothing more.

The official client was weighed against these lines and left out; docs/adr/0014 says why. One
thread writes at a time: see `Lane.then`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from ..money import EXACT

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES = 500
"""Of one metric; what comes after is counted together, as ``other``."""

Labels = tuple[str, ...]
Number = int | float | Decimal


class Counter:
    """A number by labels that only grows. Its name ends with ``_total``."""

    def __init__(self, name: str, text: str, labels: Labels = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._values: dict[Labels, Number] = {}

    def add(self, labels: Labels, by: Number = 1) -> None:
        """Let it grow. Dollars stay exact."""
        before = self._values.get(labels)
        if before is None:
            labels = _bounded(labels, self._values)
            before = self._values.get(labels)
        if before is None:
            self._values[labels] = by
        elif isinstance(by, Decimal) and isinstance(before, Decimal):
            self._values[labels] = EXACT.add(before, by)
        else:
            self._values[labels] = before + by  # type: ignore[operator] # never mixed

    def lines(self) -> Iterator[str]:
        """As text."""
        return lines(self.name, "counter", self.text, self.labels, self._values.items())


class Histogram:
    """How many values were at most so large, by labels."""

    def __init__(self, name: str, text: str, labels: Labels, bounds: Sequence[float]) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, labels: Labels, value: float) -> None:
        """Count one value."""
        counts = self._counts.get(labels)
        if counts is None:
            labels = _bounded(labels, self._counts)
            counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _head(self.name, "histogram", self.text)
        for labels, counts in self._counts.items():
            so_far = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                so_far += count
                le = "+Inf" if bound == float("inf") else repr(bound)
                said = _labels((*self.labels, "le"), (*labels, le))
                yield f"{self.name}_bucket{said} {so_far}"
            said = _labels(self.labels, labels)
            yield f"{self.name}_sum{said} {_number(self._sums[labels])}"
            yield f"{self.name}_count{said} {so_far}"


def lines(
    name: str, kind: str, text: str, labels: Labels, values: Iterable[tuple[Labels, Number]]
) -> Iterator[str]:
    """One metric of plain numbers; `kind` is ``counter`` or ``gauge``."""
    yield from _head(name, kind, text)
    for key, value in values:
        yield f"{name}{_labels(labels, key)} {_number(value)}"


def _bounded(labels: Labels, known: dict[Labels, list[int]] | dict[Labels, Number]) -> Labels:
    if labels in known or len(known) < MOST_SERIES:
        return labels
    return ("other",) * len(labels)


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    said = ",".join(f'{n}="{_escaped(v)}"' for n, v in zip(names, values, strict=True))
    return f"{{{said}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: Number) -> str:
    return format(value, "f") if isinstance(value, Decimal) else repr(value)
