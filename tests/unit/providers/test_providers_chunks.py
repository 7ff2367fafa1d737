"""Events that came in one piece go on as one chunk, and nothing of them is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadWire
from router.providers.openai_chunks import ChunkReader
from router.providers.sse import Event
from router.redaction import remember
from router.types import Chunk, TokenStat, Transit, Usage


def event(data: str) -> Event:
    return Event(b"", data.encode())


def text(said: str) -> Event:
    choice = {"delta": {"content": said}}
    return event(json.dumps({"model": "m", "id": "r", "choices": [choice]}))


SAID = st.lists(st.text(max_size=3), min_size=1, max_size=5)


@given(SAID, st.integers(0, 5))
def test_it_makes_no_difference_how_many_events_come_together(said: list[str], cut: int) -> None:
    events = [*map(text, said), event('{"choices":[{"delta":{},"finish_reason":"stop"}]}')]
    at_once, _ = ChunkReader().read(events)
    reader = ChunkReader()
    parts = [came for part in (events[:cut], events[cut:]) if (came := reader.read(part)[0])]

    assert at_once is not None
    assert at_once.text == "".join(said) == "".join(part.text for part in parts)
    for name in ("finish", "model", "request_id"):
        told = [value for part in parts if (value := getattr(part, name)) is not None]
        assert told == [getattr(at_once, name)], "each is said once"


def test_events_that_come_together_make_one_chunk() -> None:
    came, error = ChunkReader().read([text("a"), text("b"), event("[DONE]")])

    assert error is None
    assert came == Chunk(text="ab", model="m", request_id="r")


def test_what_was_said_before_an_error_is_not_lost_with_it() -> None:
    came, error = ChunkReader().read([text("a"), event("{oh"), text("b")])

    assert came == Chunk(text="a", model="m", request_id="r")
    assert isinstance(error, BadWire)


def finished() -> ChunkReader:
    reader = ChunkReader()
    reader.read([event('{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}')])
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

    assert reader.read([late, usage]) == (None, None)
    assert reader.end() == Chunk(usage=Usage(input_tokens=3, output_tokens=2))


def test_usage_that_comes_with_a_late_error_counts() -> None:
    reader = finished()
    told = '{"error":{"message":"no"},"usage":{"prompt_tokens":3,"completion_tokens":2}}'

    assert reader.read([event(told)]) == (None, None)
    assert reader.end() == Chunk(usage=Usage(input_tokens=3, output_tokens=2))


def test_a_refusal_is_text_with_its_own_probabilities() -> None:
    choice = {
        "delta": {"content": None, "refusal": "No."},
        "logprobs": {"content": None, "refusal": [{"token": "No.", "logprob": -0.5}]},
    }
    said = ChunkReader().read([event(json.dumps({"choices": [choice]}))])

    assert said == (Chunk(text="No.", tokens=(TokenStat(-0.5),)), None)


def test_events_that_say_nothing_make_no_chunk() -> None:
    assert ChunkReader().read([event('{"choices":[]}')]) == (None, None)


def test_a_key_that_comes_back_as_the_answers_id_or_model_is_not_handed_on() -> None:
    remember("chunks-key-0123456789")
    event_of_it = event('{"model":"chunks-key-0123456789","id":"r-chunks-key-0123456789"}')

    assert ChunkReader().read([event_of_it])[0] == Chunk(model="[secret]", request_id="r-[secret]")


def test_with_the_end_mark_comes_all_that_is_left_to_say() -> None:
    reader, travelled = ChunkReader(), Transit(connect_s=0.25)
    ending = event('{"choices":[{"delta":{},"finish_reason":"stop"}]}')
    usage = event('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')

    came, error = reader.read([text("a"), ending, usage, event("[DONE]")], travelled)

    assert error is None
    assert came == Chunk(
        text="a",
        finish="stop",
        usage=Usage(input_tokens=3, output_tokens=2),
        model="m",
        request_id="r",
        transit=travelled,
    )
    assert reader.end() is None, "nothing is said twice"


def test_how_it_travelled_is_told_with_events_that_say_nothing() -> None:
    travelled = Transit(connect_s=0.25)

    assert ChunkReader().read([event('{"choices":[]}')], travelled)[0] == Chunk(transit=travelled)
