"""Many at once, a tenth of whom leave in the middle; and an end in the middle of it all."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.effort import SOAK
from support.sidecar import CONFIG, Sidecar, serving

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


async def ended_under_load(
    door: Any, server: Sidecar, after_s: float
) -> list[tuple[str, str, Any]]:
    """150 requests at once, and SIGTERM in the middle: what was asked, in what dialect, and what
    was heard. None: nobody was there any more."""
    dice = random.Random(after_s)
    dialects = [dice.choice(list(door.PATHS)) for _ in range(150)]
    texts = [dice.choice(list(SAID)) for _ in dialects]

    async def one(number: int) -> Any:
        sent = door.request(
            dialects[number],
            texts[number],
            model="auto",
            stream=dice.random() < 0.5,
            user=f"u{number}",
        )
        try:
            heard = await asyncio.wait_for(door.exchange(server.port, sent), 30)
        except (ConnectionRefusedError, ConnectionResetError):
            return None
        return door.read(dialects[number], heard.raw)

    asked = [asyncio.create_task(one(n)) for n in range(150)]
    await asyncio.sleep(after_s)
    server.process.send_signal(signal.SIGTERM)
    return list(zip(dialects, texts, await asyncio.gather(*asked), strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("grace", ["5", "0"])
def test_an_end_under_load_leaves_no_request_without_an_answer_or_an_error(
    tmp_path: Path, door: Any, grace: str
) -> None:
    ends: Counter[str] = Counter()
    for turn in range(20 if SOAK else 2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with serving(folder, "--grace", grace, config=SCRIPT) as server:
            found = asyncio.run(ended_under_load(door, server, 0.05 + 0.02 * turn))
            assert server.process.wait(15) == 0
            rows = server.last(1000)

        status = {row.tags["user"]: row.status for row in rows}
        assert len(rows) == len(status), "a request was booked twice"
        for number, (dialect, text, reply) in enumerate(found):
            if reply is None or reply.status is None:
                assert f"u{number}" not in status, "it was begun, and its caller got nothing"
                ends["not begun"] += 1
                continue
            assert reply.ended, (dialect, reply.raw[-300:])
            if reply.status == 200 and reply.error is None:
                ends["answered"] += 1
                assert reply.text == SAID[text]
                assert status[f"u{number}"] == "answered"
            else:
                ends["told in the stream" if reply.status == 200 else "told by status"] += 1
                assert reply.error in ("stopping", "overloaded_error"), reply.raw[-300:]
                assert status.get(f"u{number}", "cancelled") == "cancelled"
            assert b"DROPPED" not in reply.raw
        assert set(status.values()) <= {"answered", "cancelled"}
    print(dict(ends))
    assert ends["answered"] if grace == "5" else ends["told in the stream"]
