"""The clouds of `chaos.py`: chat-completions servers on loopback that fail in every way they know.

    python benchmarks/chaos_clouds.py

A process of its own, told what to do by lines of JSON on standard input, each answered by one on
standard output::

    {"open": {"a": {"faults": 0.2}, "b": {"always": "401"}}, "seed": 1}   -> {"a": port, "b": port}
    {"kill": "a", "how": "refuse"}     no more connections, and those that are open are reset
    {"kill": "a", "how": "silent"}     requests are still read, and nothing is ever answered
    {"close": true}                    -> what every server saw and did, request by request

Every request is noted by the id that the attempt carries, before a byte of it is answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MODEL = "chaos"
WORDS = ("the", "sea", "is", "calm", "—", "Grüße,", "世界", "🌍", "and", '"quotes"', "in", "it")
ID_HEADERS = ("x-client-request-id", "x-ms-client-request-id")
DRIP_S = 0.05
NEVER_S = 30.0  # longer than any target is waited for

Ending = Literal["keep", "close", "stall"]


@dataclass
class Note:
    """One request.

    Attributes:
        attempt: The id it carried.
        kind: What was done about it.
        text: What a whole answer to it says. None: none was meant to come whole.
        usage: Tokens in and out, where they were part of the answer.
        whole: All of it was handed to the socket.
    """

    target: str
    attempt: str
    kind: str
    text: str | None = None
    usage: tuple[int, int] | None = None
    whole: bool = False


@dataclass
class Play:
    """An answer: pieces to write, with a pause between them, and what is done at the end."""

    pieces: list[bytes]
    ending: Ending = "keep"
    pause_s: float = 0.0
    text: str | None = None
    usage: tuple[int, int] | None = None


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def piece(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"id": "c", "model": MODEL, "choices": [choice]})


def chunked(pieces: list[bytes], head: str = "text/event-stream", more: str = "") -> list[bytes]:
    """A 200 with these pieces, each a chunk of the transfer encoding."""
    start = f"HTTP/1.1 200 OK\r\nContent-Type: {head}\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
    return [start.encode(), *(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p), b"0\r\n\r\n"]


def status(line: str, body: str = "", head: str = "") -> Play:
    kind = "text/html" if body.startswith("<") else "application/json"
    told = f"HTTP/1.1 {line}\r\nContent-Type: {kind}\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    return Play([(told + body).encode()])


def error(line: str, message: str, code: str | None = None, head: str = "") -> Play:
    fault = {"message": message, "type": "error", "code": code}
    return status(line, json.dumps({"error": fault}), head)


@dataclass
class Answers:
    """Answers to one request, good and bad; all that is drawn is drawn from `dice`."""

    dice: random.Random
    target: str
    attempt: str
    usage: tuple[int, int] = (0, 0)
    events: list[bytes] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        words = self.dice.choices(WORDS, k=self.dice.randint(1, 12))
        pieces = [f"{self.target}/{self.attempt}:", *(f" {word}" for word in words)]
        self.text = "".join(pieces)
        self.usage = (self.dice.randint(1, 900), self.dice.randint(1, 90))
        tokens = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
        self.events = [
            piece({"role": "assistant", "content": ""}),
            *(piece({"content": word}) for word in pieces),
            piece({}, "stop"),
            event({"choices": [], "usage": tokens}),
            b"data: [DONE]\n\n",
        ]

    def good(self) -> tuple[str, Play]:
        """A whole answer, in one of the shapes that are met."""
        events, usage = self.events, self.usage
        kind = self.dice.choice(
            ("plain", "plain", "cut up", "crlf", "comments", "gzip", "done twice", "no usage")
        )
        play = Play(chunked(events), text=self.text, usage=usage)
        if kind == "cut up":
            play.pieces = chunked(self._cut_up(b"".join(events)))
        elif kind == "crlf":
            play.pieces = chunked([e.replace(b"\n", b"\r\n") for e in events])
        elif kind == "comments":
            play.pieces = chunked([b": wait\n\n" + e for e in events])
        elif kind == "gzip":
            packer = zlib.compressobj(wbits=31)
            packed = [packer.compress(e) + packer.flush(zlib.Z_SYNC_FLUSH) for e in events]
            play.pieces = chunked([*packed, packer.flush()], more="Content-Encoding: gzip\r\n")
        elif kind == "done twice":
            play.pieces = chunked([*events, events[-1]])
        elif kind == "no usage":
            play.pieces, play.usage = chunked([*events[:-2], events[-1]]), None
        return kind, play

    def bad(self) -> tuple[str, Play]:
        """A failure that may pass."""
        kind = self.dice.choice(sorted(PASSING))
        return kind, PASSING[kind](self)

    def cut(self) -> Play:
        """Some of the bytes of a good answer, from one to all but one, and the end."""
        whole = b"".join(chunked(self.events))
        return Play([whole[: self.dice.randint(1, len(whole) - 1)]], "close", usage=self.usage)

    def stalled(self) -> Play:
        return Play(chunked(self.events)[: self.dice.randint(1, 5)], "stall")

    def drip(self) -> Play:
        return Play([bytes([b]) for b in b"".join(chunked(self.events))], "close", DRIP_S)

    def long_line(self) -> Play:
        return Play(chunked([b"data: " + b"x" * 60_000, *[b"x" * 60_000] * 17]), "close")

    def with_event(self, raw: bytes) -> Play:
        """A good beginning, then this."""
        return Play(chunked([*self.events[:3], raw, *self.events[3:]]))

    def broken_gzip(self) -> Play:
        return Play(chunked([b"\x1f\x8b not gzip"], more="Content-Encoding: gzip\r\n"), "close")

    def filtered(self) -> Play:
        """The service stops its own answer."""
        events = [*self.events[:3], piece({}, "content_filter"), *self.events[-2:]]
        return Play(chunked(events), usage=self.usage)

    def _cut_up(self, whole: bytes) -> list[bytes]:
        """The same bytes, cut where it hurts: in events, in JSON, in characters."""
        places = sorted(self.dice.sample(range(1, len(whole)), 12))
        return [whole[i:j] for i, j in zip([0, *places], [*places, None], strict=True)]


PASSING: dict[str, Callable[[Answers], Play]] = {
    "408": lambda _: error("408 Timeout", "too slow"),
    "413": lambda _: error("413 Too Large", "too long"),
    "422": lambda _: error("422 Unprocessable", "invalid"),
    "429 short": lambda _: error("429 Too Many", "slow down", head="retry-after-ms: 50\r\n"),
    "500": lambda _: error("500 Oh", "crashed"),
    "500 closed": lambda _: Play(error("500 Oh", "crashed").pieces, "close"),
    "502 html": lambda _: status("502 Bad Gateway", "<html>no</html>"),
    "503": lambda _: error("503 Busy", "busy", head="Retry-After: 0\r\n"),
    "529": lambda _: error("529 Overloaded", "overloaded"),
    "prompt filtered": lambda _: error("400 Bad", "filtered", "content_filter"),
    "answer filtered": Answers.filtered,
    "cut": Answers.cut,
    "hang-up": lambda _: Play([], "close"),
    "stall at once": lambda _: Play([], "stall"),
    "stall": Answers.stalled,
    "drip": Answers.drip,
    "html": lambda _: status("200 OK", "<html>log in</html>"),
    "long line": Answers.long_line,
    "not utf-8": lambda a: a.with_event(
        b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'
    ),
    "not json": lambda a: a.with_event(b"data: {oh\n\n"),
    "error event": lambda a: a.with_event(event({"error": {"message": "crashed", "code": 500}})),
    "broken gzip": Answers.broken_gzip,
    "redirect": lambda _: status("307 Moved", head="Location: http://127.0.0.1:9/v1\r\n"),
    "not http": lambda _: Play([b"220 mail at your service\r\n\r\n"], "close"),
}
STICKY: dict[str, Callable[[Answers], Play]] = {
    "401": lambda _: error("401 No", "wrong key"),
    "403": lambda _: error("403 No", "not yours"),
    "404": lambda _: error("404 No", "no such model"),
    "410": lambda _: error("410 Gone", "retired"),
    "429 daily": lambda _: error("429 No", "limit per day", head="retry-after: 80000\r\n"),
}
"""Failures after which a target is rightly left alone for long."""


@dataclass
class Cloud:
    """One server.

    Attributes:
        faults: Share of requests that fail.
        always: Name of a failure that every request meets.
        notes: What came, in order.
        open: Connections that are open.
    """

    name: str
    dice: random.Random
    faults: float = 0.0
    always: str | None = None
    silent: bool = False
    notes: list[Note] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    server: asyncio.Server | None = None

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def kill(self, how: str) -> None:
        if how == "silent":
            self.silent = True
            return
        assert self.server is not None
        self.server.close()
        for writer in self.open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side went away
        finally:
            self.open.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line.partition(":") for line in head.strip().split("\r\n")[1:]]
        fields = {name.lower(): value.strip() for name, _, value in lines}
        await reader.readexactly(int(fields.get("content-length", "0")))
        attempt = next((fields[name] for name in ID_HEADERS if name in fields), "")
        kind, play = self._play(attempt)
        note = Note(self.name, attempt, kind, play.text, play.usage)
        self.notes.append(note)
        for raw in play.pieces:
            writer.write(raw)
            await writer.drain()
            await asyncio.sleep(play.pause_s)
        note.whole = play.ending == "keep"
        if play.ending == "stall":
            with suppress(TimeoutError):
                async with asyncio.timeout(NEVER_S):
                    await reader.read()
        return note.whole

    def _play(self, attempt: str) -> tuple[str, Play]:
        if self.silent:
            return "silent", Play([], "stall")
        answers = Answers(self.dice, self.name, attempt)
        if self.always is not None:
            return self.always, (STICKY | PASSING)[self.always](answers)
        return answers.bad() if self.dice.random() < self.faults else answers.good()


async def main() -> None:
    clouds: dict[str, Cloud] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told, said = json.loads(line), {}
        if "open" in told:
            for number, (name, how) in enumerate(told["open"].items()):
                dice = random.Random(told["seed"] * 1000 + number)
                clouds[name] = Cloud(name, dice, **how)
                said[name] = await clouds[name].start()
        elif "kill" in told:
            clouds[told["kill"]].kill(told["how"])
        else:
            await asyncio.sleep(0.2)  # what is still in the sockets
            said = {
                "notes": [asdict(note) for cloud in clouds.values() for note in cloud.notes],
                "open": sum(len(cloud.open) for cloud in clouds.values()),
            }
            for cloud in clouds.values():
                cloud.kill("refuse")
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
