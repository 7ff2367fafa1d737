"""The jobs of a worker: who waits, who runs, and one step of work at a time.

In go jobs of clients, out go their tokens and ends. What steps cost and how long answers get is
learned here, from the steps alone; a job that can't be whole in time by that is told so at once,
and while it waits, so that its policy can send it elsewhere.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import replace

from ..clock import Clock
from ..errors import HopError, NotSent, Unavailable
from . import wire
from .ears import Ears
from .engine import Engine, Job, Run, Step
from .learned import Learned
from .mail import Client
from .predict import Load, Outlook, forecast
from .schedule import PATIENCE_S, Rota, greediest, line, rounds_between
from .task import Task
from .together import Together

SURE = 0.8
"""A job is turned away when so much of its predicted time, with an answer that is short as answers
go, is more than it has. Predictions are within a quarter most of the time."""
LOOK_AGAIN_S = 0.25
LOOKED_AT = 8
LOOK_S = 0.005
"""Waiting jobs that are looked at again each time at most, and seconds that may take."""
_REMEMBERED = 32
"""Tenants with clients of which it is remembered when they last had a place."""


class Jobs:
    """All jobs of one worker.

    Args:
        post: Sends messages to a client.
        room: Most jobs that may wait.
        at_once: Most that run by turns.

    Attributes:
        done: Jobs that ended well.
        ended: Jobs that ended in any way, once they were in line.
        changed: Whether the jobs that are there have changed since somebody set it to False.
    """

    def __init__(
        self,
        engine: Engine,
        learned: Learned,
        clock: Clock,
        post: Callable[..., None],
        *,
        room: int,
        at_once: int,
    ) -> None:
        self._engine = engine
        self._learned = learned
        self._clock = clock
        self._out = Together(post)
        self._room = room
        self._at_once = at_once
        self._rota: Rota[Task] = Rota()
        self._ears = Ears(engine.interrupt)
        self._served: dict[tuple[str, int], None] = {}
        self._stepped_at: float | None = None
        self._looked_at = clock.now()
        self.waiting: list[Task] = []
        self.running: list[Task] = []
        self.done = self.ended = 0
        self.turned_away = 0
        self.changed = False

    @property
    def any(self) -> bool:
        """Whether there is work."""
        return bool(self.running or self.waiting)

    def add(self, client: Client, message: wire.Run) -> None:
        """Put a job in line, or tell it that there is no point."""
        now, within_s = self._clock.now(), message.within_s
        self._learned.came(client.number, now)
        task = Task(
            owner=client,
            id=message.id,
            job=message.job,
            tenant=message.job.tenant or "",
            client=client.number,
            queued_at=now,
            due_s=now + (PATIENCE_S if within_s is None else within_s),
            ends_at=None if within_s is None else now + within_s,
            prompt_tokens=self._count(message.job),
        )
        if self._too_late(task, now):
            return
        self.waiting.append(task)
        self.changed = True
        if len(self.waiting) > self._room:
            last = greediest(self.waiting)
            self.waiting.remove(last)
            self._turn_away(
                last, "queue_full", f"{self._room} requests wait for the device model already"
            )

    def cancel(self, client: Client, number: int) -> None:
        """Nobody waits for this one any more."""
        self._drop([t for t in self._all() if t.owner is client and t.id == number])

    def work(self) -> None:
        """One step of one job, if there is any."""
        self._drop([task for task in self._all() if task.owner.gone])
        now = self._clock.now()
        if self.waiting and now - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = now
            self._look_again(now)
        if self.waiting and len(self.running) < self._at_once:
            self._admit(now)
        if not self.running:
            self._stepped_at = None
            self._out.send()
            return
        self._stepped_at = now if self._stepped_at is None else self._stepped_at
        tasks = self._rota.next(self.running, _reads, self._engine.together)
        if not tasks[0].tokens:
            self._out.send()  # to read takes long
        writers = sum(task.tokens > 0 for task in self.running)
        shared_s = self._compute([task for task in tasks if task.tokens > 0])
        for task in tasks:
            if task not in self.running:  # the run they shared failed, or its client was dropped
                continue
            try:
                if task.steps is None:
                    task.steps = self._engine.run(task.job)
                step = self._step(task.steps, task)
            except Exception as exc:  # a door: it becomes a message, and the worker lives on
                self._fail(task, exc)
            else:
                seconds = self._lap() + (shared_s if task.tokens else 0.0)
                self._learn(task, step, seconds, writers)
                self._report(task, step, self._clock.now())
        self._out.look(self._clock.now())

    def gone(self, client: Client) -> None:
        """A client has left; its jobs go with it."""
        self._learned.left(client.number)
        self._drop([task for task in self._all() if task.owner is client])

    def outlook(self, now: float) -> Outlook:
        """What is ahead."""
        return self._learned.outlook(
            running=tuple(self._load(task, now) for task in self.running),
            waiting=tuple(self._load(task, now) for task in self.waiting),
            served=tuple(self._served),
            at_once=self._at_once,
            rounds=rounds_between(self._engine.together),
        )

    def _compute(self, tasks: list[Task]) -> float:
        """Have the next tokens of those that write computed together; each one's part, seconds."""
        runs = [task.steps for task in tasks if task.steps is not None]
        if not runs:
            return 0.0
        try:
            self._engine.compute(runs)
        except Exception as exc:  # a door, as the other; what they shared is lost to all of them
            for task in tasks:
                self._fail(task, exc)
        return self._lap() / len(runs)

    def _step(self, steps: Run, task: Task) -> Step:
        """Its next step, in which it hears that nobody waits any more if it takes long."""
        if task.first_token_at is not None:
            return next(steps)
        self._ears.listen(task.owner, task.id)
        try:
            return next(steps)
        finally:
            self._ears.rest()

    def _lap(self) -> float:
        """Seconds since the last step ended, or since there was work again."""
        now = self._clock.now()
        began, self._stepped_at = self._stepped_at, now
        return 0.0 if began is None else now - began

    def _fail(self, task: Task, exc: Exception) -> None:
        self._drop([task])
        self._out.post(task.owner, failed(task.id, exc))
        self._lap()

    def _all(self) -> list[Task]:
        return self.running + self.waiting

    def _count(self, job: Job) -> int:
        try:
            return self._engine.count_tokens(job.messages)
        except Exception:  # a door: what is wrong with it is said when it runs
            return 0

    def _admit(self, now: float) -> None:
        order = line(self.waiting, self._served)
        free = self._at_once - len(self.running)
        for task in order[:free]:
            task.started_at = now
            who = (task.tenant, task.client)
            self._served.pop(who, None)
            self._served[who] = None
            self.running.append(task)
        self.waiting = [task for task in self.waiting if task not in order[:free]]
        while len(self._served) > _REMEMBERED:
            del self._served[next(iter(self._served))]
        self.changed = True

    def _drop(self, tasks: list[Task]) -> None:
        """Let go of jobs and what the engine holds for them."""
        for task in tasks:
            if task.steps is not None:
                task.steps.close()
            (self.running if task in self.running else self.waiting).remove(task)
            self.changed = True
        self.ended += len(tasks)

    def _look_again(self, now: float) -> None:
        looked = [task for task in self.waiting if task.ends_at is not None][:LOOKED_AT]
        for task in looked:
            self.waiting.remove(task)
            if not self._too_late(task, now):
                self.waiting.append(task)
            if self._clock.now() - now > LOOK_S:
                break

    def _too_late(self, task: Task, now: float) -> bool:
        """Whether it can't be whole in time; then it is told."""
        if task.ends_at is None:
            return False
        left_s = task.ends_at - now
        short = self._learned.lengths.short(task.job.max_output_tokens)
        load = replace(self._load(task, now), left=1.0 if short is None else short)
        end_s = forecast(self.outlook(now), load).end_s
        if left_s > 0 and (end_s is None or SURE * end_s <= left_s):
            return False
        if left_s <= 0:
            why = "its turn did not come in time"
        else:
            why = f"it would take {end_s:.1f} s at least, and {left_s:.1f} s are left"
        queue = len(self.running) + len(self.waiting)
        self._turn_away(task, "too_late", f"{why}; {queue} other requests are there")
        return True

    def _turn_away(self, task: Task, code: str, why: str) -> None:
        self.turned_away += 1
        self.changed = True
        error = NotSent(f"the device turned it away: {why}", code=code)
        self._out.post(task.owner, failed(task.id, error))

    def _load(self, task: Task, now: float) -> Load:
        cap = task.job.max_output_tokens
        left = self._learned.lengths.expected(cap, task.tokens)
        return Load(
            tenant=task.tenant,
            client=task.client,
            due_s=task.due_s - now,
            unread=self._unread(task),
            before=task.read + task.tokens,
            left=float("inf") if left is None else max(1.0, left),
        )

    def _unread(self, task: Task) -> float:
        """Prompt tokens it has to read still; before it began, as many are known as usual."""
        if not task.reads:
            return 0
        left = task.prompt_tokens - task.read
        if task.read:
            return max(1.0, left)
        known = self._learned.familiar
        return max(1.0, left * (1 - known.share) - known.tokens)

    def _learn(self, task: Task, step: Step, seconds: float, writers: int) -> None:
        costs = self._learned.costs
        if step.token is not None and task.tokens > 0:
            costs.wrote(task.read + task.tokens, writers, seconds)
            return
        if task.chunk is not None:
            tokens, before, spent = task.chunk
            last = step.token is not None
            costs.read(tokens, before, spent + (seconds if last else 0.0), last=last)
            task.chunk = None
        if step.token is None:
            before = max(task.read, step.reused)
            if step.read == before:
                return  # broken off
            task.chunk = (step.read - before, before, seconds)
            task.read, task.reused = step.read, step.reused

    def _report(self, task: Task, step: Step, now: float) -> None:
        stat = step.token
        if stat is None:
            return
        if task.first_token_at is None:
            task.first_token_at = now
            self.changed = True
        task.tokens += 1
        token = wire.Token(
            task.id, step.text, stat.logprob, stat.entropy, stat.margin, step.spelled
        )
        if step.finish is None:
            self._out.tell(task.owner, token, first=task.tokens == 1)
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
            state=step.state,
        )
        self._drop([task])
        self.done += 1
        self._learned.ended(
            task.client,
            now,
            task.read - task.reused,
            task.tokens,
            own_end=step.finish != "length",
            reused=task.reused,
        )
        self._out.post(task.owner, token, done)


def failed(number: int, exc: Exception) -> wire.Failed:
    """An error as a message; one that isn't ours goes into the worker's log too, without its text:
    that may hold a piece of the prompt or of the answer."""
    if isinstance(exc, HopError):
        return wire.Failed(number, exc.kind, exc.message, exc.retryable, exc.code)
    kind, frames = type(exc).__name__, traceback.format_tb(exc.__traceback__)
    print(f"the engine failed: {kind}, at", *frames, sep="\n", file=sys.stderr, flush=True)
    message = f"the engine failed: {kind}; where, is in the worker's log"
    return wire.Failed(number, Unavailable.kind, message, True)


def _reads(task: Task) -> bool:
    return task.reads
