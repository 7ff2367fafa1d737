"""A trace as text for people and as plain values for machines. Rendered only when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..hops import Hop
from ..quick import quick
from ..signals.catalogue import AtMost, Value
from .predicates import (
    SYMBOLS,
    All,
    AnyOf,
    Not,
    Predicate,
    Signals,
    Test,
    Truth,
    tests_in,
)
from .trace import Check, Entry, Taken

_WORDS: dict[str, dict[Truth, str]] = {
    "guard": {True: "yes", False: "no", None: "unknown"},
    "route": {True: "yes", False: "no", None: "unknown"},
    "early": {True: "holds", False: "fails", None: "unknown"},
    "abort": {True: "yes", False: "no", None: "unknown"},
    "race": {True: "yes", False: "no", None: "unknown"},
    "accept": {True: "holds", False: "fails", None: "unknown"},
}


@quick
@dataclass(frozen=True, slots=True)
class PolicyTrace:
    """What the policy said and why; see `hops.Trace`."""

    entries: tuple[Entry, ...]

    def lines(self, hops: tuple[Hop, ...]) -> list[str]:
        found: list[str] = []
        left = {hop.index: hop for hop in hops}
        for entry in self.entries:
            if isinstance(entry, Check):
                found.append(_check_line(entry))
            elif isinstance(entry, Taken):
                hop = left.pop(entry.hop, None)
                found += [] if hop is None else _hop_lines(hop)
            else:
                found.append(f" note   {entry.text}")
        # Of a rival that was under way when the caller left the walk has said nothing.
        return found + [line for hop in left.values() for line in _hop_lines(hop)]

    def as_json(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for entry in self.entries:
            if isinstance(entry, Check):
                found.append(
                    {
                        "kind": entry.kind,
                        "id": entry.id,
                        "truth": entry.truth,
                        "effect": entry.effect,
                        "tests": [
                            {
                                "signal": test.signal,
                                "op": test.op,
                                "bound": test.bound,
                                "value": plain(entry.signals.get(test.signal)),
                                "truth": entry.truth
                                if test is entry.predicate
                                else test.truth(entry.signals),
                            }
                            for test in tests_in(entry.predicate)
                        ],
                    }
                )
            elif isinstance(entry, Taken):
                found.append(
                    {
                        "kind": "hop",
                        "hop": entry.hop,
                        "cause": entry.cause,
                        "because": entry.because,
                    }
                )
            else:
                found.append({"kind": "note", "text": entry.text})
        return found


def plain(value: Value) -> Any:
    """A signal's value for JSON; a bound says that it is one."""
    return {"at_most": value.bound} if isinstance(value, AtMost) else value


def show(value: Value) -> str:
    """A signal's value for people."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value == "":
        return "(empty)"
    if not isinstance(value, float):
        return str(value)
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def test_text(test: Test, signals: Signals) -> str:
    """One test with the value it saw: ``draft.mean_logprob -0.61 >= -0.35``.

    Two numbers that differ never look the same.
    """
    value, bound = signals.get(test.signal), test.bound
    if isinstance(bound, tuple):
        left, right = show(value), f"[{', '.join(map(show, bound))}]"
    else:
        left, right = show(value), show(bound)
        if left == right and value != bound:
            left, right = str(value), str(bound)
    return f"{test.signal} {left} {SYMBOLS[test.op]} {right}"


def predicate_text(predicate: Predicate, signals: Signals) -> str:
    """A predicate as it is built: ``not (a, b)``, ``a or b``; a comma is an "and"."""
    if isinstance(predicate, Test):
        return test_text(predicate, signals)
    if isinstance(predicate, Not):
        return f"not ({predicate_text(predicate.part, signals)})"
    if isinstance(predicate, All | AnyOf):
        between = ", " if isinstance(predicate, All) else " or "
        parts = [predicate_text(part, signals) for part in predicate.parts]
        simple = all(isinstance(part, Test | Not) for part in predicate.parts)
        return between.join(parts if simple else [f"({part})" for part in parts])
    raise TypeError(f"not a predicate: {predicate!r}")


def usd(amount: Decimal | None) -> str:
    """Dollars for people: every place there is, and at least six, when it is not zero."""
    if amount is None:
        return "cost unknown"
    if amount == 0:
        return "$0"
    whole, _, places = f"{amount:f}".partition(".")
    return f"${whole}.{places.rstrip('0'):0<6}"


def seconds(value: float | None) -> str:
    """Seconds for people, with as many places as say something."""
    if value is None:
        return "unknown"
    return f"{value:.2f} s" if value >= 0.1 else f"{value:.4f} s"


def _check_line(check: Check) -> str:
    tests = predicate_text(check.predicate, check.signals)
    effect = f"   -> {check.effect}" if check.effect else ""
    word = _WORDS[check.kind][check.truth]
    return f" {check.kind:<6} {check.id:<24} {word:<8} {tests}{effect}"


def _hop_lines(hop: Hop) -> Sequence[str]:
    last = hop.last
    line = (
        f" hop {hop.index + 1:<2} {hop.target:<24} {hop.cause:<10} ttft {seconds(last.ttft_s)}"
        f"  tpot {seconds(last.tpot_s)}  total {seconds(hop.total_s)}  {usd(hop.cost_usd)}"
    )
    if hop.aside:
        return [f"{line}  {len(hop.attempts)} at once"]
    retries = len(hop.attempts) - 1
    return [line + (f"  {retries} {'retry' if retries == 1 else 'retries'}" if retries else "")]
