"""The worker's loop: one thread that hears its clients and works on their jobs, by turns.

In go a listener and an engine; messages come and go over the sockets. Between two steps of the
engine it looks at its mail without waiting; with nothing to do it waits for mail. So there is no
lock, and no second thread that fights the engine for the interpreter. Who waits and whose step is
next is the business of `jobs.py`; who may come, and when everybody leaves, of this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..clock import Clock
from ..errors import HopError, Unavailable
from . import wire
from .engine import Engine, Reuse
from .expected import tenant_mark
from .idle import GOODBYE, Idle
from .jobs import Jobs, failed
from .learned import Kept, Learned
from .mail import Client, Mail
from .meeting import Listener
from .memory import resident_bytes

REPLACED = "replaced"
"""Code of the error for a job that came to a worker that is about to leave."""

_LOOK_AT_STARTER_S = 0.25
_WEIGHED_EVERY = 16
_ROOM_BYTES = 4_000_000_000
_KEPT_EVERY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker puts up with.

    Attributes:
        linger_s: Seconds it stays after its last client has gone.
        nobody_s: Seconds it waits for a first client while its starter lives.
        unread_bytes: Most that may wait for one client to read it; then the client is dropped.
        queue: Most jobs that may wait for their turn.
        idle_s: Seconds without a job after which it leaves although it has clients. None: never.
        memory_bytes: Most it may take; it doesn't load what needs more. None: what is free.
        bloated_bytes: Resident memory above which it makes room for a fresh worker. None: twice
            what the loaded model takes, and 4 GB.
    """

    linger_s: float = 1.0
    nobody_s: float = 10.0
    unread_bytes: int = 1 << 20
    queue: int = 256
    idle_s: float | None = None
    memory_bytes: int | None = None
    bloated_bytes: int | None = None


