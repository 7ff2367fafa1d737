"""Events that came in one piece go on as one chunk, and nothing of them is lost."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadWire
from router.providers.openai_chunks import ChunkReader, joined
from router.providers.sse import Event
from router.redaction import remember
from router.types import Chunk, TokenStat, ToolCall, Transit, Usage

CALL = ToolCall(id="a", name="look", arguments="{}")
CHUNKS = st.builds(
    Chunk,
    text=st.text(max_size=3),
    tokens=st.lists(st.builds(TokenStat, st.floats(-3, 0)), max_size=2).map(tuple),
    tool_calls=st.sampled_from([(), (CALL,)]),
)


def event(data: str) -> Event:
    return Event(b"", data.encode())


def text(said: str) -> Event:
    choice = {"delta": {"content": said}}
    return event(json.dumps({"model": "m", "id": "r", "choices": [choice]}))


@given(st.lists(CHUNKS, min_size=1, max_size=5))
def test_joined_chunks_say_the_same_in_the_same_order(chunks: list[Chunk]) -> None:
    whole = joined(chunks)

    assert whole.text == "".join(chunk.text for chunk in chunks)
    assert whole.tokens == tuple(token for chunk in chunks for token in chunk.tokens)
    assert whole.tool_calls == tuple(call for chunk in chunks for call in chunk.tool_calls)


def test_what_is_said_once_is_kept_whichever_chunk_says_it() -> None:
    once: dict[str, Any] = {
        "finish": "stop",
        "usage": Usage(input_tokens=1, output_tokens=2),
        "model": "m",
        "request_id": "r",
        "transit": Transit(connect_s=0.1),
    }
    assert set(once) == {field.name for field in fields(Chunk) if field.default is None}
    for name, value in once.items():
        for place in range(3):
            chunks = [Chunk(text="x")] * 3
            chunks[place] = Chunk(text="x", **{name: value})
            assert joined(chunks) == Chunk(text="xxx", **{name: value})


def test_events_that_come_together_make_one_chunk() -> None:
    came, error = ChunkReader().read_all([text("a"), text("b"), event("[DONE]")])

    assert error is None
    assert came == Chunk(text="ab", model="m", request_id="r")


def test_what_was_said_before_an_error_is_not_lost_with_it() -> None:
    came, error = ChunkReader().read_all([text("a"), event("{oh"), text("b")])

    assert came == Chunk(text="a", model="m", request_id="r")
    assert isinstance(error, BadWire)


def finished() -> ChunkReader:
    reader = ChunkReader()
    reader.read(event('{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}'))
    assert reader.finished
    return reader


@pytest.mark.parametrize(
    "late",
    [
        event('{"error":{"message":"no","type":"server_error"}}'),
        event('{"error":{"code":"content_filter"}}'),
        Event(b"error", b'{"message":"no"}'),
        Event(b"error", b"no JSON"),
    ],
)
def test_an_error_after_the_finish_takes_nothing_away(late: Event) -> None:
    reader = finished()
    usage = event('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')

    assert reader.read_all([late, usage]) == (None, None)
    assert reader.end() == Chunk(usage=Usage(input_tokens=3, output_tokens=2))


def test_usage_that_comes_with_a_late_error_counts() -> None:
    reader = finished()
    told = '{"error":{"message":"no"},"usage":{"prompt_tokens":3,"completion_tokens":2}}'

    assert reader.read(event(told)) is None
    assert reader.end() == Chunk(usage=Usage(input_tokens=3, output_tokens=2))


def test_a_refusal_is_text_with_its_own_probabilities() -> None:
    choice = {
        "delta": {"content": None, "refusal": "No."},
        "logprobs": {"content": None, "refusal": [{"token": "No.", "logprob": -0.5}]},
    }
    said = ChunkReader().read(event(json.dumps({"choices": [choice]})))

    assert said == Chunk(text="No.", tokens=(TokenStat(-0.5),))


def test_events_that_say_nothing_make_no_chunk() -> None:
    assert ChunkReader().read_all([event('{"choices":[]}')]) == (None, None)


def test_a_key_that_comes_back_as_the_answers_id_or_model_is_not_handed_on() -> None:
    remember("chunks-key-0123456789")
    event_of_it = event('{"model":"chunks-key-0123456789","id":"r-chunks-key-0123456789"}')

    assert ChunkReader().read(event_of_it) == Chunk(model="[secret]", request_id="r-[secret]")
