"""A race with the real model: who loses is stopped, wherever it runs, and booked."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from aiohttp import web

from router import AsyncRouter
from router.errors import ModelError
from router.ledger.report import Report
from router.models import Store

MODEL = "smollm2-135m"
STORY = "Write a long story about a lighthouse, an old dog and the sea."


@pytest.fixture(scope="module", autouse=True)
def model() -> Path:
    try:
        return Store().path(MODEL)
    except ModelError:
        pytest.skip(f"needs the model: firsthop models pull {MODEL}")


class Slow:
    """A cloud that writes a word every so often, and notes when its caller has gone.

    Attributes:
        calls: Requests that came.
        left: Those whose connection was closed before the end.
    """

    def __init__(self, words: int, every_s: float) -> None:
        self.words, self.every_s = words, every_s
        self.calls = self.left = 0
        self.base_url = ""

    async def __aenter__(self) -> Slow:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        try:
            await reply.prepare(request)
            for number in range(self.words):
                await self._say(reply, {"delta": {"content": f"word{number} "}})
                await asyncio.sleep(self.every_s)
            await self._say(reply, {"delta": {}, "finish_reason": "stop"}, done=True)
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise
        return reply

    async def _say(
        self, reply: web.StreamResponse, choice: dict[str, object], *, done: bool = False
    ) -> None:
        chunk: dict[str, object] = {"id": "1", "model": "slow", "choices": [{"index": 0, **choice}]}
        if done:
            chunk["usage"] = {"prompt_tokens": 20, "completion_tokens": self.words}
        await reply.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def config(folder: Path, cloud: Slow, *, bar: float, tokens: int) -> Path:
    policy = folder / "racing.yaml"
    policy.write_text(
        "policy: racing\nsummary: Race what takes long.\ntiers: [device, cloud]\n"
        f"accept: [{{id: sure, on: [device], require: {{draft.mean_logprob: {{gte: {bar}}}}}}}]\n"
        'race: {after_s: 0.3, cost_usd: "1"}\n'
    )
    path = folder / "firsthop.yaml"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "policy": str(policy),
                "targets": {
                    "device": {
                        "tier": "device",
                        "provider": "device",
                        "model": MODEL,
                        "max_output_tokens": tokens,
                    },
                    "cloud": {
                        "tier": "cloud",
                        "provider": "openai_compatible",
                        "model": "slow",
                        "base_url": cloud.base_url,
                        "price": "own-box",
                    },
                },
                "ledger": {"folder": str(folder / "ledger")},
            }
        )
    )
    return path


def test_a_draft_that_takes_long_is_overtaken_and_the_device_is_free_at_once(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with (
            Slow(3, 0.01) as cloud,
            AsyncRouter(config(tmp_path, cloud, bar=-9, tokens=3000)) as router,
        ):
            await router.ask("Hi", target="device", deadline_s=60)  # the worker is up from here on
            answer = await router.ask(STORY)
            ended = time.monotonic()
            while (health := await router.device_health()) is None or health.running:
                assert time.monotonic() - ended < 5, "the draft is still being written"
                await asyncio.sleep(0.02)

            assert answer.text == "word0 word1 word2 "
            assert [(hop.target, hop.cause, hop.status) for hop in answer.hops] == [
                ("device", "start", "cancelled"),
                ("cloud", "race", "answered"),
            ]
            assert 0.3 <= (answer.outcome.escalation_delay_s or 0) < 5

    asyncio.run(main())


def test_a_draft_that_is_kept_closes_the_clouds_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Slow(1000, 0.5) as cloud,
            AsyncRouter(config(tmp_path, cloud, bar=-9, tokens=96)) as router,
        ):
            await router.ask("Hi", target="device", deadline_s=60)
            answer = await router.ask(STORY)
            for _ in range(100):
                if cloud.left:
                    break
                await asyncio.sleep(0.05)

            assert answer.answered_by == "device"
            assert (cloud.calls, cloud.left) == (1, 1)
            assert "word" not in answer.text

    asyncio.run(main())

    with Report.open(tmp_path / "ledger") as report:
        (row, _) = report.recent()
        detail = report.request(row.decision_id)
    assert [(h.target, h.cause, h.status) for h in detail.hops] == [
        ("device", "start", "answered"),
        ("cloud", "race", "cancelled"),
    ]
    assert [a.error_kind for a in detail.hops[1].attempts] == ["cancelled"]
