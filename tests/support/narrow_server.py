"""A server on loopback that answers as told, and calls to it over a pool of connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from router.providers.narrow_call import Call
from router.providers.narrow_pool import Pool
from router.providers.narrow_request import Heads, origin_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Play = Callable[["Server", asyncio.StreamWriter], Awaitable[bool]]


@dataclass
class Server:
    """Answers each request as `play` does, which says whether the connection goes on."""

    play: Play
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                self.requests.append(head + body)
                if not await self.play(self, writer):
                    break
        self.hung_up.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(play: Play) -> AsyncIterator[Server]:
    server = Server(play)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
        for writer in server.writers:
            writer.close()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def pooled(url: str, **more: object) -> AsyncIterator[Pool]:
    settings = {"connect_timeout_s": 5.0, **more}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = Pool(origin_of(url), tls, name="cloud", **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.aclose()


def call(pool: Pool, url: str, method: str = "POST", data: bytes | None = b"{}") -> Call:
    return Call(pool, Heads(origin_of(url)), method, url, {}, data)


async def asked(
    pool: Pool, url: str, method: str = "POST", data: bytes | None = b"{}"
) -> tuple[int, bytes, float | None]:
    """Status, body and connect time of one call."""
    body = b""
    async with call(pool, url, method, data) as reply:
        while piece := await reply.read():
            body += piece
    return reply.status, body, reply.connect_s


def writes(*pieces: bytes, go_on: bool = True) -> Play:
    async def play(_: Server, writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        return go_on

    return play


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not true():
            await asyncio.sleep(0.001)
