"""`router.openai()`: the official client, answered in this process, and the same as the sidecar."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from support.loops import in_loop
from support.sidecar import CONFIG, POLICY, serving

from router import AsyncRouter, Router
from router.ledger.report import Report

QUESTIONS = ("The capital of France?", "something hard", "the weather in Oslo?", "breaks off")
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "plain.yaml").write_text(POLICY, encoding="utf-8")
    path = tmp_path / "firsthop.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def of_router(answer: Any) -> Any:
    return answer.model_extra["router"]


def last(folder: Path, most: int = 1) -> list[Any]:
    with Report.open(folder / "ledger") as report:
        return list(report.recent(most))


@in_loop
async def test_it_is_the_official_client_and_answers(config: Path) -> None:
    async with AsyncRouter(config) as router:
        client = router.openai()
        assert type(client) is openai.AsyncOpenAI
        answer = await client.chat.completions.create(model="auto", messages=user(QUESTIONS[0]))
        assert answer.choices[0].message.content == "The capital of France is Paris."
        assert of_router(answer)["route"] == ["device"]
        names = [model.id async for model in client.models.list()]
    assert {"auto", "plain", "device", "cloud"} <= set(names)
    assert last(config.parent)[0].decision_id == of_router(answer)["decision_id"]


@in_loop
async def test_a_stream_comes_as_it_is_written_and_shows_no_dropped_draft(config: Path) -> None:
    async with AsyncRouter(config) as router:
        began, came = time.monotonic(), []
        stream = await router.openai().chat.completions.create(
            model="auto", messages=user("an essay"), stream=True
        )
        async for chunk in stream:
            came.append((time.monotonic() - began, chunk))
    text = "".join(c.choices[0].delta.content or "" for _, c in came if c.choices)
    assert text == "a b c d e f g h i j k l m n o p q r s t"
    assert came[-1][0] - came[0][0] > 1.0
    assert "DROPPED" not in str(came)


@in_loop
async def test_a_caller_that_leaves_ends_the_work_behind_it(config: Path) -> None:
    async with AsyncRouter(config) as router:
        client = router.openai()
        stream = await client.chat.completions.create(
            model="auto", messages=user("an essay"), stream=True
        )
        await anext(aiter(stream))
        await stream.close()
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.2).chat.completions.create(
                model="cloud", messages=user("never answers")
            )
    assert {row.status for row in last(config.parent, 2)} == {"cancelled"}


@in_loop
async def test_errors_are_the_clients_own(config: Path) -> None:
    async with AsyncRouter(config) as router:
        client = router.openai()
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-nothing", messages=user("hello"))
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="auto", messages=[])
        with pytest.raises(openai.RateLimitError) as busy:
            await client.chat.completions.create(model="auto", messages=user("everybody is busy"))
        assert busy.value.response.headers["retry-after"] == "7"
    with pytest.raises(RuntimeError, match="closed"):
        router.openai()


def test_code_that_does_not_await_has_the_same(config: Path) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    with Router(config) as router:
        client = router.openai()
        assert type(client) is openai.OpenAI
        parsed = client.chat.completions.parse(
            model="auto", messages=user("Ada as JSON"), response_format=Person
        )
        assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)
        stream = client.chat.completions.create(
            model="auto", messages=user("something hard"), stream=True
        )
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert text == "An answer of the cloud."


def test_decisions_are_those_of_the_sidecar_to_the_byte(tmp_path: Path) -> None:
    """The trace, as the ledger has it, of the same questions asked both ways."""
    folders = []
    for name in ("served", "here"):
        (tmp_path / name).mkdir()
        folders.append(tmp_path / name)

    def ask_all(client: openai.OpenAI) -> None:
        for question in QUESTIONS:
            more: Any = {"tools": TOOLS} if "weather" in question else {}
            for stream, n in ((False, 1), (True, 1), (False, 2), (True, 2)):
                if n > 1 and question == "breaks off":
                    continue  # whether the other one is stopped in time is chance
                try:
                    answer: Any = client.chat.completions.create(
                        model="auto", messages=user(question), stream=stream, n=n, **more
                    )
                    if stream:
                        list(answer)
                except openai.APIError:
                    assert question == "breaks off"

    with serving(folders[0]) as server:
        with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            ask_all(client)
        found = [_decided(folders[0])]
    (folders[1] / "plain.yaml").write_text(POLICY, encoding="utf-8")
    (folders[1] / "firsthop.yaml").write_text(CONFIG, encoding="utf-8")
    with Router(folders[1] / "firsthop.yaml") as router:
        ask_all(router.openai())
        found.append(_decided(folders[1]))
    assert len(found[0]) == 2 * 1 + 6 * (len(QUESTIONS) - 1)
    assert found[0] == found[1]


def _decided(folder: Path) -> list[bytes]:
    with Report.open(folder / "ledger") as report:
        rows = [report.request(row.decision_id) for row in report.recent(100)]
    return [
        json.dumps(
            [
                row.request.status,
                row.request.policy_revision,
                row.request.flags,
                [(hop.target, hop.cause, hop.status) for hop in row.hops],
                row.trace,
            ],
            default=str,
        ).encode()
        for row in reversed(rows)
    ]


@in_loop
async def test_many_at_once_each_get_their_own(config: Path) -> None:
    async with AsyncRouter(config) as router:
        client = router.openai()

        async def one(number: int) -> str:
            question = "The capital of France?" if number % 2 else "something hard"
            answer = await client.chat.completions.create(model="auto", messages=user(question))
            return answer.choices[0].message.content or ""

        found = await asyncio.gather(*(one(number) for number in range(60)))
    wanted = ["An answer of the cloud.", "The capital of France is Paris."]
    assert found == [wanted[number % 2] for number in range(60)]


@in_loop
async def test_many_clients_of_one_router_are_counted_once(config: Path) -> None:
    def threads() -> int:
        return sum(thread.name == "firsthop-after" for thread in threading.enumerate())

    before = threads()
    async with AsyncRouter(config) as router:
        for _ in range(5):
            client = router.openai()
            await client.chat.completions.create(model="auto", messages=user(QUESTIONS[0]))
        assert threads() == before + 1
        counted = await client.get("http://localhost/metrics", cast_to=str)
        assert 'route="device",status="answered"} 5' in counted
    assert threads() == before


@in_loop
async def test_a_caller_that_leaves_is_no_fault_and_is_heeded_itself(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "firsthop.sidecar")
    async with AsyncRouter(config) as router:
        client = router.openai()
        stream = await client.chat.completions.create(
            model="auto", messages=user("an essay"), stream=True
        )
        await anext(aiter(stream))
        await stream.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.chat.completions.create(model="cloud", messages=user("never answers"))
    assert not caplog.records


def test_a_stream_that_is_open_when_the_router_closes_is_booked(config: Path) -> None:
    router = Router(config)
    stream = router.openai().chat.completions.create(
        model="auto", messages=user("an essay"), stream=True
    )
    next(iter(stream))
    router.close()
    stream.close()

    assert last(config.parent)[0].status == "cancelled"
