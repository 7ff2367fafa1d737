"""A stand-in for a cloud, for the demo: a real HTTP server on loopback that is no model.

It speaks the chat-completions wire, streamed, so that a request without any key still crosses a
socket and is booked like any other. It can't answer, and says so in its answer and in its name. Its
tokens are words: the usage it sends counts the words of the messages and of its own text.
"""

from __future__ import annotations

import json
import re
import secrets
from types import TracebackType
from typing import Any

from aiohttp import web

MODEL = "stand-in"


class StandIn:
    """The server, on a free port of 127.0.0.1, for as long as the context is open.

    ``async with StandIn() as stand_in: stand_in.base_url``
    """

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What a target's `base_url` has to be, such as ``http://127.0.0.1:40123/v1``."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> StandIn:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", _complete)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


def answer(question: str) -> str:
    """What it says to everything."""
    return (
        "I am a stand-in for a cloud model on this machine's loopback; I can't answer. "
        f"You asked: {question}"
    )


async def _complete(request: web.Request) -> web.StreamResponse:
    try:
        body = await request.json()
        words = [str(message["content"]) for message in body["messages"]]
        question = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
    except (ValueError, KeyError, TypeError, StopIteration):
        return _refuse("the body has to hold `messages` with a user's message among them")
    if body.get("stream") is not True:
        return _refuse("this stand-in only streams; send `stream: true`")
    text = re.findall(r"\s*\S+", answer(str(question)))
    cap = body.get("max_completion_tokens", body.get("max_tokens"))
    shown = text if cap is None else text[:cap]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    piece = _Pieces(f"stand-in-{secrets.token_hex(4)}")
    for word in shown:
        await response.write(piece({"content": word}))
    await response.write(piece({}, finish="stop" if shown == text else "length"))
    if (body.get("stream_options") or {}).get("include_usage"):
        await response.write(piece.usage(sum(len(w.split()) for w in words), len(shown)))
    await response.write(b"data: [DONE]\n\n")
    return response


class _Pieces:
    """Events of one answer."""

    def __init__(self, answer_id: str) -> None:
        self._head = {"id": answer_id, "object": "chat.completion.chunk", "model": MODEL}

    def __call__(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self._event({"choices": [choice]})

    def usage(self, prompt: int, completion: int) -> bytes:
        counted = {"prompt_tokens": prompt, "completion_tokens": completion}
        return self._event({"choices": [], "usage": counted})

    def _event(self, rest: dict[str, Any]) -> bytes:
        return f"data: {json.dumps({**self._head, **rest})}\n\n".encode()


def _refuse(message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "code": None}
    return web.json_response({"error": error}, status=400)
