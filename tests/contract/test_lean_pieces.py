"""What the lean transport makes one chunk of: what has come together, and no more."""

from __future__ import annotations

import asyncio

from contract.calls import ASK, listen, opened, target
from contract.replay import Recording, Replay

from router import providers
from router.types import Chunk, Usage

BODY = (
    b'data: {"id":"r","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(
    BODY
)


def test_an_answer_that_comes_with_its_head_is_one_chunk() -> None:
    at_once = Recording("made here", "", {}, HEAD + BODY, (), "end")

    async def main() -> list[Chunk]:
        async with Replay([at_once]) as replay:
            bound = target("openai_compatible", replay.url(), "lean")
            async with opened(providers.build(bound)) as provider:
                return (await listen(provider)).chunks

    (chunk,) = asyncio.run(main())

    assert (chunk.text, chunk.finish, chunk.model) == ("a", "stop", "m")
    assert chunk.usage == Usage(input_tokens=3, output_tokens=2)
    assert chunk.transit is not None


def test_a_head_alone_is_told_before_anything_else_comes() -> None:
    silent = Recording("made here", "", {}, HEAD, (), "stall")

    async def main() -> Chunk:
        async with Replay([silent]) as replay:
            bound = target("openai_compatible", replay.url(), "lean", timeout_s=30.0)
            async with opened(providers.build(bound)) as provider, asyncio.timeout(5):
                answer = provider.stream(ASK)
                first = await anext(answer)
                await answer.aclose()  # type: ignore[attr-defined]
                return first

    first = asyncio.run(main())

    assert first == Chunk(transit=first.transit)
    assert first.transit is not None
