"""The official OpenAI client, answered by a router of this process: no socket, no port, no server.

In goes a router, out comes an `openai.AsyncOpenAI` or `openai.OpenAI` whose transport hands each
request to the app that `firsthop serve` runs. So it is the same street, the same decisions and the
same answers as over HTTP, to the byte, and the client's own types, streams and errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any, Protocol

import openai

from .compose import Router
from .sidecar.app import App

# The HTTP library under the installed SDK, httpx or httpx2: the names used are the same in both.
http: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[-2].__module__.split(".")[0])

BASE_URL = "http://localhost/v1"
_KEY = "none-is-needed"


class Waits(Protocol):
    """Runs work on the router's own loop while the calling thread waits."""

    def __call__(self, work: Any) -> Any:
        """What the work gives, or raises."""
        ...


class Door:
    """The app of one router, for all clients that are made of it."""

    def __init__(self, router: Router) -> None:
        """Nothing runs until something is asked."""
        self._app = App(router)
        self._going: set[asyncio.Task[None]] = set()

    def begin(self, request: Any, body: bytes) -> _Exchange:
        """Hand a request to the app, as a task of the running loop."""
        exchange = _Exchange(self._app, request, body)
        self._going.add(exchange.task)
        exchange.task.add_done_callback(self._going.discard)
        return exchange

    async def aclose(self) -> None:
        """End what is still being answered, so that it is booked; then close app and router."""
        for task in self._going:
            task.cancel()
        if self._going:
            await asyncio.wait(self._going)
        await self._app.aclose()


def of_loop(door: Door, **options: Any) -> openai.AsyncOpenAI:
    """The client for the event loop that the router is used in."""
    transport = _InLoop(door)
    return openai.AsyncOpenAI(
        **_with_defaults(options), http_client=openai.DefaultAsyncHttpxClient(transport=transport)
    )


def of_thread(door: Door, wait: Waits, **options: Any) -> openai.OpenAI:
    """The client for code that does not await; `wait` runs work on the router's loop."""
    transport = _InThread(door, wait)
    return openai.OpenAI(
        **_with_defaults(options), http_client=openai.DefaultHttpxClient(transport=transport)
    )


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    return {"api_key": _KEY, "base_url": BASE_URL, "max_retries": 0, **options}


class _Exchange:
    """One request on its way through the app, as a task; what it sends is read as it comes."""

    def __init__(self, app: App, request: Any, body: bytes) -> None:
        timeout = request.extensions.get("timeout", {})
        self._read_s: float | None = timeout.get("read")
        self._body = body
        self._asked = False
        self._left = asyncio.Event()
        self._sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.task = asyncio.get_running_loop().create_task(
            app(_scope(request), self._receive, self._send)
        )
        self.task.add_done_callback(lambda task: self._sent.put_nowait(None))

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers. Raises: the HTTP library's errors."""
        try:
            started = await self._next()
        except BaseException:
            await self.close()
            raise
        if started is None:
            await self.task  # a fault of the app is raised here, as it was
            raise http.RemoteProtocolError("the request ended without an answer")
        return started["status"], started["headers"]

    async def piece(self) -> bytes | None:
        """The next bytes of the body. None: that was all."""
        while (message := await self._next()) is not None:
            if message["body"]:
                found: bytes = message["body"]
                return found
        if self.task.done() and not self.task.cancelled():
            self.task.result()
        return None

    async def close(self) -> None:
        """The caller has what it wants: stop what still runs."""
        self._left.set()
        self.task.cancel()
        await asyncio.wait([self.task])  # whoever cancels this wait is heeded
        if not self.task.cancelled():
            self.task.exception()  # the app has logged it

    async def _next(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(self._read_s):
                return await self._sent.get()
        except TimeoutError as exc:
            raise http.ReadTimeout(f"nothing came within {self._read_s} s") from exc

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self._left.is_set():  # else nobody reads it, as on a connection that is gone
            self._sent.put_nowait(message)


class _InLoop(http.AsyncBaseTransport):  # type: ignore[misc] # the library is known at run time
    def __init__(self, door: Door) -> None:
        self._door = door

    async def handle_async_request(self, request: Any) -> Any:
        exchange = self._door.begin(request, await request.aread())
        status, headers = await exchange.head()
        return http.Response(status, headers=headers, stream=_AsyncBody(exchange))


class _AsyncBody(http.AsyncByteStream):  # type: ignore[misc]
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._exchange.piece()) is not None:
            yield piece

    async def aclose(self) -> None:
        await self._exchange.close()


class _InThread(http.BaseTransport):  # type: ignore[misc]
    def __init__(self, door: Door, wait: Waits) -> None:
        self._door = door
        self._wait = wait

    def handle_request(self, request: Any) -> Any:
        body = request.read()

        async def begun() -> tuple[_Exchange, int, list[tuple[bytes, bytes]]]:
            exchange = self._door.begin(request, body)
            return exchange, *(await exchange.head())

        exchange, status, headers = self._wait(begun())
        return http.Response(status, headers=headers, stream=_Body(exchange, self._wait))


class _Body(http.SyncByteStream):  # type: ignore[misc]
    def __init__(self, exchange: _Exchange, wait: Waits) -> None:
        self._exchange = exchange
        self._wait = wait

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._wait(self._exchange.piece())) is not None:
            yield piece

    def close(self) -> None:
        if not self._exchange.task.done():  # else all is over, and perhaps the router, too
            self._wait(self._exchange.close())


def _scope(request: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": None,
        "server": ("localhost", 80),
    }
