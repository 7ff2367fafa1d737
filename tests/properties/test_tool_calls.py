"""However a service cuts its tool calls into pieces, the same calls come out."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.providers.openai_chunks import ChunkReader
from router.providers.sse import Event
from router.types import Chunk, ToolCall

CALLS = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=20)), min_size=1, max_size=4
)


def event(delta: Any, finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return Event(b"", json.dumps({"choices": [choice]}).encode())


def said_by(reader: ChunkReader, event: Event) -> Chunk | None:
    chunk, error = reader.read([event])
    assert error is None
    return chunk


@given(calls=CALLS, data=st.data())
def test_pieces_in_any_cut_and_any_mixture_make_the_same_calls(
    calls: list[tuple[str, str]], data: st.DataObject
) -> None:
    left = {}
    for index, (name, arguments) in enumerate(calls):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=4)))
        edges = [0, *cuts, len(arguments)]
        parts = [arguments[a:b] for a, b in pairwise(edges)]
        pieces = [{"index": index, "function": {"arguments": part}} for part in parts]
        first = {"index": index, "id": f"id{index}", "function": {"name": name, "arguments": ""}}
        left[index] = [first, *pieces]
    reader, chunks = ChunkReader(), []
    while left:
        index = data.draw(st.sampled_from(sorted(left)))
        chunks.append(said_by(reader, event({"tool_calls": [left[index].pop(0)]})))
        if not left[index]:
            del left[index]
    chunks.append(said_by(reader, event({}, "tool_calls")))

    (said,) = [chunk for chunk in chunks if chunk is not None]
    assert said.finish == "tool_calls"
    assert said.tool_calls == tuple(
        ToolCall(id=f"id{index}", name=name, arguments=arguments)
        for index, (name, arguments) in enumerate(calls)
    )
