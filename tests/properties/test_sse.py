"""Server-sent events: however the bytes are cut, the events are the same."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadWire, HopError
from router.providers.openai_chunks import ChunkReader
from router.providers.sse import Event, Parser
from router.types import Chunk

fields = st.sampled_from([b"data", b"event", b"id", b"retry", b"", b"dat", b"data "])
values = st.binary(max_size=12).map(lambda b: b.translate(None, b"\r\n"))
lines = st.one_of(
    st.builds(
        lambda field, gap, value: field + b":" + gap + value,
        fields,
        st.sampled_from([b"", b" ", b"  "]),
        values,
    ),
    st.sampled_from([b"", b"", b"data", b":", b"\xef\xbb\xbfdata: x"]),
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.lists(st.tuples(lines, ends).map(b"".join), max_size=20).map(b"".join)


def parsed(pieces: list[bytes]) -> list[Event]:
    parser = Parser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close()


def parsed_by_lines(pieces: list[bytes]) -> list[Event]:
    """As `parsed`, with what can be taken as lines taken so."""
    parser, events = Parser(), []
    for piece in pieces:
        if (lines := parser.lines(piece)) is not None:
            events += [Event(b"", line) for line in lines]
        else:
            events += parser.feed(piece)
    return events + parser.close()


def by_the_book(stream: bytes) -> list[Event]:
    """The WHATWG rules, said slowly and over the whole stream; the open event is kept."""
    events, name, data = [], b"", []
    for line in [*re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line == b"":
            if data:
                events.append(Event(name, b"\n".join(data)))
            name, data = b"", []
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if field == b"data":
                data.append(value)
            if field == b"event":
                name = value
    return events


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(bounds)]


@given(st.one_of(streams, st.binary(max_size=80)), st.lists(st.integers(0, 10_000), max_size=30))
def test_cutting_the_bytes_changes_nothing(stream: bytes, places: list[int]) -> None:
    assert parsed(cut(stream, places)) == parsed([stream])


@given(st.one_of(streams, st.binary(max_size=80)))
def test_the_events_are_those_of_the_standard(stream: bytes) -> None:
    assert parsed([stream]) == by_the_book(stream)


plain_streams = st.lists(
    st.one_of(
        values.map(lambda value: b"data: " + value + b"\n\n"),
        st.sampled_from([b"data: a\n", b"data:b\n\n", b"data: c\r\n\r\n", b"\n", b": d\n\n"]),
    ),
    max_size=12,
).map(b"".join)


@given(st.one_of(plain_streams, streams), st.lists(st.integers(0, 10_000), max_size=3))
def test_events_taken_as_lines_are_the_same(stream: bytes, places: list[int]) -> None:
    assert parsed_by_lines(cut(stream, places)) == parsed([stream])


def test_what_most_services_send_is_taken_as_lines() -> None:
    assert Parser().lines(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]


@given(streams)
def test_byte_by_byte_is_the_same_too(stream: bytes) -> None:
    assert parsed([bytes([b]) for b in stream]) == parsed([stream])


GOOD = (
    b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"Gr\xc3\xbc"},'
    b'"logprobs":{"content":[{"logprob":-0.5,"top_logprobs":[{"logprob":-0.5}]}]}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
)


@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 2), st.binary(max_size=3)),
        max_size=6,
    )
)
def test_a_damaged_stream_is_an_answer_or_a_hop_error(
    damage: list[tuple[int, int, bytes]],
) -> None:
    stream = GOOD
    for place, removed, put in damage:
        stream = stream[:place] + put + stream[place + removed :]
    reader, chunks = ChunkReader(), []

    try:
        for event in parsed([stream]):
            came, error = reader.read([event])
            chunks.append(came)
            if error is not None:
                raise error
        chunks.append(reader.end())
    except HopError:
        pass

    assert all(chunk is None or isinstance(chunk, Chunk) for chunk in chunks)


objects = st.sampled_from(
    [
        b'{"model":"m","id":"r","choices":[{"delta":{"content":"a"}}]}',
        b'{"choices":[{"delta":{"content":"b"}},{"index":1,"delta":{"content":"c"}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"i","function":{"name":"f"}}]}}]}',
        b'{"choices":[{"delta":{"content":"d"},"logprobs":{"content":[{"logprob":-1}]}}]}',
        b'{"choices":[{"delta":{},"finish_reason":"stop"}]}',
        b'{"choices":[{"delta":{"content":"e"},"finish_reason":"content_filter"}]}',
        b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}',
        b'{"error":{"message":"no","type":"server_error"}}',
        b'{"error":{"code":"content_filter"}}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b"[DONE]",
        b" [DONE] ",
        b"",
        b" ",
        b"null",
        b"{}",
        b"{}{}",
        b'{"choices":[{"delta":{"content":"f"}}',
        b"]}",
        b'{"choices":[{"delta":{"content":3}}]}',
        b'{"x":"}',
        b'{"}',
    ]
)


def told(chunk: Chunk | None, error: HopError | None) -> object:
    return chunk, type(error), str(error)


@given(st.lists(st.lists(objects, min_size=1, max_size=6), min_size=1, max_size=3))
def test_events_read_as_lines_say_the_same_as_one_by_one(bursts: list[list[bytes]]) -> None:
    at_once, each = ChunkReader("r"), ChunkReader("r")
    for burst in bursts:
        by_lines = told(*at_once.read_lines(burst))

        assert by_lines == told(*each.read([Event(b"", data) for data in burst]))
        assert (at_once.finished, at_once.done) == (each.finished, each.done)


@given(st.integers(0, len(GOOD)))
def test_a_stream_cut_before_its_finish_reason_never_passes_for_a_whole_one(length: int) -> None:
    last_of_finish = GOOD.index(b'"stop"}]}') + len(b'"stop"}]}')
    reader = ChunkReader()
    try:
        for event in parsed([GOOD[:length]]):
            _, error = reader.read([event])
            if error is not None:
                raise error
        reader.end()
        whole = True
    except BadWire:
        whole = False

    assert whole == (length >= last_of_finish)
