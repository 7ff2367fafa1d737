"""Two policies over the same recorded requests: who would have gone elsewhere, at what cost. Pure.

Comes in: `Recorded` requests and two policies. Goes out: counts by path, dollars, and what could
not be told and why. A cost that was recorded is exact; one that was not is the mean of the tier's
recorded hops and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, localcontext

from ..recorded import Recorded
from .replay import Replay, replay
from .rules import Policy

EXAMPLES = 3
_PLACES = Decimal("1e-12")

Way = tuple[tuple[str, ...], str]
"""Tiers in order, and what came of it; empty where that is not recorded."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Dollars over several requests.

    Attributes:
        usd: What is known, estimates included.
        estimated: How many hops in it are estimates.
        unknown: How many requests are not in it, because a cost is not known.
    """

    usd: Decimal
    estimated: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """Requests that went one way under A and another under B.

    Attributes:
        change: Dollars by B less dollars by A.
        examples: A few decision ids.
    """

    a: Way
    b: Way
    count: int
    change: Sum
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changes from A to B.

    Attributes:
        same: Requests that go the same way; likewise `different`, and `undecidable`, where the
            recording does not tell.
        missing: Signals that were not recorded, and for how many requests each would be needed.
        reasons: Why else it can't be told, and how often.
        moves: Most frequent first; those that go the same way are not among them.
        usd_a: Dollars by A over the requests that are decidable; likewise `usd_b`.
        examples: A few decision ids of requests that are not decidable.
    """

    same: int
    different: int
    undecidable: int
    missing: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    moves: tuple[Move, ...]
    usd_a: Sum
    usd_b: Sum
    examples: tuple[str, ...]

    @property
    def requests(self) -> int:
        """All that were looked at."""
        return self.same + self.different + self.undecidable


def diff(
    a: Policy, b: Policy, requests: Iterable[Recorded], served: Collection[str] | None = None
) -> Difference:
    """Hold two policies against recorded requests, in one pass.

    Args:
        served: Tiers that some target serves. None: all that a policy names.
    """
    with localcontext(Context(prec=50)):  # sums stay exact, whatever the app's own context
        tally = _Tally()
        for request in requests:
            by = next((p for p in (a, b) if p.revision == request.revision), None)
            tally.add(request, replay(a, request, served, by=by), replay(b, request, served, by=by))
        return tally.difference()


@dataclass(slots=True)
class _Cell:
    """Requests that went alike under A and alike under B, unrecorded tiers included."""

    count: int = 0
    unknown: int = 0
    usd_a: Decimal = Decimal(0)
    usd_b: Decimal = Decimal(0)
    examples: list[str] = field(default_factory=list)


Key = tuple[Way, Way, tuple[str, ...], tuple[str, ...]]
"""Both ways, and the tiers of each whose cost was not recorded."""


class _Tally:
    """Counts while requests go by."""

    def __init__(self) -> None:
        self.cells: dict[Key, _Cell] = {}
        self.undecidable = 0
        self.missing: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: list[str] = []
        self.paid: Counter[str] = Counter()
        self.dollars: dict[str, Decimal] = {}

    def add(self, request: Recorded, a: Replay, b: Replay) -> None:
        self.learn(request)
        why = _undecidable(a, b)
        if why or a.missing or b.missing:
            self.undecidable += 1
            self.missing.update(a.missing | b.missing)
            self.reasons.update(why)
            _keep(self.examples, request)
            return
        key = ((a.path, a.end), (b.path, b.end), a.estimated, b.estimated)
        cell = self.cells.setdefault(key, _Cell())
        cell.count += 1
        _keep(cell.examples, request)
        if a.usd is None or b.usd is None:
            cell.unknown += 1
        else:
            cell.usd_a += a.usd
            cell.usd_b += b.usd

    def learn(self, request: Recorded) -> None:
        """What the tiers' answers have cost."""
        for hop in request.hops:
            if hop.tier is not None and hop.answered and hop.cost_usd is not None:
                self.paid[hop.tier] += 1
                self.dollars[hop.tier] = self.dollars.get(hop.tier, Decimal(0)) + hop.cost_usd

    def priced(self, key: Key, cell: _Cell) -> tuple[Sum, Sum]:
        """A cell's dollars by A and by B; both unknown where one of them is."""
        known = cell.count - cell.unknown
        tiers = (*key[2], *key[3])
        if any(not self.paid[tier] for tier in tiers):
            return Sum(Decimal(0), 0, cell.count), Sum(Decimal(0), 0, cell.count)
        a, b = (
            Sum(usd + known * sum((self.mean(t) for t in est), Decimal(0)), known * len(est))
            for usd, est in ((cell.usd_a, key[2]), (cell.usd_b, key[3]))
        )
        return replace(a, unknown=cell.unknown), replace(b, unknown=cell.unknown)

    def mean(self, tier: str) -> Decimal:
        return (self.dollars[tier] / self.paid[tier]).quantize(_PLACES)

    def difference(self) -> Difference:
        same, none = 0, Sum(Decimal(0))
        by_a, by_b = none, none
        moves: dict[tuple[Way, Way], Move] = {}
        for key, cell in self.cells.items():
            a, b = self.priced(key, cell)
            by_a, by_b = _added(by_a, a), _added(by_b, b)
            ways = key[:2]
            if ways[0] == ways[1]:
                same += cell.count
                continue
            change = Sum(b.usd - a.usd, a.estimated + b.estimated, a.unknown)
            move = moves.get(ways, Move(*ways, 0, none, ()))
            moves[ways] = Move(
                *ways,
                count=move.count + cell.count,
                change=_added(move.change, change),
                examples=(*move.examples, *cell.examples)[:EXAMPLES],
            )
        return Difference(
            same=same,
            different=sum(move.count for move in moves.values()),
            undecidable=self.undecidable,
            missing=_ranked(self.missing),
            reasons=_ranked(self.reasons),
            moves=tuple(sorted(moves.values(), key=lambda m: (-m.count, m.a, m.b))),
            usd_a=by_a,
            usd_b=by_b,
            examples=tuple(self.examples),
        )


def _undecidable(a: Replay, b: Replay) -> tuple[str, ...]:
    """Why it can't be told whether they go the same way. Empty: it can, or a signal is missing."""
    if a.why or b.why:
        return tuple({a.why, b.why} - {""})
    if a.missing or b.missing or a.path != b.path or (a.end and b.end):
        return ()
    return (f"{a.unrecorded}'s answer is not recorded, and both go there",)


def _keep(examples: list[str], request: Recorded) -> None:
    if len(examples) < EXAMPLES:
        examples.append(request.decision_id)


def _added(a: Sum, b: Sum) -> Sum:
    return Sum(a.usd + b.usd, a.estimated + b.estimated, a.unknown + b.unknown)


def _ranked(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
