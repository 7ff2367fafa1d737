"""`Router`: the same as `AsyncRouter` for code that does not await. Holds no logic of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from .answer import Answer
from .client import AsyncRouter, Stream
from .config import Config

if TYPE_CHECKING:
    import openai

    from .drive.health import TargetHealth
    from .drive.outgoing import Transform

P = ParamSpec("P")
T = TypeVar("T")


class Router:
    """Answers on the device first, and elsewhere when the policy says so.

    Runs one event loop in a thread of its own, from the first call on; safe to use from many
    threads. After a fork the child needs a router of its own if this one has been used.

    ```python
    with Router() as router:
        print(router.ask("What is the capital of France?").text)
    ```
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        policy: str | None = None,
        transforms: Sequence[Transform] = (),
    ) -> None:
        """See `AsyncRouter`."""
        self._async = AsyncRouter(config, policy=policy, transforms=transforms)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._going: set[asyncio.Task[Any]] = set()
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self.ask = self._same(self._async.ask)
        self.feedback = self._same(self._async.feedback)
        self.reload = self._same(self._async.reload)

    def _same(self, method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
        """`method`, run on the loop while the calling thread waits."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._wait(method(*args, **kwargs))

        call.__doc__ = method.__doc__
        return call

    def stream(self, *args: Any, **kwargs: Any) -> SyncStream:
        """See `AsyncRouter.stream`; iterate over it for text, then read its `answer`."""
        stream = self._async.stream(*args, **kwargs)
        self._streams.add(stream)
        return SyncStream(self, stream)

    def openai(self, **options: Any) -> openai.OpenAI:
        """See `AsyncRouter.openai`."""
        from .openai_client import of_thread

        with self._lock:
            door = self._async._opened()
        return of_thread(door, self._wait, **options)

    def health(self) -> dict[str, TargetHealth]:
        """See `AsyncRouter.health`."""
        return self._async.health()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and wait for it. Raises RuntimeError once the router is closed."""
        try:
            with self._lock:
                if self._closed:
                    raise RuntimeError("this router is closed")
                future = self._submit(work)
        except RuntimeError:
            work.close()
            raise
        try:
            return future.result()
        except CancelledError as exc:
            raise RuntimeError("this router was closed before it had answered") from exc
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the work behind it stops too
            raise

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            self._process = os.getpid()
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="firsthop", daemon=True
            )
            self._thread.start()
        if self._process != os.getpid():
            raise RuntimeError(
                "this router was used before the fork, and its thread stayed in the parent; "
                "make one in this process"
            )
        return asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)

    async def _counted(self, work: Coroutine[Any, Any, T]) -> T:
        """`work`, known to `close` while it runs."""
        task = asyncio.current_task()
        assert task is not None
        self._going.add(task)
        try:
            return await work
        finally:
            self._going.discard(task)

    def close(self) -> None:
        """Let go of connections, the device's worker and the ledger. Safe to call twice.

        Calls still under way in other threads end with a RuntimeError; streams left half-way are
        booked as cancelled.
        """
        with self._lock:
            if self._closed:
                return
            if self._loop is not None and self._process != os.getpid():
                self._closed = True  # what is open is the parent's
                return
            ending = self._submit(self._end())
            self._closed = True
        assert self._loop is not None
        assert self._thread is not None
        try:
            ending.result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        others = self._going - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        for stream in list(self._streams):
            await stream.aclose()
        await self._async.aclose()

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
        if not self._router._closed:  # closing the router has closed its streams
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
