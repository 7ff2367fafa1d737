"""The device as a provider: what the rest of the package sees of it."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router import providers
from router.errors import ConfigError, Incapable, NotSent, Unavailable
from router.providers.base import Target
from router.types import Ask, Message, Tool


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    """Workers of the tests meet apart from the user's own."""
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    monkeypatch.setenv("XDG_RUNTIME_DIR", short)
    yield
    shutil.rmtree(short, ignore_errors=True)


def device(model, **options):
    return providers.build(
        Target(name="home", tier="device", provider="device", model=str(model), options=options)
    )


def ask(text="Tell me.", tokens=12, **rest):
    return Ask(
        attempt_id="a1",
        messages=(Message(role="user", content=text),),
        max_output_tokens=tokens,
        **rest,
    )


@asynccontextmanager
async def open_device(model):
    provider = device(model, threads=1)
    try:
        yield provider
    finally:
        await provider.aclose()


async def collect(provider, wanted):
    return [chunk async for chunk in provider.stream(wanted)]


@in_loop
async def test_each_token_is_a_chunk_and_the_last_chunk_has_the_usage(tiny):
    provider = device(tiny, threads=1)
    try:
        assert await provider.count_tokens(ask().messages) is None
        chunks = await collect(provider, ask())
        counted = await provider.count_tokens(ask().messages)
        health = await provider.health()
    finally:
        await provider.aclose()
        await provider.aclose()

    *tokens, last = chunks
    assert all(len(chunk.tokens) == 1 for chunk in tokens)
    assert [chunk.finish for chunk in chunks] == [None] * 12 + ["length"]
    assert (last.usage.input_tokens, last.usage.output_tokens) == (counted, 12)
    assert all(chunk.usage is None for chunk in tokens)
    assert {chunk.model for chunk in chunks} == {tiny.name}
    assert health.jobs_done == 1
    assert provider.info.context_limit == 4096


@in_loop
async def test_the_middle_layer_s_state_comes_with_the_last_chunk_if_it_is_asked(tiny):
    async with open_device(tiny) as provider:
        *tokens, last = await collect(provider, ask(states=True))
        *_, other = await collect(provider, ask("Something else.", states=True))
        unasked = await collect(provider, ask())

    assert {chunk.state for chunk in (*tokens, *unasked)} == {None}
    assert last.state.layer == provider.info.state_layer == 1
    assert len(last.state.mean) == len(other.state.mean) == 4 * 64
    assert last.state != other.state
    assert "".join(c.text for c in unasked) == "".join(c.text for c in tokens)


@in_loop
async def test_the_ask_s_wishes_reach_the_engine(tiny):
    provider = device(tiny, threads=1, context_limit=64)
    try:
        whole = "".join(c.text for c in await collect(provider, ask(tokens=1000)))
        stop = whole[5:9]
        short = await collect(provider, ask(tokens=1000, stop=(stop,)))
        seeded = [await collect(provider, ask(temperature=1.0, seed=s)) for s in (1, 1, 2)]
    finally:
        await provider.aclose()

    assert "".join(c.text for c in short) == whole[: whole.index(stop)]
    assert short[-1].finish == "stop"
    assert seeded[0] == seeded[1] != seeded[2]


@in_loop
async def test_leaving_an_answer_early_leaves_the_worker_free(tiny):
    provider = device(tiny, threads=1)
    try:
        async with aclosing(provider.stream(ask(tokens=3000))) as chunks:
            await anext(chunks)
        assert len(await collect(provider, ask(tokens=1))) == 2
        assert (await provider.health()).jobs_done == 1
    finally:
        await provider.aclose()


@in_loop
async def test_an_ask_without_the_time_for_it_is_told_so_and_not_begun(tiny):
    provider = device(tiny, threads=1)
    try:
        for n in range(6):
            await collect(provider, ask(f"Number {n}. " * (5 + 20 * n), tokens=40))
        with pytest.raises(NotSent, match="turned it away") as caught:
            await collect(provider, ask(tokens=3000, timeout_s=0.004))
        assert caught.value.code == "too_late"
        assert (await provider.health()).turned_away == 1
        found = await provider.forecast(input_tokens=100, cap=40)
        assert 0 < found.first_token_s < found.end_s
    finally:
        await provider.aclose()


@in_loop
async def test_a_prompt_too_long_is_incapable(tiny):
    provider = device(tiny, threads=1)
    try:
        with pytest.raises(Incapable):
            await collect(provider, ask("word " * 5000))
    finally:
        await provider.aclose()


@in_loop
async def test_a_model_that_is_not_here_names_the_command_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTHOP_MODELS", str(tmp_path / "empty"))
    for model in ("phi-3.5-mini", str(tmp_path / "nowhere")):
        with pytest.raises(Unavailable, match=r"firsthop models pull|isn't a model") as caught:
            await collect(device(model), ask())
        assert not caught.value.retryable
        assert await device(model).health() is None


def test_building_one_touches_no_model():
    device("a-model-nobody-has")


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"thread": 1}, "thread", "threads"),
        ({"threads": 0}, "threads", "at least 1"),
        ({"threads": True}, "threads", "whole number"),
        ({"threads": "two"}, "threads", "whole number"),
        ({"context_limit": 0}, "context_limit", "at least 1"),
        ({"nice": 20}, "nice", "at most 19"),
        ({"at_once": 0}, "at_once", "at least 1"),
        ({"at_once": 65}, "at_once", "at most 64"),
        ({"nice": -5}, "nice", "at least 0"),
        ({"spinning": "yes"}, "spinning", "true or false"),
        ({"accelerator": 1}, "accelerator", "execution provider"),
    ],
)
def test_a_wrong_option_is_named_when_the_config_is_read(options, field, said):
    with pytest.raises(ConfigError, match=said) as caught:
        device("smollm2-135m", **options)
    assert caught.value.field == f"targets.home.options.{field}"


@in_loop
async def test_json_is_held_to_and_tokens_are_spelled_out(tiny):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    async with open_device(tiny) as provider:
        wanted = replace(ask(tokens=30), json=True, json_schema=schema, logprobs=2)
        chunks = await collect(provider, wanted)

    assert set(json.loads("".join(chunk.text for chunk in chunks))) == {"name", "age"}
    told = [token for chunk in chunks for token in chunk.logprobs]
    assert told
    assert all(len(token.top) == 2 for token in told)


@in_loop
async def test_a_forced_tool_is_called_with_arguments_of_its_schema(tiny):
    tool = Tool(
        name="look",
        parameters={
            "type": "object",
            "properties": {"page": {"enum": [1, 2]}},
            "required": ["page"],
        },
    )
    async with open_device(tiny) as provider:
        chunks = await collect(
            provider,
            replace(ask(tokens=60), tools=(tool,), tool_choice="required", temperature=1.0, seed=1),
        )

    assert "".join(chunk.text for chunk in chunks) == ""
    (call,) = [call for chunk in chunks for call in chunk.tool_calls]
    assert call.name == "look"
    assert json.loads(call.arguments)["page"] in (1, 2)
    assert chunks[-1].finish == "tool_calls"


@in_loop
async def test_what_was_read_before_is_told_as_cached(tiny):
    async with open_device(tiny) as provider:
        first = (await collect(provider, ask(tokens=3)))[-1].usage
        again = (await collect(provider, ask(tokens=3)))[-1].usage
        health = await provider.health()

    assert first.cached_input_tokens == 0
    assert again.cached_input_tokens == again.input_tokens - 2
    assert health.reuse.hits == 1
