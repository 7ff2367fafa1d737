"""A process that uses the device and says what it sees: for tests that need several, or kill one.

    python device_client.py MODEL_FOLDER RUNTIME_FOLDER TRANSPORT

Prints the worker's process id once it is connected; then, for each line with a number on standard
input, the text of an answer of that many tokens, as JSON. Leaves at the end of its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.device.place import Transport
from router.types import Message


async def main(model: str, runtime: str, transport: Transport) -> None:
    link = DeviceLink(
        EngineOptions(folder=model, threads=1), folder=Path(runtime), transport=transport
    )
    await link.start()
    print(link.worker_pid, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = Job(messages=(Message(role="user", content="Tell me."),), max_output_tokens=int(line))
        text = ""
        async for reply in link.run(job):
            if isinstance(reply, wire.Token):
                text += reply.text
        print(json.dumps(text), flush=True)
    await link.aclose()


if __name__ == "__main__":
    kind: Transport = "tcp" if sys.argv[3] == "tcp" else "unix"
    asyncio.run(main(sys.argv[1], sys.argv[2], kind))
