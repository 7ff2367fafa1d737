"""Many at once, a tenth of whom leave in the middle; and an end in the middle of it all."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.effort import SOAK
from support.sidecar import CONFIG, Sidecar, serving, until

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SLOW = "- {match: some words, text: a few words of the cloud, ttft_s: 0.03, tpot_s: 0.03}"
SCRIPT = CONFIG.replace("- {text: An answer of the cloud.}", SLOW)
SAID = {"some words": "a few words of the cloud", "the capital": "The capital of France is Paris."}


def test_none_is_lost_and_each_is_booked_as_it_went(tmp_path: Path) -> None:
    report = tmp_path / "load.json"
    count = 10_000 if SOAK else 600
    script = [sys.executable, str(BENCHMARKS / "load.py"), "--requests", str(count)]

    ran = subprocess.run(
        [*script, "--json", str(report)], capture_output=True, text=True, timeout=900, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(report.read_text())["figures"]
    assert figures["left_in_the_middle"] > count / 20
    assert figures["booked"]["cancelled"] > count / 40
    assert figures["booked"]["answered"] > count / 2
    memory = figures["memory_mb_by_tenth"]
    assert memory[-1] - memory[2] < 8


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import door

    return door


@dataclass(frozen=True)
class Asked:
    """One request, and what came of it. `reply` None: nobody was there any more."""

    user: str
    dialect: str
    text: str
    reply: Any


async def ended_under_load(door: Any, server: Sidecar, seed: int) -> list[Asked]:
    """A hundred clients that ask and ask until nobody is there; and SIGTERM in the middle."""
    found: list[Asked] = []

    async def client(number: int) -> None:
        dice = random.Random(1000 * seed + number)
        reply: Any = True
        for turn in itertools.count():
            if reply is None:
                return
            dialect, text = dice.choice(list(door.PATHS)), dice.choice(list(SAID))
            user = f"u{number}-{turn}"
            stream = dice.random() < 0.5
            sent = door.request(dialect, text, model="auto", stream=stream, user=user)
            try:
                heard = await asyncio.wait_for(door.exchange(server.port, sent), 30)
                reply = door.read(dialect, heard.raw)
            except (ConnectionRefusedError, ConnectionResetError):
                reply = None
            found.append(Asked(user, dialect, text, reply))

    clients = [asyncio.create_task(client(n)) for n in range(100)]
    await asyncio.sleep(0.3 + 0.02 * seed)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize(("grace", "workers"), [("5", "1"), ("0", "1"), ("5", "2"), ("0", "2")])
def test_an_end_under_load_leaves_no_request_without_an_answer_or_an_error(
    tmp_path: Path, door: Any, grace: str, workers: str
) -> None:
    ends: Counter[str] = Counter()
    for turn in range(20 if SOAK else 2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with serving(folder, "--grace", grace, "--workers", workers, config=SCRIPT) as server:
            found = asyncio.run(ended_under_load(door, server, turn))
            assert server.process.wait(15) == 0
            rows = server.last(10_000)

        booked = {row.tags["user"]: row.status for row in rows}
        assert len(rows) == len(booked), "a request was booked twice"
        for one in found:
            end, status = end_of(one), booked.pop(one.user, None)
            ends[end] += 1
            # Told by its status, it may have come so late that it never entered the street.
            assert status in BOOKED[end], (end, status, one)
            assert status != "answered" or one.reply.text == SAID[one.text]
        assert not booked, "it was booked, and nobody had asked"
    print(dict(ends))
    assert ends["answered"]
    assert grace == "5" or ends["told in the stream"]


BOOKED = {
    "answered": {"answered"},
    "told in the stream": {"cancelled"},
    "told by its status": {"cancelled", None},
    "not begun": {None},
}


def end_of(one: Asked) -> str:
    """How it ended for its caller."""
    reply = one.reply
    if reply is None or not reply.raw:
        return "not begun"
    assert reply.ended, reply.raw[-300:]
    assert b"DROPPED" not in reply.raw
    if reply.status == 200 and reply.error is None:
        return "answered"
    assert reply.error == "stopping", reply.raw[-300:]
    return "told in the stream" if reply.status == 200 else "told by its status"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_who_had_come_before_the_end_is_answered(tmp_path: Path, door: Any) -> None:
    with serving(tmp_path, "--grace", "5", config=SCRIPT) as server:
        assert server.call(None, "/healthz").status == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
            time.sleep(0.05)  # for the server to take it
            server.process.send_signal(signal.SIGTERM)
            until(lambda: refused(server.port))
            line.sendall(door.request("chat", "the capital", model="auto", stream=False, user="u"))
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        assert door.read("chat", answer).text == SAID["the capital"]
        assert server.process.wait(10) == 0
        assert [row.status for row in server.last()] == ["answered"]


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionError:
        return True
    return False
