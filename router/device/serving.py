"""The worker's loop: one thread that hears its clients and works on one job, by turns.

In go a listener and an engine; messages come and go over the sockets. Between two steps of the
engine it looks at its mail without waiting; with nothing to do it waits for mail. So there is no
lock, and no second thread that fights the engine for the interpreter. Jobs of all clients wait in
one line, first come, first served.
"""

from __future__ import annotations

import os
import traceback
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from ..clock import Clock
from ..errors import HopError, Unavailable
from . import wire
from .engine import Engine, Job, Reuse, Step
from .mail import Client, Mail
from .meeting import Listener
from .memory import resident_bytes

_LOOK_AT_STARTER_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker puts up with.

    Attributes:
        linger_s: Seconds it stays after its last client has gone.
        nobody_s: Seconds it waits for a first client while its starter lives.
        unread_bytes: Most that may wait for one client to read it; then the client is dropped.
        queue: Most jobs that may wait for their turn.
    """

    linger_s: float = 1.0
    nobody_s: float = 10.0
    unread_bytes: int = 1 << 20
    queue: int = 256


@dataclass(eq=False, slots=True)
class _Task:
    client: Client
    id: int
    job: Job
    queued_at: float
    started_at: float = 0.0
    steps: Generator[Step, None, None] | None = None
    first_token_at: float | None = None
    tokens: int = 0


class Serving:
    """Serves until nobody is left.

    Args:
        engine: Or why there is none: every client is told so and sent away.
        starter_lives: Whether the process that started this one is still there.
    """

    def __init__(
        self,
        listener: Listener,
        engine: Engine | HopError,
        limits: Limits,
        clock: Clock,
        starter_lives: Callable[[], bool],
    ) -> None:
        self._listener = listener
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._starter_lives = starter_lives
        self._mail = Mail(listener, limits.unread_bytes)
        self._queue: deque[_Task] = deque()
        self._running: _Task | None = None
        self._jobs_done = 0
        self._ready_at = clock.now()
        self._alone_since: float | None = self._ready_at
        self._met_somebody = False

    def turn(self) -> bool:
        """Hear the mail, then do one step of work. False: nobody is left, the place is closed."""
        for client, message in self._mail.hear(self._patience_s()):
            self._answer(client, message)
        self._work()
        if self._mail.clients:
            self._alone_since, self._met_somebody = None, True
            return True
        if self._alone_since is None:
            self._alone_since = self._clock.now()
        return self._left_s() > 0 or not self._leave()

    def _patience_s(self) -> float | None:
        if self._running or self._queue:
            return 0.0
        if self._mail.clients:
            return None
        left = self._left_s()
        return left if self._met_somebody else min(left, _LOOK_AT_STARTER_S)

    def _left_s(self) -> float:
        """Seconds a worker without clients still waits for one."""
        expecting = not self._met_somebody and self._starter_lives()
        bound = self._limits.nobody_s if expecting else self._limits.linger_s
        now = self._clock.now()
        since = now if self._alone_since is None else self._alone_since
        return max(0.0, since + bound - now)

    def _leave(self) -> bool:
        if not self._listener.retire():  # somebody is looking for a worker just now: wait for them
            self._alone_since = self._clock.now()
            return False
        self._mail.close()
        return True

    def _answer(self, client: Client, message: wire.ToWorker) -> None:
        if isinstance(message, wire.Hello):
            self._greet(client, message)
        elif not client.greeted or isinstance(self._engine, HopError):
            self._mail.drop(client)
        elif isinstance(message, wire.Run):
            self._enqueue(client, message)
        elif isinstance(message, wire.Cancel):
            self._cancel(client, message.id)
        elif isinstance(message, wire.Count):
            self._count(client, message, self._engine)
        else:
            self._mail.post(client, self._health(message.id))

    def _greet(self, client: Client, hello: wire.Hello) -> None:
        if not self._listener.knows(hello.key) or hello.version != wire.VERSION:
            self._mail.drop(client)
        elif isinstance(self._engine, HopError):
            self._mail.post(client, _failed(0, self._engine))
            self._mail.part(client)
        else:
            client.greeted = True
            card = self._listener.card
            proof = card.proof if card else None
            self._mail.post(client, wire.Ready(self._engine.info, os.getpid(), proof))

    def _enqueue(self, client: Client, message: wire.Run) -> None:
        if len(self._queue) >= self._limits.queue:
            full = Unavailable(f"{len(self._queue)} requests wait for the device model already")
            self._mail.post(client, _failed(message.id, full))
            return
        self._queue.append(_Task(client, message.id, message.job, self._clock.now()))

    def _cancel(self, client: Client, number: int) -> None:
        task = self._running
        if task and task.client is client and task.id == number:
            self._stop()
        self._queue = deque(t for t in self._queue if t.client is not client or t.id != number)

    def _count(self, client: Client, message: wire.Count, engine: Engine) -> None:
        reply: wire.ToClient
        try:
            reply = wire.Counted(message.id, engine.count_tokens(message.messages))
        except Exception as exc:  # a door: it becomes a message
            reply = _failed(message.id, exc)
        self._mail.post(client, reply)

    def _health(self, number: int) -> wire.Healthy:
        return wire.Healthy(
            id=number,
            pid=os.getpid(),
            clients=len(self._mail.clients),
            running=self._running is not None,
            queued=len(self._queue),
            jobs_done=self._jobs_done,
            up_s=self._clock.now() - self._ready_at,
            memory_bytes=resident_bytes(),
            reuse=Reuse() if isinstance(self._engine, HopError) else self._engine.reuse(),
        )

    def _work(self) -> None:
        if self._running and self._running.client.gone:
            self._stop()
        while self._running is None and self._queue:
            task = self._queue.popleft()
            if not task.client.gone:
                task.started_at = self._clock.now()
                self._running = task
        if self._running is None or isinstance(self._engine, HopError):
            return
        task = self._running
        try:
            if task.steps is None:
                task.steps = self._engine.run(task.job)
            step = next(task.steps)
        except Exception as exc:  # a door: it becomes a message, and the worker lives on
            self._stop()
            self._mail.post(task.client, _failed(task.id, exc))
        else:
            self._report(task, step)

    def _report(self, task: _Task, step: Step) -> None:
        stat = step.token
        if stat is None:
            return
        now = self._clock.now()
        if task.first_token_at is None:
            task.first_token_at = now
        task.tokens += 1
        token = wire.Token(
            task.id, step.text, stat.logprob, stat.entropy, stat.margin, step.spelled
        )
        if step.finish is None:
            self._mail.post(task.client, token)
            return
        done = wire.Done(
            id=task.id,
            finish=step.finish,
            input_tokens=step.read,
            output_tokens=task.tokens,
            queued_s=task.started_at - task.queued_at,
            prefill_s=task.first_token_at - task.started_at,
            decode_s=now - task.first_token_at,
            reused_tokens=step.reused,
        )
        self._stop()
        self._jobs_done += 1
        self._mail.post(task.client, token, done)

    def _stop(self) -> None:
        """Let go of the running job and what the engine holds for it."""
        task, self._running = self._running, None
        if task and task.steps:
            task.steps.close()


def _failed(number: int, exc: Exception) -> wire.Failed:
    if isinstance(exc, HopError):
        return wire.Failed(number, exc.kind, exc.message, exc.retryable, exc.code)
    traceback.print_exc()
    message = f"the engine failed: {type(exc).__name__}: {exc}"
    return wire.Failed(number, Unavailable.kind, message, True)
