"""`Router`: the same as `AsyncRouter` for code that does not await. Holds no logic of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from .answer import Answer
from .client import AsyncRouter, Stream
from .config import Config

P = ParamSpec("P")
T = TypeVar("T")


class Router:
    """Answers on the device first, and elsewhere when the policy says so.

    Runs one event loop in a thread of its own; safe to use from many threads.

    ```python
    with Router() as router:
        print(router.ask("What is the capital of France?").text)
    ```
    """

    def __init__(
        self, config: str | Path | Config | None = None, *, policy: str | None = None
    ) -> None:
        """See `AsyncRouter`."""
        self._async = AsyncRouter(config, policy=policy)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="firsthop", daemon=True)
        self._thread.start()
        self._closed = False
        self.ask = self._same(self._async.ask)
        self.feedback = self._same(self._async.feedback)

    def _same(self, method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
        """`method`, run on the loop while the calling thread waits."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._wait(method(*args, **kwargs))

        call.__doc__ = method.__doc__
        return call

    def stream(self, *args: Any, **kwargs: Any) -> SyncStream:
        """See `AsyncRouter.stream`; iterate over it for text, then read its `answer`."""
        return SyncStream(self, self._async.stream(*args, **kwargs))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise RuntimeError("this router is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the work behind it stops too
            raise

    def close(self) -> None:
        """Let go of connections, the device's worker and the ledger. Safe to call twice."""
        if self._closed:
            return
        self._wait(self._async.aclose())
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class SyncStream(Iterator[str]):
    """See `client.Stream`."""

    def __init__(self, router: Router, stream: Stream) -> None:
        self._router = router
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        piece = self._router._wait(self._next())
        if piece is None:
            raise StopIteration
        return piece

    async def _next(self) -> str | None:
        return await anext(self._stream, None)

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises RuntimeError before the stream has ended well."""
        return self._stream.answer

    def close(self) -> None:
        """Stop here; the work behind it stops too, and is booked as cancelled."""
        self._router._wait(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
