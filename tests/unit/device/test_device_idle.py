"""A worker that nobody asks anything leaves, politely, although it has clients."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.clock import ManualClock
from router.device import wire
from router.device.engine import EngineInfo, Job, Reuse, Step
from router.device.idle import GOODBYE, Idle
from router.device.meeting import listen
from router.device.place import Place
from router.device.serving import Limits, Serving
from router.errors import ConfigError
from router.providers.base import Target
from router.providers.device import build
from router.types import Message, TokenStat


def test_it_counts_from_the_last_work() -> None:
    idle = Idle(30.0, now=5.0)

    assert idle.left_s(15.0) == 20.0
    idle.saw_work(20.0)
    assert idle.left_s(40.0) == 10.0
    assert idle.left_s(99.0) == 0.0


def test_without_a_longest_time_it_never_leaves() -> None:
    assert Idle(None, now=0.0).left_s(1e9) is None


class Slow:
    """An engine that takes a step a word and says it."""

    info = EngineInfo(
        model="m", engine="e", device="cpu", fallback=None, context_limit=9, load_s=0,
        memory_bytes=None,
    )  # fmt: skip

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        return 1

    def reuse(self) -> Reuse:
        return Reuse()

    together = 1

    def interrupt(self):
        pass

    def compute(self, runs):
        pass

    def run(self, job: Job) -> Iterator[Step]:
        for _ in range(3):
            yield Step(read=1, text="a", token=TokenStat(-0.5, 1.0, 0.2))
        yield Step(read=1, text="", token=TokenStat(-0.5, 1.0, 0.2), finish="stop")


class Worker:
    def __init__(self, folder: Path, limits: Limits) -> None:
        kind = "tcp" if sys.platform == "win32" else "unix"
        self.clock = ManualClock()
        self.listener = listen(Place(folder=str(folder), name="w", transport=kind))
        self.serving = Serving(self.listener, Slow(), limits, self.clock, lambda: True)
        self.inbox = wire.Inbox()
        if sys.platform == "win32":
            self.sock = socket.create_connection(self.listener.sock.getsockname())
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(self.listener.place.socket))
        card = self.listener.card
        self.send(wire.Hello(wire.VERSION, card.key if card else None))
        self.turn(2)

    def send(self, message: wire.ToWorker) -> None:
        self.sock.sendall(wire.pack(message))

    def turn(self, times: int = 1) -> bool:
        return [self.serving.turn() for _ in range(times)][-1]

    def said(self) -> list[object]:
        self.sock.settimeout(1.0)
        return list(self.inbox.replies(self.sock.recv(1 << 16)))


@pytest.fixture
def folder() -> Iterator[Path]:
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    yield Path(short)
    shutil.rmtree(short, ignore_errors=True)


def ask(number: int) -> wire.Run:
    job = Job(messages=(Message(role="user", content="go"),), max_output_tokens=9)
    return wire.Run(number, job)


def test_after_its_idle_time_it_says_goodbye_and_takes_its_place_away(folder: Path) -> None:
    worker = Worker(folder, Limits(idle_s=60.0))
    worker.clock.advance(60.0)

    assert not worker.turn()
    ready, goodbye = worker.said()
    assert isinstance(ready, wire.Ready)
    assert goodbye == wire.Goodbye(GOODBYE)
    assert worker.sock.recv(1) == b""
    assert not worker.listener.place.socket.exists()
    worker.sock.close()


def test_work_keeps_it_and_the_count_begins_at_its_end(folder: Path) -> None:
    worker = Worker(folder, Limits(idle_s=60.0))
    worker.clock.advance(59.0)
    worker.send(ask(1))
    worker.turn(3)
    worker.clock.advance(100.0)  # a long last step

    assert worker.turn()
    worker.clock.advance(59.0)
    worker.send(wire.Health(2))  # asking how it is, is no work
    assert worker.turn()
    worker.clock.advance(2.0)
    assert not worker.turn()
    worker.sock.close()


def test_the_wait_for_mail_ends_when_it_is_time_to_leave(folder: Path) -> None:
    worker = Worker(folder, Limits(idle_s=60.0))
    worker.clock.advance(45.0)

    assert worker.serving._patience_s() == 15.0
    worker.clock.advance(60.0)
    assert not worker.turn()
    worker.sock.close()


def test_without_the_option_it_stays_as_long_as_somebody_is_there(folder: Path) -> None:
    worker = Worker(folder, Limits())
    worker.clock.advance(1e6)

    assert worker.serving._patience_s() is None
    worker.send(wire.Health(1))
    assert worker.turn()
    worker.sock.close()
    while worker.turn():
        worker.clock.advance(100.0)


def target(**options: object) -> Target:
    return Target(
        name="home", tier="device", provider="device", model="m", max_output_tokens=9, timeout_s=9,
        options=options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"idle_unload_s": 0}, "idle_unload_s", "at least 1"),
        ({"idle_unload_s": True}, "idle_unload_s", "number of seconds"),
        ({"idle_unload_s": float("inf")}, "idle_unload_s", "number of seconds"),
        ({"memory_limit": 3}, "memory_limit", "3 GB"),
        ({"memory_limit": "3"}, "memory_limit", "3 GB"),
        ({"memory_limit": "0 GB"}, "memory_limit", "3 GB"),
        ({"memory_limit": "-1 GB"}, "memory_limit", "3 GB"),
    ],
)
def test_a_wrong_option_is_named_when_the_config_is_read(
    options: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        build(target(**options))
    assert caught.value.field == f"targets.home.options.{field}"


@pytest.mark.parametrize(
    ("text", "count"),
    [("3 GB", 3 * 10**9), ("1.5GiB", 3 * 2**29), ("800 MB", 8 * 10**8), ("512 MiB", 2**29)],
)
def test_memory_is_written_as_people_write_it(text: str, count: int) -> None:
    made = build(target(memory_limit=text, idle_unload_s=900))

    assert made._workers._limits == Limits(idle_s=900.0, memory_bytes=count)  # type: ignore[attr-defined]
