"""A worker that says nothing: one that stands still is ended, one that computes gets longer."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time

import pytest

from router.device import wire
from router.device.connection import Connection
from router.device.engine import EngineInfo
from router.device.identity import processor_s
from router.device.watchman import watch

HANG_S = 0.4
READY = EngineInfo(
    model="silent",
    engine="silent 1",
    device="cpu",
    fallback=None,
    context_limit=100,
    load_s=0.0,
    memory_bytes=None,
)


@pytest.fixture
def process():
    started = []

    def start(code):
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        started[-1].stdout.readline()
        return started[-1].pid

    yield start
    for one in started:
        one.kill()
        one.wait()
        one.stdout.close()


async def silent_worker_is_ended_after(pid: int) -> float:
    """Seconds until a worker that greeted with this process id, and then says nothing, is ended."""
    near, far = socket.socketpair()
    near.setblocking(False)
    connection = Connection(near, lambda: None)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: connection, sock=near)
    ended: list[int] = []
    try:
        far.sendall(wire.pack(wire.Ready(READY, pid)))
        await connection.greeting
        connection.call(wire.Health)
        began = time.monotonic()
        await watch(connection, None, HANG_S, lambda pid: not ended.append(pid))
        assert ended == [pid]
        return time.monotonic() - began
    finally:
        transport.abort()
        far.close()
        await asyncio.sleep(0)


def test_one_that_stands_still_is_ended_when_its_time_is_up(process):
    pid = process("import time; print(flush=True); time.sleep(60)")

    took_s = asyncio.run(silent_worker_is_ended_after(pid))

    assert HANG_S * 0.9 <= took_s < 2 * HANG_S


def test_one_that_computes_gets_longer_and_not_for_ever(process):
    pid = process("print(flush=True)\nwhile True: pass")

    took_s = asyncio.run(silent_worker_is_ended_after(pid))

    assert 5 * HANG_S < took_s < 30 * HANG_S


def test_the_processor_time_of_a_process_that_is_not_there_is_unknown():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert processor_s(gone.pid) is None
