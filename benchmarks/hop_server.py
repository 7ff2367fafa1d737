"""The cloud of `hop.py`: answers at once, always the same, for as little processor time as may be.

    python benchmarks/hop_server.py CHUNKS APART_MS

Prints its port and serves until its standard input ends. A body that holds ``"stream":true`` is
answered by that many events, each in a write of its own and so many milliseconds apart; any other
by one object with the same text.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

MODEL = "hop-model-2026-01-01"


def texts(chunks: int) -> list[str]:
    return [f" word{number}" for number in range(chunks)]


def _event(payload: dict[str, Any]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    data = b"data: " + json.dumps({**head, **payload}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def streamed(chunks: int) -> list[bytes]:
    usage = {"prompt_tokens": 500, "completion_tokens": chunks, "total_tokens": 500 + chunks}
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    return [
        head + b"\r\n" + _event(_choice({"role": "assistant", "content": ""})),
        *(_event(_choice({"content": text})) for text in texts(chunks)),
        _event(_choice({}, "stop")),
        _event({"choices": [], "usage": usage}) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
    ]


def plain(chunks: int) -> bytes:
    message = {"role": "assistant", "content": "".join(texts(chunks))}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": chunks, "total_tokens": 500 + chunks},
    }
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Cloud(asyncio.Protocol):
    """One connection."""

    def __init__(self, chunks: int, apart_s: float) -> None:
        self.pieces, self.whole, self.apart_s = streamed(chunks), plain(chunks), apart_s
        self.came = b""
        self.writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, found, body = self.came.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or b"0"):
            return
        self.came = b""
        if b'"stream":true' not in body.replace(b" ", b""):
            self.transport.write(self.whole)
        elif self.apart_s:
            self.writing = asyncio.get_running_loop().create_task(self._write())
        else:
            for piece in self.pieces:
                self.transport.write(piece)

    async def _write(self) -> None:
        for piece in self.pieces:
            self.transport.write(piece)
            await asyncio.sleep(self.apart_s)


async def main(chunks: int, apart_ms: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Cloud(chunks, apart_ms / 1e3), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
