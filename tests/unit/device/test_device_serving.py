"""The worker's loop, turned by hand: real sockets, an engine that says what the test wrote."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from router.clock import ManualClock
from router.device import wire
from router.device.engine import EngineInfo, Job, Reuse, Step
from router.device.learned import Learned
from router.device.meeting import listen, read_card
from router.device.place import Place
from router.device.serving import Limits, Serving
from router.device.together import PICTURE_S
from router.errors import Incapable, Unavailable
from router.types import Message, TokenStat

LIMITS = Limits(linger_s=1.0, nobody_s=10.0)
STAT = TokenStat(-0.5, 1.0, 0.25)


class Scripted:
    """An engine whose prompt is read in as many steps as it has words, and whose answer is the
    prompt's words. The word `boom` fails."""

    info = EngineInfo(
        model="scripted",
        engine="scripted 1",
        device="cpu",
        fallback=None,
        context_limit=100,
        load_s=0.0,
        memory_bytes=None,
    )

    def __init__(self):
        self.closed = 0
        self.steps = 0
        self.owners = {}

    def reuse(self):
        return Reuse(jobs=3)

    def count_tokens(self, messages):
        return len(messages[0].content.split())

    together = 1

    def interrupt(self):
        pass

    def compute(self, runs):
        pass

    def run(self, job):
        words = job.messages[0].content.split()
        self.owners[job.messages[0].content] = job.tenant
        try:
            for read in range(1, len(words) + 1):
                self.steps += 1
                yield Step(read=read)
            for number, word in enumerate(words, 1):
                self.steps += 1
                if word == "boom":
                    raise RuntimeError(f"fell over at {words}")
                if word == "long":
                    raise Incapable("too long", code="context_length_exceeded")
                last = number == len(words)
                yield Step(
                    read=len(words),
                    text=word,
                    token=STAT,
                    finish="stop" if last else None,
                    state=b"mean" if last and job.states else None,
                )
        finally:
            self.closed += 1


class InStep(Scripted):
    """One that computes the next tokens of several in one go, and fails at the fifth if told to."""

    together = 8

    def __init__(self, fails_at=None):
        super().__init__()
        self.computed = []
        self.fails_at = fails_at

    def interrupt(self):
        pass

    def compute(self, runs):
        self.computed.append(len(runs))
        if len(self.computed) == self.fails_at:
            raise Unavailable("the runtime failed", retryable=False)


class Client:
    """A blocking client that reads what is there."""

    def __init__(self, worker, key=None, app=""):
        self.worker = worker
        self.app = app
        self.sock = worker.dial()
        self.inbox = wire.Inbox()
        self.got = []
        self.key = key

    def send(self, *messages):
        self.sock.sendall(b"".join(map(wire.pack, messages)))

    def read(self):
        """Everything that has come; adds to `got`. False: the worker has closed."""
        self.sock.setblocking(False)
        try:
            while data := self.sock.recv(1 << 16):
                self.got += self.inbox.replies(data)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        return False

    def hello(self):
        self.send(wire.Hello(wire.VERSION, self.key, self.app))
        self.worker.turn(2)
        self.read()
        return self

    def run(self, number, text, tenant=None, *, states=False):
        messages = (Message(role="user", content=text),)
        job = Job(messages=messages, max_output_tokens=50, tenant=tenant, states=states)
        self.send(wire.Run(number, job))

    def text(self, number):
        return " ".join(m.text for m in self.got if isinstance(m, wire.Token) and m.id == number)

    def of(self, kind):
        return [m for m in self.got if isinstance(m, kind)]


class Worker:
    def __init__(
        self, folder, engine=None, limits=LIMITS, transport=None, starter_lives=True, **options
    ):
        transport = transport or ("tcp" if sys.platform == "win32" else "unix")
        self.place = Place(folder=str(folder), name="w", transport=transport)
        self.engine = engine or Scripted()
        self.clock = ManualClock()
        self.turn_s = 0.0
        self.listener = listen(self.place)
        self.starter_lives = starter_lives
        self.serving = Serving(
            self.listener,
            self.engine,
            limits,
            self.clock,
            lambda: self.starter_lives,
            **options,
        )
        self.alive = True
        self.sockets = []

    def dial(self):
        if self.place.transport == "tcp":
            sock = socket.create_connection(self.listener.sock.getsockname())
        else:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(self.place.socket))
        self.sockets.append(sock)
        return sock

    def turn(self, times=1):
        for _ in range(times):
            self.clock.advance(self.turn_s)
            self.alive = self.alive and self.serving.turn()

    def until_idle(self, *clients):
        while self.serving._jobs is not None and self.serving._jobs.any:
            self.turn()
        for client in clients:
            client.read()

    def close(self):
        for sock in self.sockets:
            sock.close()
        while self.alive:
            self.clock.advance(100)
            self.turn()


