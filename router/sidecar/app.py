"""The sidecar as an ASGI app: which path goes where, and the door where errors become responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from ..compose import Router
from ..errors import ConfigError, RouterError, let_go
from . import anthropic, docs, info
from .after import After, Observer, Turned
from .asked import STOPPING, Answering, field_of, headers_of
from .board import Board
from .callers import Callers, unknown_key
from .embeddings import Embedding
from .exchange import ClientLeft, Exchange, Message, Receive, Send
from .exposition import CONTENT_TYPE
from .gate import check
from .metrics import Metrics, device_lines, exposed
from .names import Names
from .places import Places
from .receiving import Receiving
from .settings import Settings
from .together import Together
from .wire import chat, messages, responses, text
from .wire.answers import CHAT, TEXT
from .wire.chat import Asked
from .wire.dialects import ANTHROPIC
from .wire.failure import Failure, Refusal, failure_of, refuse
from .wire.message_answers import MESSAGES
from .wire.responses_events import RESPONSES
from .wire.surface import Surface

log = logging.getLogger("firsthop.sidecar")

_WORK: dict[str, tuple[Callable[[bytes], Asked], Surface]] = {
    "/v1/chat/completions": (chat.read, CHAT),
    "/v1/completions": (text.read, TEXT),
    "/v1/messages": (messages.read, MESSAGES),
    "/v1/responses": (responses.read, RESPONSES),
}
_OPEN = ("/healthz", "/readyz")
"""What is told without a key: that much, a probe has to know."""
_READABLE = ("/v1/models", "/metrics", "/openapi.json", "/docs", *_OPEN)
_AT_END_S = 5.0


class App:
    """Answers HTTP with `router`, and closes it when the server stops.

    Attributes:
        stopping: Whether the server was told to stop.
    """

    def __init__(
        self,
        router: Router,
        settings: Settings | None = None,
        announce: Callable[[], None] = lambda: None,
        callers: Callers | None = None,
        observers: Sequence[Observer] = (),
        board: Board | None = None,
    ) -> None:
        """Nothing is loaded or connected.

        Args:
            announce: Called when requests are answered from now on.
            callers: Who may ask. None: anybody who gets here.
            observers: Told of every request that is over, beside the metrics.
            board: What this worker shares with others. None: there are none.

        Raises: ConfigError, when an alias is for nothing.
        """
        self.router = router
        self.settings = settings or Settings()
        self._together = Together(board)
        self._announce = announce
        self.stopping = False
        self._places = Places(self.settings.max_concurrent, self._together)
        self._receiving = Receiving(self.settings)
        self._names = Names(router, self.settings)
        self._callers = callers
        self._metrics = Metrics()
        self._after = After.of(router, (self._metrics, *observers), callers)
        self._answering = Answering(router, self._names, self._after, self._places)
        self._embedding = Embedding(router, self._answering)
        self._started_at = router.clock.wall()
        self._works: dict[str, Callable[[Exchange, bytes], Awaitable[None]]] = {
            path: partial(self._answer, *how) for path, how in _WORK.items()
        }
        self._works["/v1/messages/count_tokens"] = self._count
        self._works["/v1/embeddings"] = self._embedding.answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, or the server's own life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return  # the server was told to speak no WebSocket
        exchange = Exchange(scope, receive, send, self.settings)
        try:
            check(exchange)
            if self._callers is not None:
                self._know(exchange, self._callers)
            work = self._works.get(exchange.path)
            await (self._route(exchange) if work is None else self._work(exchange, work))
        except Refusal as refusal:
            self._turned(exchange, refusal.failure)
            await exchange.fail(refusal.failure)
        except RouterError as error:
            if isinstance(error, ConfigError):  # of the others, the street has told
                self._turned(exchange, failure_of(error))
            await exchange.fail(failure_of(error), field_of(error), headers_of(error))
            let_go(error)
        except asyncio.CancelledError:  # the server stops, and the body was still coming
            if exchange.started:
                raise
            self._turned(exchange, STOPPING)
            await exchange.fail(STOPPING)
        except ClientLeft:
            log.debug("a client left before its request was whole")
        except Exception:  # the door: a fault of ours ends this request and no other
            log.exception("a fault in the sidecar")
            self._turned(exchange, _FAULT)
            if exchange.started:
                raise
            await exchange.fail(_FAULT)

    async def _route(self, exchange: Exchange) -> None:
        path = exchange.path
        if exchange.caller is not None and path not in _OPEN:
            exchange.caller.count()
        if path.startswith("/v1/responses/"):
            raise responses.not_kept(path)
        kind, _, name = path.removeprefix("/v1/").partition("/")
        one = path.startswith("/v1/") and bool(name) and kind in ("models", "decisions")
        if not one and path not in _READABLE:
            raise refuse(404, f"there is no {path} here", "unknown_url")
        if exchange.method not in ("GET", "HEAD"):
            raise _not_allowed(exchange, "GET, HEAD")
        if path == "/healthz":
            await info.health(exchange, self.router, self._callers, self._together)
        elif path == "/readyz":
            terse = self._callers is not None and exchange.caller is None
            await info.ready(
                exchange, self.router, self._together, stopping=self.stopping, terse=terse
            )
        elif path == "/metrics":
            await self._expose(exchange)
        elif path == "/openapi.json":
            await docs.document(exchange)
        elif path == "/docs":
            await docs.page(exchange)
        elif path == "/v1/models" and exchange.dialect is ANTHROPIC:
            await anthropic.models(exchange, self._names)
        elif path == "/v1/models":
            await info.models(exchange, self._names, self._started_at)
        elif kind == "models" and exchange.dialect is ANTHROPIC:
            await anthropic.model(exchange, self._names, name)
        elif kind == "models":
            await info.model(exchange, self._names, name, self._started_at)
        else:
            await info.decision(exchange, self.router, name)

    def _answer(
        self, read: Callable[[bytes], Asked], surface: Surface, exchange: Exchange, body: bytes
    ) -> Awaitable[None]:
        if exchange.dialect is ANTHROPIC:
            anthropic.check_version(exchange)
        return self._answering.answer(exchange, read(body), surface)

    async def _count(self, exchange: Exchange, body: bytes) -> None:
        await anthropic.count(exchange, body, self.router, self._names)

    async def _work(
        self, exchange: Exchange, work: Callable[[Exchange, bytes], Awaitable[None]]
    ) -> None:
        if exchange.method != "POST":
            raise _not_allowed(exchange, "POST")
        if exchange.caller is not None:
            exchange.caller.let()
        self._places.free()  # before a body is read for nothing
        body = await exchange.body(self._receiving)
        self._places.take()
        try:
            await work(exchange, body)
        finally:
            self._places.leave()

    def _know(self, exchange: Exchange, callers: Callers) -> None:
        """Whose request it is. Raises: Refusal, 401."""
        exchange.caller = callers.of(exchange.headers)
        if exchange.caller is None and exchange.path not in _OPEN:
            raise unknown_key(exchange.headers)

    def _turned(self, exchange: Exchange, failure: Failure) -> None:
        key = None if exchange.caller is None else exchange.caller.entry.name
        at = self.router.clock.wall()
        code = failure.code or "none"
        self._after.turned(Turned(at=at, status=failure.status, code=code, key=key))

    async def _expose(self, exchange: Exchange) -> None:
        """`GET /metrics`. Raises: Refusal, 403, for a key that may only ask."""
        if exchange.caller is not None:
            exchange.caller.observes()
        said = self._together.whole(await self._exposed(device=True))
        await exchange.whole(200, said.encode(), kind=(b"content-type", CONTENT_TYPE))

    async def _exposed(self, *, device: bool = False) -> str:
        # First, for it may take a second, and what is counted meanwhile is to be in it.
        asked = await device_lines(self.router) if device else ()
        counted = await asyncio.to_thread(self._after.then, lambda: [*self._metrics.lines()])
        return exposed(counted, self.router, self._callers, self._together.active, asked)

    def reload(self) -> None:
        """Read policies, their folders, targets' keys and callers' keys again, and open logs anew.

        From any thread; may take a while. What is bad stays as it was, and the log says why.
        """
        reads: list[Callable[[], object]] = [self.router.reload, self._names.refresh]
        if self._callers is not None:
            reads.append(self._callers.reload)
        for read in (*reads, self._after.reopen):
            try:
                read()
            except ConfigError as exc:
                log.error("not read again, so it stays as it was: %s", exc)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start at once; at the end wait for what is left, then close targets and ledger."""
        await receive()
        home = self.router.street.home
        # What the first request would wait for; it may still come before that is there.
        self.router.senses.begin_detector(home.wanted(self.router.watched.policy))
        await send({"type": "lifespan.startup.complete"})
        self._announce()
        with self._together.beating():
            async with self._together.shown(self._exposed):
                await receive()
            self.stopping = True
            try:
                async with asyncio.timeout(_AT_END_S):
                    await self._places.empty()
            except TimeoutError:
                log.error("%d requests did not end", self._places.taken)
            await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def aclose(self) -> None:
        """Close targets and ledger, and tell the observers what is left. Safe to call twice."""
        await self._embedding.aclose()
        await self.router.aclose()
        await asyncio.to_thread(self._after.close)


_FAULT = Failure(
    status=500,
    message="a fault of this server; its log says more",
    kind="server_error",
    code="internal_error",
    close=True,
)


def _not_allowed(exchange: Exchange, methods: str) -> Refusal:
    return Refusal(
        Failure(
            status=405,
            message=f"{exchange.path} takes {methods}, not {exchange.method}",
            code="method_not_allowed",
            allow=methods,
        )
    )
