"""A loopback server that plays a recorded exchange byte for byte, and keeps what it was sent.

A recording (``wire/*/*.http``) is a text file in three parts::

    shows: what it is about                        YAML: what must come of it
    source: documentation
    expect: {text: Hello., finish: stop}
    ---
    HTTP/1.1 200 OK                                the head, sent with CRLF
    Content-Type: text/event-stream
    Transfer-Encoding: chunked

    data: {"choices": ...}                         the body, sent as it stands, line feeds included

In the body, ``<<...>>`` is a direction: ``<<e2 82>>`` sends these bytes, ``<<flush>>`` sends what
came so far in a packet of its own, ``<<cut>>`` hangs up, ``<<stall>>`` sends nothing more and
waits for the other side to hang up, ``<<end>>`` ends the body without the file's last line feed.
``Transfer-Encoding: chunked`` and ``Content-Encoding: gzip`` in the head are done to the body, one
chunk a packet; ``Content-Length: <<length>>`` is filled in.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import yaml

WIRE = Path(__file__).parent / "wire"

Ending = Literal["end", "cut", "stall"]

_DIRECTION = re.compile(rb"<<([^<>]*)>>")


@dataclass(frozen=True)
class Recording:
    """One exchange.

    Attributes:
        name: Folder and file, such as ``common/plain``.
        shows: What it is about.
        expect: What a provider must make of it.
        head: Status line and headers, ready to send.
        packets: The body, framed and encoded, a write each.
        ending: What happens after the last packet.
    """

    name: str
    shows: str
    expect: Mapping[str, Any]
    head: bytes
    packets: tuple[bytes, ...]
    ending: Ending


def load(path: Path) -> Recording:
    """Read one recording."""
    text = path.read_text(encoding="utf-8")
    front, _, exchange = text.partition("\n---\n")
    head, _, body = exchange.partition("\n\n")
    told = yaml.safe_load(front)
    packets, ending = _body(body.encode())
    lower = head.lower()
    if "content-encoding: gzip" in lower:
        packets = _gzipped(packets)
    length = str(sum(map(len, packets)))
    if "transfer-encoding: chunked" in lower:
        packets = [b"%x\r\n%b\r\n" % (len(packet), packet) for packet in packets]
        if ending == "end":
            packets[-1:] = [b"".join(packets[-1:]) + b"0\r\n\r\n"]
    lines = head.replace("<<length>>", length).split("\n")
    return Recording(
        name=f"{path.parent.name}/{path.stem}",
        shows=told["shows"],
        expect=told["expect"],
        head="\r\n".join([*lines, "", ""]).encode(),
        packets=tuple(packets),
        ending=ending,
    )


def recordings(provider: str) -> list[Recording]:
    """The shared recordings and the provider's own."""
    return [
        load(p) for folder in ("common", provider) for p in sorted(WIRE.glob(f"{folder}/*.http"))
    ]


def _body(body: bytes) -> tuple[list[bytes], Ending]:
    """Carry out the directions: packets and how it ends."""
    packets, packet, at = [], b"", 0
    ending: Ending = "end"
    for found in _DIRECTION.finditer(body):
        packet += body[at : found.start()]
        at = found.end()
        word = found[1].decode()
        if word == "flush":
            packets.append(packet)
            packet = b""
        elif word == "cut":
            ending = "cut"
        elif word == "stall":
            ending = "stall"
        elif word != "end":
            packet += bytes.fromhex(word)
            continue
        if word != "flush":
            break
    else:
        packet += body[at:]
    return [p for p in (*packets, packet) if p], ending


def _gzipped(packets: list[bytes]) -> list[bytes]:
    packer = zlib.compressobj(wbits=31)
    done = [packer.compress(p) + packer.flush(zlib.Z_SYNC_FLUSH) for p in packets]
    return [*done, packer.flush()]


@dataclass
class Sent:
    """One request as it came over the socket.

    Attributes:
        line: The request line.
        headers: Names in lower case, in order, repeats kept.
        raw_body: Its body.
    """

    line: str
    headers: list[tuple[str, str]]
    raw_body: bytes

    @property
    def body(self) -> Any:
        """The body as JSON."""
        return json.loads(self.raw_body)

    def values(self, name: str) -> list[str]:
        """Every value of one header."""
        return [value for header, value in self.headers if header == name]


@dataclass
class Replay:
    """The server; an async context. Plays its recordings in order, the last one again and again.

    Attributes:
        script: What to play.
        tls: Speak TLS with this context.
        sent: What came in.
        connections: How many connections were made.
        asked: Set when a request has come.
        hung_up: Set when the other side closed a connection that was stalled.
    """

    script: list[Recording]
    tls: ssl.SSLContext | None = None
    sent: list[Sent] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> Replay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        if self._serving:
            await asyncio.wait(self._serving)

    def url(self, path: str = "/v1", host: str = "127.0.0.1") -> str:
        """A base URL that leads here."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side went away
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection may go on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.rstrip().split("\r\n")
        headers = [(n.lower(), v.strip()) for n, _, v in (h.partition(":") for h in rest)]
        length = int(dict(headers).get("content-length", "0"))
        self.sent.append(Sent(line, headers, await reader.readexactly(length)))
        self.asked.set()
        recording = self.script[min(len(self.sent), len(self.script)) - 1]
        writer.write(recording.head)
        for packet in recording.packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(0.002 if len(recording.packets) > 1 else 0)
        if recording.ending == "stall":
            await reader.read()
            self.hung_up.set()
        framed = b"chunked" in recording.head or b"Content-Length" in recording.head
        return recording.ending == "end" and framed