@pytest.fixture
def folder():
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    yield Path(short)
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture
def start(folder):
    started = []

    def make(*args, **kwargs):
        started.append(Worker(folder, *args, **kwargs))
        return started[-1]

    yield make
    for worker in started:
        worker.close()
        assert not worker.place.socket.exists()
        assert not worker.place.card.exists()


class Deaf(Scripted):
    """An engine whose first step takes until it is interrupted."""

    def __init__(self):
        super().__init__()
        self.reading = threading.Event()
        self.broken_off = threading.Event()

    def interrupt(self):
        self.broken_off.set()

    def run(self, job):
        try:
            self.reading.set()
            assert self.broken_off.wait(20), "nobody interrupted"
            yield Step(read=0)
            yield from super().run(job)
        finally:
            self.closed += 1


def test_a_job_is_cancelled_while_a_piece_of_its_prompt_is_read(start):
    worker = start(engine=Deaf())
    client = Client(worker).hello()
    client.run(1, "a long prompt")

    def cancel():
        worker.engine.reading.wait(20)
        client.send(wire.Cancel(1))

    caller = threading.Thread(target=cancel)
    caller.start()
    worker.turn(2)
    caller.join()
    assert worker.engine.broken_off.is_set()
    assert not worker.serving._jobs.any
    assert worker.engine.closed == 1
    client.read()
    assert client.of(wire.Failed) == client.of(wire.Token) == []


def test_a_client_is_told_what_the_engine_is(start):
    client = Client(start()).hello()

    assert [m.info for m in client.of(wire.Ready)] == [Scripted.info]


def test_an_answer_comes_token_by_token_and_ends_with_its_usage(start):
    worker = start()
    client = Client(worker).hello()
    client.run(7, "one two three")
    worker.turn()
    worker.until_idle(client)

    assert client.text(7) == "one two three"
    assert client.of(wire.Token)[0] == wire.Token(7, "one", -0.5, 1.0, 0.25)
    [done] = client.of(wire.Done)
    assert (done.id, done.finish, done.input_tokens, done.output_tokens) == (7, "stop", 3, 3)


def test_the_state_goes_to_who_asked_for_it_with_the_end(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "one two", states=True)
    client.run(2, "three four")
    worker.turn()
    worker.until_idle(client)

    assert {done.id: done.state for done in client.of(wire.Done)} == {1: b"mean", 2: None}


def test_jobs_of_all_clients_stand_in_one_line_and_never_mix(start):
    worker = start()
    clients = [Client(worker).hello() for _ in range(3)]
    for number in (1, 2):
        for name, client in zip("abc", clients, strict=True):
            client.run(number, f"{name}{number} from {name}")
    worker.turn()
    worker.until_idle(*clients)

    for name, client in zip("abc", clients, strict=True):
        assert [client.text(n) for n in (1, 2)] == [f"{name}{n} from {name}" for n in (1, 2)]


