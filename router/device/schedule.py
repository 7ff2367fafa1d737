"""Who is next: which waiting job gets a place, and whose step is the next one. Pure.

In go jobs as values, out comes an order; nothing is kept but the round that is under way. The
worker works by it and the prediction looks ahead with it, so that both speak of the same line.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

PATIENCE_S = 60.0
"""A job without a deadline stands in line as if it had one of so many seconds: behind urgent ones,
but not for ever."""

ROUNDS = 4
"""Rounds between two chunks of a prompt, where a round is one run of the model: it takes a fifth of
a chunk's time, so about half of the time is for those that write. With one round an answer would
take five times as long whenever somebody's prompt is read, which nobody can foretell."""


class Placed(Protocol):
    """What an order depends on.

    Attributes:
        tenant: Whose it is.
        client: Through whom it came.
        due_s: When it is due, in seconds from any moment that is the same for all.
    """

    @property
    def tenant(self) -> Hashable: ...
    @property
    def client(self) -> Hashable: ...
    @property
    def due_s(self) -> float: ...


Who = tuple[Hashable, Hashable]
"""A tenant and a client."""

J = TypeVar("J", bound=Placed)
T = TypeVar("T")


def line(waiting: Iterable[J], served: Iterable[Who]) -> list[J]:
    """The waiting jobs in the order in which they get places.

    Each place goes to the tenant that has been without one longest, there to the client that has,
    and of its jobs to the one that is due first; of equals to the one that came first. So tenants
    take turns however many jobs one of them sends.

    Args:
        served: Tenants with clients, in the order in which they last were given a place.
    """
    last: dict[Hashable, int] = {}
    turn = 0
    for turn, (tenant, client) in enumerate(served, 1):
        last[tenant] = last[tenant, client] = turn
    shelves: dict[Hashable, dict[Hashable, deque[J]]] = {}
    for job in sorted(waiting, key=lambda job: job.due_s):
        shelves.setdefault(job.tenant, {}).setdefault(job.client, deque()).append(job)
    # Heaps of when last served, when due, and a number that keeps what is equal in order.
    tenants: list[tuple[int, float, int, list[tuple[int, float, int, deque[J]]]]] = []
    for tenant, of_tenant in shelves.items():
        clients = [
            (last.get((tenant, client), 0), jobs[0].due_s, number, jobs)
            for number, (client, jobs) in enumerate(of_tenant.items())
        ]
        heapq.heapify(clients)
        due_s = min(jobs[0].due_s for jobs in of_tenant.values())
        tenants.append((last.get(tenant, 0), due_s, len(tenants), clients))
    heapq.heapify(tenants)
    found: list[J] = []
    while tenants:
        turn += 1
        _, due_s, number, clients = tenants[0]
        _, _, place, jobs = clients[0]
        found.append(jobs.popleft())
        if jobs:
            heapq.heapreplace(clients, (turn, jobs[0].due_s, place, jobs))
        else:
            heapq.heappop(clients)
        if clients:
            heapq.heapreplace(tenants, (turn, due_s, number, clients))
        else:
            heapq.heappop(tenants)
    return found


def greediest(waiting: Sequence[J]) -> J:
    """Who gives up a place in a full line: of the tenant that has most there the client that has
    most, and of that one the last job."""
    tenants = Counter(job.tenant for job in waiting)
    clients = Counter((job.tenant, job.client) for job in waiting)

    def greed(at: tuple[int, J]) -> tuple[int, int, int]:
        number, job = at
        return tenants[job.tenant], clients[job.tenant, job.client], number

    return max(enumerate(waiting), key=greed)[1]


def rounds_between(together: int) -> int:
    """Rounds between two chunks, where one run of the model writes for so many."""
    return 1 if together == 1 else ROUNDS


class Rota(Generic[T]):
    """Whose step is next among the jobs that run.

    Those that write take turns, a token each; as many as can be written in one go go together.
    After every round, or every few where rounds are quick, one chunk of a prompt is read, of the
    job that has its place longest: so nobody's answer stands still while a long prompt is read, and
    prompts are read one after the other, as the first is then ready sooner and the last no later.
    """

    def __init__(self) -> None:
        self._round: deque[T] = deque()
        self._rounds: float = math.inf  # since the last chunk

    def next(self, running: Sequence[T], reads: Callable[[T], bool], together: int = 1) -> list[T]:
        """Who takes a step now: one that reads, or up to `together` that write.

        Args:
            running: In order of admission, and not empty.
        """
        while self._round and self._round[0] not in running:
            self._round.popleft()
        if not self._round:
            self._round.extend(job for job in running if not reads(job))
            if self._rounds >= rounds_between(together) or not self._round:
                for job in running:
                    if reads(job):
                        self._rounds = 0
                        self._round.clear()
                        return [job]
            self._rounds += 1
        found: list[T] = []
        while self._round and len(found) < together:
            job = self._round.popleft()
            if job in running:
                found.append(job)
        return found