class Serving:
    """Serves until nobody is left.

    Args:
        engine: Or why there is none: every client is told so and sent away.
        starter_lives: Whether the process that started this one is still there.
        learned: What is known of the model's speed already.
        keep: Puts away what was learned.
        weigh: Resident memory now, in bytes. None: not readable here.
    """

    def __init__(
        self,
        listener: Listener,
        engine: Engine | HopError,
        limits: Limits,
        clock: Clock,
        starter_lives: Callable[[], bool],
        *,
        at_once: int = 1,
        learned: Learned | None = None,
        keep: Callable[[Kept], None] = lambda kept: None,
        weigh: Callable[[], int | None] = resident_bytes,
    ) -> None:
        self._listener = listener
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._starter_lives = starter_lives
        self._learned = learned or Learned()
        self._keep = keep
        self._weigh = weigh
        self._mail = Mail(listener, limits.unread_bytes, self._gone)
        self._jobs: Jobs | None = None
        if not isinstance(engine, HopError):
            self._jobs = Jobs(
                engine,
                self._learned,
                clock,
                self._mail.post,
                room=limits.queue,
                at_once=at_once,
            )
        self._weighed_at = self._kept_at = 0
        self._leaving = ""
        self._retired = False
        self._ready_at = clock.now()
        self._idle = Idle(limits.idle_s, self._ready_at)
        self._alone_since: float | None = self._ready_at
        self._met_somebody = False

    def turn(self) -> bool:
        """Hear the mail, then do one step of work. False: nobody is left, the place is closed."""
        for client, message in self._mail.hear(self._patience_s()):
            self._answer(client, message)
        worked = self._jobs is not None and self._jobs.any
        if self._jobs is not None:
            self._work(self._jobs)
        if self._leaving:
            return not self._left(self._jobs)
        if self._mail.clients:
            self._alone_since, self._met_somebody = None, True
            if worked:
                self._idle.saw_work(self._clock.now())
            if self._idle.left_s(self._clock.now()) != 0:
                return True
            self.leave(GOODBYE)
            return not self._left(self._jobs)
        if self._alone_since is None:
            self._alone_since = self._clock.now()
        return self._left_s() > 0 or not self._leave()

    def _patience_s(self) -> float | None:
        if self._jobs is not None and self._jobs.any:
            return 0.0
        if self._leaving:
            return _LOOK_AT_STARTER_S
        if self._mail.clients:
            return self._idle.left_s(self._clock.now())
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
        self._end()
        return True

    def _end(self) -> None:
        self._put_away()
        self._mail.close()

    def leave(self, why: str) -> None:
        """Take no new jobs, and leave when those that are there are done. Clients are told."""
        if not self._leaving:
            self._leaving = why
            for client in tuple(self._mail.clients):
                if client.greeted:
                    self._mail.post(client, wire.Goodbye(why))

    def _left(self, jobs: Jobs | None) -> bool:
        """Whether a worker that leaves has left."""
        if not self._retired:
            self._retired = self._mail.retire()
        if not self._retired or (jobs is not None and jobs.any):
            return False
        if any(client.outbox for client in self._mail.clients):
            return False
        self._end()
        return True

    def _answer(self, client: Client, message: wire.ToWorker) -> None:
        if isinstance(message, wire.Hello):
            self._greet(client, message)
        elif not client.greeted or self._jobs is None or isinstance(self._engine, HopError):
            self._mail.drop(client)
        elif isinstance(message, wire.Run):
            self._enqueue(client, message, self._jobs)
        elif isinstance(message, wire.Cancel):
            self._jobs.cancel(client, message.id)
        elif isinstance(message, wire.Count):
            self._count(client, message, self._engine)
        elif isinstance(message, wire.Watch):
            client.watches = True
            self._show([client], self._jobs)
        else:
            self._mail.post(client, self._health(message.id, self._jobs))

    def _greet(self, client: Client, hello: wire.Hello) -> None:
        if not self._listener.knows(hello.key) or hello.version != wire.VERSION:
            self._mail.drop(client)
        elif isinstance(self._engine, HopError):
            self._mail.post(client, failed(0, self._engine))
            self._mail.part(client)
        else:
            client.greeted, client.app = True, hello.app or client.app
            card = self._listener.card
            proof = card.proof if card else None
            self._mail.post(client, wire.Ready(self._engine.info, os.getpid(), proof))
            if self._leaving:
                self._mail.post(client, wire.Goodbye(self._leaving))

    def _enqueue(self, client: Client, message: wire.Run, jobs: Jobs) -> None:
        if self._leaving:
            error = Unavailable(f"the device worker is being replaced: {self._leaving}")
            error.code = REPLACED
            self._mail.post(client, failed(message.id, error))
        else:
            owner = tenant_mark(client.app, message.job.tenant)
            job = replace(message.job, tenant=owner)
            jobs.add(client, wire.Run(message.id, job, message.within_s))

    def _count(self, client: Client, message: wire.Count, engine: Engine) -> None:
        reply: wire.ToClient
        try:
            reply = wire.Counted(message.id, engine.count_tokens(message.messages))
        except Exception as exc:  # a door: it becomes a message
            reply = failed(message.id, exc)
        self._mail.post(client, reply)

    def _health(self, number: int, jobs: Jobs) -> wire.Healthy:
        return wire.Healthy(
            id=number,
            pid=os.getpid(),
            clients=len(self._mail.clients),
            running=bool(jobs.running),
            queued=len(jobs.waiting),
            jobs_done=jobs.done,
            up_s=self._clock.now() - self._ready_at,
            memory_bytes=self._weigh(),
            active=len(jobs.running),
            turned_away=jobs.turned_away,
            reuse=Reuse() if isinstance(self._engine, HopError) else self._engine.reuse(),
        )

    def _gone(self, client: Client) -> None:
        if self._jobs is not None:
            self._jobs.gone(client)

    def _work(self, jobs: Jobs) -> None:
        jobs.work()
        changed, jobs.changed = jobs.changed, False
        behind = []
        for client in self._mail.clients:
            client.behind = client.watches and (changed or client.behind)
            if client.behind and not client.outbox:  # who hasn't read the last one yet gets none
                behind.append(client)
        if behind:
            self._show(behind, jobs)
        if jobs.ended >= self._weighed_at + _WEIGHED_EVERY:
            self._weighed_at = jobs.ended
            self._look_at_memory()
        if jobs.done >= self._kept_at + _KEPT_EVERY:
            self._put_away()

    def _show(self, clients: list[Client], jobs: Jobs) -> None:
        outlook = jobs.outlook(self._clock.now())  # milliseconds when many wait, so once for all
        for client in clients:
            client.behind = False
            self._mail.post(client, wire.Ahead(replace(outlook, you=client.number)))

    def _look_at_memory(self) -> None:
        size, most = self._weigh(), self._limits.bloated_bytes
        loaded = None if isinstance(self._engine, HopError) else self._engine.info.memory_bytes
        if most is None and loaded is not None:
            most = 2 * loaded + _ROOM_BYTES
        if size is not None and most is not None and size > most:
            self.leave(f"it holds {size / 1e9:.2f} GB of memory, and may hold {most / 1e9:.2f}")

    def _put_away(self) -> None:
        """Keep what was learned, if anything was."""
        if self._jobs is not None and self._jobs.done > self._kept_at:
            self._kept_at = self._jobs.done
            self._keep(self._learned.keep())
