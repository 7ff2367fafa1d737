"""Many at once, a tenth of whom leave in the middle; and an end in the middle of it all."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from pathlib import Path

import pytest
from support.effort import times
from support.sidecar import CONFIG, Sidecar, serving

SLOW = "- {match: some words, text: a few words of the cloud, ttft_s: 0.03, tpot_s: 0.005}"
SCRIPT = CONFIG.replace("- {text: An answer of the cloud.}", SLOW)
AT_ONCE = 100


async def ask(server: Sidecar, number: int, leave_s: float | None) -> bytes | None:
    """One question on a connection of its own; None: we left, or nobody was there."""
    turns = [
        {"role": "user", "content": "some words, or the capital"[: 10 + 16 * (number % 3 == 0)]}
    ]
    said = {"messages": turns, "user": str(number), "stream": number % 2 == 0, "model": "cloud"}
    body = json.dumps(said).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    except ConnectionRefusedError:
        return None
    try:
        writer.write(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        async with asyncio.timeout(30 if leave_s is None else leave_s):
            return await reader.read()
    except TimeoutError:
        assert leave_s is not None, "no answer in 30 s"
        return None
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def whole(answer: bytes) -> bool:
    """Whether it is an answer to its end."""
    return answer.startswith(b"HTTP/1.1 200") and (b"[DONE]" in answer or b'"usage"' in answer)


async def many(server: Sidecar, count: int) -> dict[int, bytes | None]:
    turn = asyncio.Semaphore(AT_ONCE)
    dice = random.Random(7)
    leaving = {n: dice.uniform(0.0, 0.08) for n in range(count) if dice.random() < 0.1}
    found: dict[int, bytes | None] = {}

    async def one(number: int) -> None:
        async with turn:
            found[number] = await ask(server, number, leaving.get(number))

    await asyncio.gather(*(one(number) for number in range(count)))
    assert {n for n, answer in found.items() if answer is None} <= set(leaving)
    return found


def test_none_is_lost_and_each_is_booked_once(tmp_path: Path) -> None:
    count = times(600)
    with serving(tmp_path, config=SCRIPT) as server:
        found = asyncio.run(many(server, count))
        assert all(whole(answer) for answer in found.values() if answer is not None)
        assert server.call(None, "/readyz").json["targets"]["cloud"]["in_flight"] == 0
        rows = server.last(2 * count)

    booked = [int(row.tags["user"]) for row in rows]
    assert len(booked) == len(set(booked))
    status = {int(row.tags["user"]): row.status for row in rows}
    stayed = {n for n, answer in found.items() if answer is not None}
    assert {status[n] for n in stayed} == {"answered"}
    assert {status[n] for n in status.keys() - stayed} <= {"answered", "cancelled"}
    assert "cancelled" in status.values()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_an_end_under_load_leaves_no_request_without_an_answer_or_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, "--grace", "5", config=SCRIPT) as server:

        async def run() -> list[bytes | None]:
            asked = [asyncio.create_task(ask(server, n, None)) for n in range(150)]
            await asyncio.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*asked)

        found = asyncio.run(run())
        assert server.process.wait(15) == 0
        rows = server.last(1000)

    answered = [n for n, answer in enumerate(found) if answer]
    assert answered
    assert all(whole(found[n] or b"") for n in answered)
    status = {int(row.tags["user"]): row.status for row in rows}
    assert {status.pop(n) for n in answered} == {"answered"}
    assert not status, "a request was begun, and its caller got nothing"
