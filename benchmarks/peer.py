"""Whom the device is compared with: what each of them can be asked, and how it is measured.

A peer holds the same weights in a process of its own. It answers one conversation, or several at
once; memory and processor time are those of its process and of all that it started.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from router.providers.device import Device
from router.types import Ask, Message

Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One answer.

    Attributes:
        ttft_s: From asking to the first token.
        tokens_per_s: Of the tokens after the first.
    """

    ttft_s: float
    tokens_per_s: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Several answers, asked for in the same moment.

    Attributes:
        tokens: Of all answers together.
        seconds: From asking to the last token of the last answer, prompts included.
        cpu_s: Processor time of the peer's processes meanwhile.
    """

    tokens: int
    seconds: float
    cpu_s: float


class Peer(Protocol):
    """Something that answers with the same weights."""

    async def answer(self, messages: Messages, tokens: int) -> Run:
        """One answer, greedy, of at most so many tokens."""
        ...

    async def burst(self, prompts: list[Messages], tokens: int) -> Burst:
        """All of these at once."""
        ...

    async def peak_bytes(self) -> int | None:
        """Most resident memory its processes ever had. None: the platform doesn't say."""
        ...

    async def aclose(self) -> None: ...


def run_of(began: float, times: list[float], tokens: int | None = None) -> Run:
    """What the moments of an answer's tokens say; `tokens` where not each has a moment."""
    count = len(times) if tokens is None else tokens
    spread = times[-1] - times[0]
    return Run(
        ttft_s=times[0] - began,
        tokens_per_s=(count - 1) / spread if count > 1 and spread > 0 else 0.0,
        tokens=count,
    )


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def peak_bytes(pid: int | str) -> int | None:
    """Most resident memory a process ever had. None: the platform doesn't say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def tree_peak_bytes(pid: int) -> int | None:
    """The peaks of a process and all that it started, added up."""
    found = [peak_bytes(each.pid) for each in tree(pid)]
    return None if None in found else sum(each or 0 for each in found)


def cpu_s(pid: int) -> float:
    """Processor time of a process and all that it started."""
    return sum(each.cpu_times().user + each.cpu_times().system for each in tree(pid))


class Ours:
    """The device, through its provider and its worker."""

    def __init__(self, device: Device) -> None:
        self.device = device

    async def answer(self, messages: Messages, tokens: int) -> Run:
        began = time.perf_counter()
        return run_of(began, [at async for at in self._moments(messages, tokens)])

    async def burst(self, prompts: list[Messages], tokens: int) -> Burst:
        pid = await self._pid()
        spent, began = cpu_s(pid), time.perf_counter()
        counts = await asyncio.gather(*(self._count(prompt, tokens) for prompt in prompts))
        seconds = time.perf_counter() - began
        return Burst(tokens=sum(counts), seconds=seconds, cpu_s=cpu_s(pid) - spent)

    async def peak_bytes(self) -> int | None:
        return tree_peak_bytes(await self._pid())

    async def aclose(self) -> None:
        await self.device.aclose()

    async def _moments(self, messages: Messages, tokens: int) -> AsyncIterator[float]:
        ask = Ask(attempt_id="benchmark", messages=messages, max_output_tokens=tokens)
        async for chunk in self.device.stream(ask):
            if chunk.tokens:
                yield time.perf_counter()

    async def _count(self, messages: Messages, tokens: int) -> int:
        return len([at async for at in self._moments(messages, tokens)])

    async def _pid(self) -> int:
        health = await self.device.health()
        assert health is not None, "the worker is up"
        return health.pid


class Child:
    """A loop in a process of its own: a job a line goes in, a result a line comes out.

    Args:
        command: Starts it. Its first line says that it is ready.
    """

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self._line()
        except EOFError:
            self._process.kill()
            self._process.wait()
            raise

    async def answer(self, messages: Messages, tokens: int, **more: Any) -> Run:
        return Run(**self._ask({"prompts": [_plain(messages)], "tokens": tokens, **more}))

    async def burst(self, prompts: list[Messages], tokens: int) -> Burst:
        job = {"prompts": [_plain(each) for each in prompts], "tokens": tokens, "burst": True}
        spent = cpu_s(self._process.pid)
        said = self._ask(job)
        return Burst(**said, cpu_s=cpu_s(self._process.pid) - spent)

    async def peak_bytes(self) -> int | None:
        return tree_peak_bytes(self._process.pid)

    async def aclose(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._line())
        return said

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"{self._process.args!r} ended without an answer")
        return line


def _plain(messages: Messages) -> list[dict[str, Any]]:
    return [{"role": each.role, "content": each.content} for each in messages]
