"""llama.cpp's own server as a peer: from its wheel, or from a build for this processor.

    python llama_peer.py FILE.gguf THREADS POLL

starts the server of the wheel (`pip install xllamacpp`), prints its address and stays until its
input ends. A build is a folder with `bin/llama-server`, such as
`cmake -B build -DGGML_NATIVE=ON && cmake --build build --target llama-server` makes. Both are asked
over HTTP, streamed, to go on to the last token asked for, and not for log-probabilities.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from peer import Burst, Messages, Run, cpu_s, run_of, tree_peak_bytes

SLOTS = 8
SLOT_TOKENS = 2048
START_S = 60.0
POLL = {False: "0", True: "50"}


class LlamaServer:
    """See `Peer`. A prefix that a slot has read is kept, as its default is."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process = process
        self._address = address
        self._session = aiohttp.ClientSession(
            # The server ends an idle connection, just when it is to be used again.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=600),
        )

    async def answer(self, messages: Messages, tokens: int) -> Run:
        body = {
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        began, times, count = time.perf_counter(), [], None
        async with self._session.post(f"{self._address}/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            async for line in reply.content:
                if not line.startswith(b"data: {"):
                    continue
                said = json.loads(line[6:])
                if "timings" in said:
                    count = said["timings"]["predicted_n"]
                if any(each["delta"].get("content") for each in said.get("choices", ())):
                    times.append(time.perf_counter())
        return run_of(began, times or [time.perf_counter()], count)

    async def burst(self, prompts: list[Messages], tokens: int) -> Burst:
        pid = self._process.pid
        spent, began = cpu_s(pid), time.perf_counter()
        runs = await asyncio.gather(*(self.answer(prompt, tokens) for prompt in prompts))
        seconds = time.perf_counter() - began
        return Burst(
            tokens=sum(run.tokens for run in runs), seconds=seconds, cpu_s=cpu_s(pid) - spent
        )

    async def peak_bytes(self) -> int | None:
        return tree_peak_bytes(self._process.pid)

    async def aclose(self) -> None:
        await self._session.close()
        self._process.kill()
        self._process.wait()


async def from_build(build: Path, gguf: Path, threads: int, spinning: bool) -> LlamaServer:
    """A server that was built from source. Spinning: as it does by itself while it waits.

    Raises:
        OSError: It isn't there, or doesn't come up; says what to try.
    """
    port = _free_port()
    process = await asyncio.to_thread(_start_built, build, gguf, threads, spinning, port)
    return await _up(LlamaServer(process, f"http://127.0.0.1:{port}"))


async def from_wheel(gguf: Path, threads: int, spinning: bool) -> LlamaServer:
    """The server inside the wheel of llama.cpp that is installed here.

    Raises:
        OSError: It doesn't come up.
    """
    process, address = await asyncio.to_thread(_start_wheel, gguf, threads, spinning)
    if not address:
        raise OSError("the wheel's server ended before it was up: pip install xllamacpp")
    return await _up(LlamaServer(process, address))


def _start_built(
    build: Path, gguf: Path, threads: int, spinning: bool, port: int
) -> subprocess.Popen[str]:
    program = next(
        (path for name in ("llama-server", "llama-server.exe") for path in build.rglob(name)), None
    )
    if program is None:
        raise OSError(f"no llama-server in {build}; build it there with --target llama-server")
    # fmt: off
    command = [
        str(program), "-m", str(gguf), "-t", str(threads), "-tb", str(threads), "-np", str(SLOTS),
        "-c", str(SLOTS * SLOT_TOKENS), "--host", "127.0.0.1", "--port", str(port),
        "--poll", POLL[spinning],
    ]
    # fmt: on
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )


def _start_wheel(gguf: Path, threads: int, spinning: bool) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, __file__, str(gguf), str(threads), POLL[spinning]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


async def _up(server: LlamaServer) -> LlamaServer:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server._process.poll() is None:
        try:
            async with server._session.get(f"{server._address}/health") as reply:
                if reply.status == 200:
                    return server
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    await server.aclose()
    raise OSError(f"llama.cpp's server didn't come up within {START_S:.0f} s")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def main(gguf: str, threads: int, poll: int) -> None:
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cpuparams.poll = params.cpuparams_batch.poll = poll
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
