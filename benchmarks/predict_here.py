"""The worker's jobs in this process, on a clock that counts processor time. For `predict.py`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.expected import Expected
from router.device.jobs import Jobs
from router.device.learned import Learned
from router.device.mail import Client
from router.device.open_engine import open_engine
from router.device.predict import Forecast

Told = tuple[int, int, int, int, float | None, float | None, float, float]
"""Jobs before it, prompt, answer, cap; first token and end as foretold; as they came."""


class CpuClock:
    """Seconds of processor time this process has had."""

    def now(self) -> float:
        return time.process_time()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(eq=False)
class _Asker:
    client: Client
    job: Job
    told: Forecast
    began: float
    first: float = 0.0


class Here:
    """One engine and its scheduler; no sockets."""

    def __init__(self, options: EngineOptions) -> None:
        self._engine = open_engine(options)
        self._clock = CpuClock()
        self._learned = Learned()
        self._jobs = Jobs(
            self._engine,
            self._learned,
            self._clock,
            self._post,
            room=256,
            at_once=options.at_once,
        )
        self._askers: dict[Client, _Asker] = {}
        self._seen: list[Told] = []
        self._left: Iterator[Job] = iter(())

    def run(self, jobs: list[Job], clients: int) -> list[Told]:
        """Have them all answered, by so many clients that each ask one at a time."""
        self._left, self._seen = iter(jobs), []
        pairs = [socket.socketpair() for _ in range(clients)]
        with_sockets = [Client(sock=near, number=n + 1) for n, (near, _) in enumerate(pairs)]
        for client in with_sockets:
            self._ask(client)
        while self._jobs.any:
            self._jobs.work()
        for client in with_sockets:
            self._jobs.gone(client)
            client.sock.close()
        for _, far in pairs:
            far.close()
        return self._seen

    def _ask(self, client: Client) -> None:
        job = next(self._left, None)
        if job is None:
            return
        tokens, now = self._engine.count_tokens(job.messages), self._clock.now()
        outlook = replace(self._jobs.outlook(now), you=client.number)
        cap = job.max_output_tokens
        told = Expected(input_tokens=tokens, cap=cap, output_tokens=cap).warm(outlook, 0.0)
        self._askers[client] = _Asker(client, job, told, now)
        self._jobs.add(client, wire.Run(1, job))

    def _post(self, client: Client, *messages: wire.ToClient) -> None:
        asker, now = self._askers[client], self._clock.now()
        for message in messages:
            if isinstance(message, wire.Token):
                asker.first = asker.first or now
            elif isinstance(message, wire.Done):
                self._seen.append(
                    (
                        asker.told.queue or 0,
                        message.input_tokens,
                        message.output_tokens,
                        asker.job.max_output_tokens,
                        asker.told.first_token_s,
                        asker.told.end_s,
                        asker.first - asker.began,
                        now - asker.began,
                    )
                )
                self._ask(client)
