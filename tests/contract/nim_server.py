"""A NIM on loopback, as the tests of its own habits need it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from contract.calls import ASK, Heard, target
from contract.replay import Recording

from router.clock import ManualClock
from router.errors import HopError
from router.providers.base import Transport
from router.providers.nim_wire import NimWire
from router.providers.nvidia_nim import DIALECT

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SHAPED = replace(ASK, json_schema=SCHEMA)


def reply(body: Any, status: str = "200 OK", *headers: str) -> Recording:
    """A short answer in JSON; None: an empty one."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""])
    return Recording("made here", "", {}, head.encode(), (data,) if data else (), "end")


def says(text: str, finish: str = "stop") -> Recording:
    """An answer as a stream, with its usage."""
    events: list[Any] = [
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]},
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}},
    ]
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(data)}"
    return Recording("made here", "", {}, f"{head}\r\n\r\n".encode(), (data.encode(),), "end")


def nim(url: str, transport: Transport, clock: ManualClock | None = None, **more: Any) -> NimWire:
    return NimWire(target("nvidia_nim", url, transport, **more), DIALECT, clock=clock)


def failure(heard: Heard) -> HopError:
    assert heard.error is not None
    return heard.error