def test_seconds_in_the_queue_are_told(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c")
    client.run(2, "d")
    worker.turn()
    while len(client.of(wire.Done)) < 1:
        worker.clock.advance(1.0)
        worker.turn()
        client.read()
    worker.until_idle(client)
    first, second = client.of(wire.Done)

    assert (first.queued_s, first.prefill_s, first.decode_s) == (0.0, 3.0, 2.0)
    assert second.queued_s == 5.0


def test_a_cancelled_job_is_stopped_between_two_chunks_of_its_prompt(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "word " * 100)
    worker.turn(3)
    client.send(wire.Cancel(1))
    client.run(2, "next")
    worker.turn()
    worker.until_idle(client)

    assert worker.engine.closed == 2
    assert worker.engine.steps < 10
    assert (client.text(1), client.text(2)) == ("", "next")


def test_a_cancelled_job_is_stopped_in_mid_answer(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c d e f")
    worker.turn(8)
    client.send(wire.Cancel(1))
    worker.turn()
    worker.until_idle(client)

    assert client.of(wire.Done) == []
    assert client.text(1) in ("a b", "a b c")


def test_a_job_that_waits_can_be_cancelled_and_one_client_can_not_cancel_another_s(start):
    worker = start()
    one, other = Client(worker).hello(), Client(worker).hello()
    one.run(1, "a b c d")
    one.run(2, "e")
    other.run(2, "f")
    worker.turn()
    one.send(wire.Cancel(2))
    other.send(wire.Cancel(1))
    worker.turn()
    worker.until_idle(one, other)

    assert (one.text(1), one.text(2), other.text(2)) == ("a b c d", "", "f")


def test_a_client_that_goes_takes_its_jobs_along(start):
    worker = start()
    gone, stays = Client(worker).hello(), Client(worker).hello()
    gone.run(1, "word " * 100)
    worker.turn()
    gone.run(2, "word " * 100)
    stays.run(1, "mine")
    gone.sock.close()
    worker.turn(2)
    worker.until_idle(stays)

    assert stays.text(1) == "mine"
    assert worker.engine.steps < 20


def test_a_client_that_does_not_read_is_dropped_and_the_others_do_not_notice(start):
    worker = start(limits=Limits(unread_bytes=1000))
    worker.turn_s = PICTURE_S
    deaf, hears = Client(worker).hello(), Client(worker).hello()
    deaf.run(1, "w " * 20_000)
    worker.turn()
    hears.run(1, "quick")
    worker.until_idle(hears)

    assert hears.text(1) == "quick"
    assert worker.engine.closed == 2
    assert worker.engine.steps < 40_000
    assert not deaf.read()


def test_a_failure_ends_one_job_and_not_the_worker(start, capsys):
    worker = start()
    client = Client(worker).hello()
    for number, text in enumerate(["a boom", "too long", "fine"], 1):
        client.run(number, text)
    worker.turn()
    worker.until_idle(client)
    crashed, incapable = client.of(wire.Failed)

    assert (crashed.id, crashed.kind, crashed.retryable) == (1, "unavailable", True)
    assert crashed.message.startswith("the engine failed: RuntimeError")
    assert (incapable.kind, incapable.code) == ("incapable", "context_length_exceeded")
    assert client.text(3) == "fine"
    log = capsys.readouterr().err
    assert "RuntimeError" in log
    assert "in run" in log
    assert "boom'" not in log + crashed.message


def test_tokens_are_counted_and_health_is_told_while_a_job_runs(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c d")
    client.run(2, "e")
    worker.turn()
    client.send(wire.Count(3, (Message(role="user", content="x y z"),)), wire.Health(4))
    worker.turn()
    client.read()

    assert client.of(wire.Counted) == [wire.Counted(3, 3)]
    [health] = client.of(wire.Healthy)
    assert (health.clients, health.running, health.queued, health.jobs_done) == (1, True, 1, 0)


def test_too_many_jobs_are_refused_at_once(start):
    worker = start(limits=Limits(queue=1))
    client = Client(worker).hello()
    for number in (1, 2, 3):
        client.run(number, "a b")
    worker.turn()
    worker.until_idle(client)

    assert {m.id for m in client.of(wire.Done)} == {1}
    assert {(m.id, m.kind, m.code) for m in client.of(wire.Failed)} == {
        (2, "not_sent", "queue_full"),
        (3, "not_sent", "queue_full"),
    }


@pytest.mark.parametrize(
    "first",
    [
        wire.pack(wire.Health(1)),
        wire.pack(wire.Hello(wire.VERSION + 1)),
        wire.pack(wire.Hello(wire.VERSION - 1)),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        wire.pack(wire.Ready(Scripted.info, 1)),
    ],
)
def test_who_does_not_greet_properly_is_sent_away(start, first):
    client = Client(start())
    client.sock.sendall(first)
    client.worker.turn(2)

    assert not client.read()
    assert client.got == []


def test_an_engine_that_could_not_be_loaded_is_told_to_everybody(start):
    failure = Unavailable("no such folder", retryable=False)
    worker = start(engine=failure, limits=Limits(linger_s=0.05))
    clients = [Client(worker), Client(worker)]
    for client in clients:
        client.hello()

    assert [client.of(wire.Failed) for client in clients] == [
        [wire.Failed(0, "unavailable", "no such folder", False, None)]
    ] * 2
    assert not any(client.read() for client in clients)


def test_the_worker_leaves_some_time_after_its_last_client(start):
    worker = start(limits=Limits(linger_s=0.05))
    client = Client(worker).hello()
    client.sock.close()
    worker.turn()
    assert worker.alive

    worker.clock.advance(0.1)
    worker.turn()
    assert not worker.alive


def test_a_worker_nobody_came_to_waits_longer_while_its_starter_lives(start):
    worker = start(limits=Limits(linger_s=0.05, nobody_s=0.2))
    worker.clock.advance(0.1)
    worker.turn()
    assert worker.alive

    worker.starter_lives = False
    worker.turn()
    assert not worker.alive


def test_a_worker_stays_when_somebody_is_just_looking_for_one(start):
    filelock = pytest.importorskip("filelock")
    worker = start(limits=Limits(linger_s=0.05))
    client = Client(worker).hello()
    client.sock.close()
    worker.turn()
    with filelock.FileLock(worker.place.lock):
        worker.clock.advance(0.1)
        worker.turn()
        assert worker.alive

    again = Client(worker).hello()
    assert again.of(wire.Ready)


def test_on_tcp_only_who_knows_the_card_is_served(start):
    worker = start(transport="tcp")
    card = read_card(worker.place)
    for key in (None, "", "wrong", card.proof):
        stranger = Client(worker, key=key).hello()
        assert not stranger.read()
        assert stranger.got == []
    friend = Client(worker, key=card.key).hello()

    assert [m.proof for m in friend.of(wire.Ready)] == [card.proof]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_the_card_is_for_its_owner_s_eyes(start):
    worker = start(transport="tcp")

    assert worker.place.card.stat().st_mode & 0o777 == 0o600


# Whose it is


def test_a_tenant_of_one_app_is_not_the_one_of_the_same_name_of_another(start):
    worker = start(at_once=9)
    clients = [Client(worker, app=app).hello() for app in ("x", "x", "y", "", "")]
    watcher = Client(worker).hello()
    watcher.send(wire.Watch())
    for number, client in enumerate(clients):
        client.run(1, f"named {number}", tenant="customer-1")
        client.run(2, f"unnamed {number}")
    worker.turn(3)
    watcher.read()
    worker.until_idle(*clients)
    owner = worker.engine.owners

    for word in ("named", "unnamed"):
        assert owner[f"{word} 0"] == owner[f"{word} 1"]  # connections of one process
        assert len({owner[f"{word} {number}"] for number in range(5)}) == 4
    assert not set(owner.values()) & {None, "", "customer-1"}
    last = watcher.of(wire.Ahead)[-1].outlook
    assert {load.tenant for load in last.running + last.waiting} <= set(owner.values())


def test_in_a_full_line_an_app_that_sends_much_gives_way_though_nobody_names_a_tenant(start):
    worker = start(limits=Limits(queue=3), at_once=1)
    greedy, modest = Client(worker).hello(), Client(worker).hello()
    for number in range(1, 5):
        greedy.run(number, "a b")
        worker.turn()
    modest.run(1, "mine")
    worker.until_idle(greedy, modest)

    assert modest.text(1) == "mine"
    assert [failed.id for failed in greedy.of(wire.Failed)] == [4]


# Several at once


def test_jobs_take_turns_and_a_prompt_that_is_read_stops_nobody(start):
    worker = start(at_once=3)
    client = Client(worker).hello()
    client.run(1, "a b c d e f")
    worker.turn(8)
    client.run(2, "word " * 30)
    worker.turn(9)
    client.read()

    assert client.text(1) == "a b c d e f"
    worker.until_idle(client)
    assert len(client.text(2).split()) == 30


def tokens_after_each_turn(worker, client, turns):
    told = []
    for _ in range(turns):
        worker.turn()
        client.read()
        told.append(len(client.of(wire.Token)))
    return told


def test_tokens_of_a_quick_model_go_together_but_for_the_first_and_the_last(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c d e f g h i j")
    worker.turn(10)  # the prompt is read
    worker.turn_s = PICTURE_S * 0.4

    told = tokens_after_each_turn(worker, client, 10)

    assert told == [1, 2, 2, 2, 5, 5, 5, 8, 8, 10]
    assert client.text(1) == "a b c d e f g h i j"


def test_tokens_of_a_slow_model_go_one_by_one(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c d e")
    worker.turn(5)
    worker.turn_s = 0.08

    assert tokens_after_each_turn(worker, client, 5) == [1, 2, 3, 4, 5]


def test_no_token_waits_while_a_prompt_is_read(start):
    worker = start(at_once=2)
    client = Client(worker).hello()
    client.run(1, "a b c d e f g h i j")
    worker.turn(10)  # its prompt is read
    waiting = tokens_after_each_turn(worker, client, 4)
    client.run(2, "x y z")
    while worker.engine.steps < 15:
        worker.turn()
    steps = worker.engine.steps
    client.read()

    assert waiting == [1, 2, 2, 2]
    assert len(client.of(wire.Token)) == steps - 11  # all but the step that was a prompt's


def test_no_token_waits_when_nobody_writes_any_more(start):
    worker = start()
    client = Client(worker).hello()
    client.run(1, "a b c d e f g h i j")
    worker.turn(10)
    waiting = tokens_after_each_turn(worker, client, 4)
    client.send(wire.Cancel(1))
    worker.turn()
    client.read()

    assert waiting == [1, 2, 2, 2]
    assert len(client.of(wire.Token)) == 4


def test_those_that_write_are_computed_together_and_told_in_one_turn(start):
    worker = start(InStep(), at_once=4)
    worker.turn_s = 2 * PICTURE_S
    client = Client(worker).hello()
    texts = ["a b c d e " * 20, "a b c " * 4, "a b"]
    for number, text in enumerate(texts):
        client.run(number, text)
    worker.turn()
    told = [0]
    while worker.serving._jobs.any:
        worker.turn()
        client.read()
        told.append(len(client.of(wire.Token)))

    assert max(after - before for before, after in pairwise(told)) == 3
    assert max(worker.engine.computed) == 3
    assert [client.text(number) for number in range(3)] == [text.strip() for text in texts]


def test_one_that_fails_in_a_round_ends_alone(start, capsys):
    worker = start(InStep(), at_once=4)
    client = Client(worker).hello()
    for number, text in enumerate(["a b c d", "a boom c d", "a b c d"], 1):
        client.run(number, text)
    worker.turn()
    worker.until_idle(client)

    assert [m.id for m in client.of(wire.Failed)] == [2]
    assert client.text(1) == client.text(3) == "a b c d"
    assert worker.engine.closed == 3


def test_a_run_of_the_model_that_fails_ends_those_in_it_and_no_other(start):
    worker = start(InStep(fails_at=5), at_once=4)
    client = Client(worker).hello()
    client.run(1, "a b c d e f g h")
    client.run(2, "word " * 12)
    worker.turn()
    worker.until_idle(client)
    client.run(3, "and on")
    worker.turn()
    worker.until_idle(client)

    assert [(m.id, m.message) for m in client.of(wire.Failed)] == [(1, "the runtime failed")]
    assert len(client.text(2).split()) == 12
    assert client.text(3) == "and on"
    assert worker.engine.closed == 3


def test_a_client_dropped_in_mid_round_takes_its_jobs_out_of_it(start):
    worker = start(InStep(), limits=Limits(unread_bytes=2000), at_once=4)
    deaf, hears = Client(worker).hello(), Client(worker).hello()
    for number in range(1, 4):
        deaf.run(number, ("w" * 200 + " ") * 500)
        worker.turn()
    hears.run(1, "quick words")
    worker.until_idle(hears)

    assert hears.text(1) == "quick words"
    assert not worker.serving._jobs.any
    assert not deaf.read()


def test_no_more_run_than_may(start):
    worker = start(at_once=2)
    client = Client(worker).hello()
    for number in range(1, 5):
        client.run(number, "a b c d")
    client.send(wire.Health(9))
    worker.turn(3)
    client.send(wire.Health(10))
    worker.turn()
    client.read()

    health = client.of(wire.Healthy)[-1]
    assert (health.active, health.queued) == (2, 2)


def test_a_job_whose_time_is_over_in_line_is_told(start):
    worker = start(at_once=1)
    client = Client(worker).hello()
    client.run(1, "a b c d e f")
    worker.turn()
    job = Job(messages=(Message(role="user", content="late"),), max_output_tokens=5)
    client.send(wire.Run(2, job, 1.0))
    worker.turn(2)
    assert client.of(wire.Failed) == []
    worker.clock.advance(1.1)
    worker.turn()
    client.read()

    [failed] = client.of(wire.Failed)
    assert (failed.id, failed.kind, failed.code, failed.retryable) == (
        2,
        "not_sent",
        "too_late",
        False,
    )
    assert "did not come in time" in failed.message
    worker.until_idle(client)
    assert client.text(1) == "a b c d e f"


def test_who_watches_is_told_of_every_change_and_who_does_not_is_not(start):
    worker = start(at_once=1)
    watcher, other = Client(worker).hello(), Client(worker).hello()
    watcher.send(wire.Watch())
    worker.turn()
    watcher.read()
    [first] = watcher.of(wire.Ahead)
    assert (first.outlook.running, first.outlook.waiting) == ((), ())

    other.run(1, "a b c")
    other.run(2, "d")
    worker.turn(2)
    watcher.read()
    outlook = watcher.of(wire.Ahead)[-1].outlook
    assert (len(outlook.running), len(outlook.waiting)) == (1, 1)
    assert outlook.running[0].client != outlook.you

    worker.until_idle(watcher, other)
    last = watcher.of(wire.Ahead)[-1].outlook
    assert (last.running, last.waiting) == ((), ())
    assert other.of(wire.Ahead) == []


class Counting(Learned):
    """Counts how often it looks ahead."""

    looks = 0

    def outlook(self, **what):
        self.looks += 1
        return super().outlook(**what)


def test_what_is_ahead_is_found_out_once_a_change_however_many_watch(start):
    learned = Counting()
    worker = start(at_once=1, learned=learned)
    watchers = [Client(worker).hello() for _ in range(5)]
    for watcher in watchers:
        watcher.send(wire.Watch())
    worker.turn()
    assert learned.looks == 5  # each is told at once

    watchers[0].run(1, "a b c")
    worker.turn()
    for watcher in watchers:
        watcher.read()
    assert learned.looks == 6
    assert [len(watcher.of(wire.Ahead)) for watcher in watchers] == [2] * 5
    assert len({watcher.of(wire.Ahead)[-1].outlook.you for watcher in watchers}) == 5


def test_what_is_learned_is_put_away_now_and_then_and_in_the_end(start):
    kept = []
    worker = start(keep=kept.append)
    client = Client(worker).hello()
    for number in range(1, 23):
        client.run(number, "a b")
        worker.turn()
        worker.until_idle(client)
    assert len(kept) == 1

    worker.close()
    assert len(kept) == 2
    assert len(kept[-1].lengths) == 22


# Leaving


def test_a_worker_that_grew_too_large_says_goodbye_ends_its_jobs_and_takes_no_new_ones(start):
    sizes = iter([50, 200])
    worker = start(limits=Limits(linger_s=0.05, bloated_bytes=100), weigh=lambda: next(sizes, 200))
    client = Client(worker).hello()
    for number in range(1, 32):
        client.run(number, "a")
        worker.turn()
        worker.until_idle(client)
    client.run(32, "a")
    client.run(99, "a tall story")
    while not client.of(wire.Goodbye):
        assert client.text(99) != "a tall story"
        worker.turn()
        client.read()
    client.run(100, "too much")
    worker.turn(20)
    client.read()

    [goodbye] = client.of(wire.Goodbye)
    assert "memory" in goodbye.why
    assert client.text(99) == "a tall story"
    [failed] = client.of(wire.Failed)
    assert (failed.id, failed.code, failed.retryable) == (100, "replaced", True)
    assert not client.read()
    assert not worker.alive


def test_jobs_that_are_cancelled_or_fail_have_the_memory_weighed_too(start, capsys):
    worker = start(limits=Limits(linger_s=0.05, bloated_bytes=100), weigh=lambda: 200)
    client = Client(worker).hello()
    for number in range(1, 17):
        assert worker.alive
        client.run(number, "word " * 9 if number % 2 else "boom")
        worker.turn(2)
        if number % 2:
            client.send(wire.Cancel(number))
            worker.turn()
    client.read()

    assert not worker.alive
    assert len(client.of(wire.Goodbye)) == 1
    assert client.of(wire.Done) == []


def test_memory_that_can_not_be_read_is_no_reason_to_leave(start):
    worker = start(limits=Limits(linger_s=0.05, bloated_bytes=1), weigh=lambda: None)
    client = Client(worker).hello()
    for number in range(1, 40):
        client.run(number, "a")
        worker.turn()
        worker.until_idle(client)

    assert client.of(wire.Goodbye) == []
