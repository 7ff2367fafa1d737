"""What a server says that is looked at, and one look at it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from contract.calls import KEY, MODEL, opened, target
from contract.replay import Recording, Replay

from router import providers
from router.providers.check import Check


def reply(body: Any, status: str = "200 OK", *headers: str) -> Recording:
    """A short answer in JSON."""
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""])
    return Recording("made here", "", {}, head.encode(), (data,), "end")


def listing(*models: Any) -> Recording:
    return reply({"object": "list", "data": [{"id": "another"}, *models]})


LISTED = listing({"id": MODEL, "object": "model"})
TURNED_AWAY = reply({"error": {"message": f"no such key: {KEY}"}}, "401 Unauthorized")
NOT_THERE = reply({"detail": "Not Found"}, "404 Not Found")
READY = reply({"message": "ready"})


def looked(name: str, *script: Recording, **more: Any) -> tuple[Check, Replay]:
    """One look at a server that plays `script`."""

    async def main() -> tuple[Check, Replay]:
        async with Replay(list(script)) as replay:
            base = replay.url("" if name == "ollama" else "/v1")
            built: Any = providers.build(target(name, base, "lean", **more))
            async with opened(built):
                return await built.check(), replay

    return asyncio.run(main())
