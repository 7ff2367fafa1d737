"""What the sidecar's benchmarks share: a server of its own, and its three dialects by hand.

A request is bytes over a connection of its own, and an answer is every byte that came back before
the server closed: nothing that a client library would hide is hidden.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
"""The dialects, and where each is spoken."""
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class Reply:
    """Every byte of one response, read.

    Attributes:
        status: None: not even its first line came.
        texts: Of a stream its pieces of text as they came; of a whole answer all of it as one.
        ended: It came to the end that its dialect has, so nothing of it is missing.
        error: What it says went wrong, by its code. None: nothing did.
    """

    raw: bytes
    status: int | None
    texts: tuple[str, ...]
    ended: bool
    error: str | None

    @property
    def text(self) -> str:
        """What was said, in one."""
        return "".join(self.texts)


def request(
    dialect: str, text: str, *, model: str, stream: bool, user: str, tools: bool = False
) -> bytes:
    """A request as it goes over the wire; its connection is for it alone.

    Args:
        user: Becomes the tag `user` in the ledger, whatever the dialect calls it.
    """
    turns = [{"role": "user", "content": text}]
    body: dict[str, Any] = {"model": model, "stream": stream}
    tool: dict[str, Any] = {"name": "weather"}
    if dialect == "messages":
        body |= {"messages": turns, "max_tokens": 1000, "metadata": {"user_id": user}}
        tool["input_schema"] = TOOL
    elif dialect == "responses":
        body |= {"input": turns, "user": user}
        tool |= {"type": "function", "parameters": TOOL}
    else:
        body |= {"messages": turns, "user": user}
        tool = {"type": "function", "function": {**tool, "parameters": TOOL}}
    if tools:
        body["tools"] = [tool]
    raw = json.dumps(body).encode()
    head = (
        f"POST {PATHS[dialect]} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


@dataclass(slots=True)
class Heard:
    """What came back over a connection.

    Attributes:
        came: How many bytes there were by when, in seconds since the request was sent.
        whole: The server has closed, so there is no more.
    """

    raw: bytes = b""
    came: list[tuple[float, int]] = field(default_factory=list)
    whole: bool = False

    def at_s(self, offset: int) -> float:
        """When the byte at `offset` was there."""
        return next(at for at, size in self.came if size > offset)


async def exchange(port: int, sent: bytes, heard: Heard | None = None) -> Heard:
    """Send, and hear every byte that comes back until the server closes.

    Args:
        heard: Where it goes, also when this is cancelled in the middle.

    Raises: OSError, when nobody is there or the connection was reset.
    """
    heard = heard or Heard()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        began = time.perf_counter()
        while piece := await reader.read(65536):
            heard.raw += piece
            heard.came.append((time.perf_counter() - began, len(heard.raw)))
        heard.whole = True
        return heard
    finally:
        writer.close()


def read(dialect: str, raw: bytes) -> Reply:
    """What a response says. Raises: ValueError, for what its dialect does not have."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 "):
        return Reply(raw, None, (), ended=False, error=None)
    status = int(head[9:12])
    closed = True
    if b"transfer-encoding: chunked" in head.lower():
        body, closed = _unchunked(body)
    if b"text/event-stream" not in head.lower():
        return _whole(dialect, raw, status, body, _length(head) == len(body))
    texts: list[str] = []
    ended, error = False, None
    for event in body.split(b"\n\n"):
        data = event.partition(b"data: ")[2]
        if not data:
            continue  # a comment
        if data == b"[DONE]":
            ended = True
            continue
        said = json.loads(data)
        piece, last, wrong = _event(dialect, said)
        texts += [piece] if piece else []
        ended, error = ended or last, error or wrong
    return Reply(
        raw, status, tuple(texts), ended=closed and (ended or error is not None), error=error
    )


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """A body without its framing, and whether the frame was closed."""
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return found, body == b"\r\n"
        found, body = found + body[:length], body[length + 2 :]
    return found, False


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or -1)


def _whole(dialect: str, raw: bytes, status: int, body: bytes, closed: bool) -> Reply:
    if not closed:
        return Reply(raw, status, (), ended=False, error=None)
    said = json.loads(body)
    if status != 200:
        return Reply(raw, status, (), ended=True, error=_code(said))
    if dialect == "messages":
        parts = [block.get("text") for block in said["content"]]
    elif dialect == "responses":
        parts = [p["text"] for item in said["output"] for p in item.get("content", ())]
    else:
        parts = [said["choices"][0]["message"]["content"]]
    return Reply(raw, status, tuple(part for part in parts if part), ended=True, error=None)


def _event(dialect: str, said: dict[str, Any]) -> tuple[str | None, bool, str | None]:
    """An event's text, whether it is the last of a good end, and what it says went wrong."""
    kind = said.get("type")
    if kind == "error" or ("error" in said and dialect == "chat"):
        return None, False, _code(said)
    if dialect == "chat":
        choices = said["choices"]
        return (choices[0]["delta"].get("content") if choices else None), False, None
    if dialect == "messages":
        piece = said["delta"].get("text") if kind == "content_block_delta" else None
        return piece, kind == "message_stop", None
    piece = said["delta"] if kind == "response.output_text.delta" else None
    return piece, kind in ("response.completed", "response.incomplete"), None


def _code(said: dict[str, Any]) -> str:
    """An error's code, wherever its dialect has it."""
    error = said.get("error") or said
    found = error.get("code") or error.get("details", {}).get("error_code") or error.get("type")
    return str(found)


@contextmanager
def served(folder: Path, config: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`firsthop serve` on a free port with `config`, killed at the end if it still runs."""
    file = folder / "firsthop.yaml"
    file.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "router", "serve", "-c", str(file), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        port = said.partition("127.0.0.1:")[2].partition("/")[0]
        if not port:
            raise SystemExit(f"the server did not start: {said}{process.stderr.read()}")
        yield process, int(port)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()
