"""`AsyncRouter`: ask, stream, feedback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import arguments, asking
from .answer import Answer
from .asking import Conversation, Options
from .config import Config
from .hops import Outcome
from .policy.rules import Policy
from .types import Chunk, TokenLogprob, ToolCall

if TYPE_CHECKING:
    import openai

    from .device.wire import Healthy
    from .drive.health import TargetHealth
    from .drive.outgoing import Transform
    from .openai_client import Door


class AsyncRouter:
    """Answers on the device first, and elsewhere when the policy says so.

    Nothing is loaded or connected until the first request. Safe to use from many tasks of one
    event loop.

    ```python
    async with AsyncRouter() as router:
        answer = await router.ask("What is the capital of France?")
        print(answer.text, answer.cost_usd, answer.explain(), sep="\\n")
    ```
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        policy: str | None = None,
        transforms: Sequence[Transform] = (),
    ) -> None:
        """Read the config and the policy.

        Args:
            config: A path, the name of a shipped config, or one already loaded. None: the one
                `config.find` finds.
            policy: Name or path of a policy to use instead of the config's.
            transforms: What leaves for a target goes through these, in order: each is given the
                messages and the `Target`, and gives back the messages that leave.

        Raises:
            ConfigError: either is wrong; names file, line and field.
        """
        from .compose import Router as Composed

        self._composed = Composed.of(
            config, arguments.name("policy", policy), transforms=tuple(transforms)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._door: Door | None = None

    @property
    def config(self) -> Config:
        """The config in use."""
        return self._composed.config

    @property
    def policy(self) -> Policy:
        """The policy in force when a call names no other; its file may replace it."""
        return self._composed.watched.policy

    @property
    def policy_problem(self) -> str | None:
        """Why the policy's file as it is now is not in force. None: it is."""
        return self._composed.watched.problem

    async def reload(self) -> Policy:
        """Read the keys and the policies' files now, without waiting for them to be looked at.

        Raises:
            ConfigError: one of them is bad; its last good one stays in use.
        """
        self._enter()
        return await asyncio.to_thread(self._composed.reload)

    async def ask(self, conversation: Conversation, **options: Unpack[Options]) -> Answer:
        """Answer one request.

        Args:
            conversation: A prompt, or messages with `role` and `content`, oldest first.
            **options: See `Options`.

        Raises:
            Forbidden: guards left no tier that could answer.
            LimitReached: a limit ended it and no draft may be returned.
            NoAnswer: every hop failed.
            LedgerError: a call could not be booked, so it was not made.
            ConfigError: an argument is wrong.
            RuntimeError: this router is closed, or belongs to another event loop.
        """
        stream = self._stream(conversation, options, whole=True)
        async with stream:
            async for _ in stream:
                pass
        return stream.answer

    def stream(self, conversation: Conversation, **options: Unpack[Options]) -> Stream:
        """The same, piece by piece: iterate over it for text, then read its `answer`.

        A draft that may still be taken back is never shown, so the first piece comes when an
        answer is committed. Arguments and errors are those of `ask`; errors come while iterating,
        wrong arguments at once.
        """
        return self._stream(conversation, options, whole=False)

    def _stream(self, conversation: Conversation, options: Options, *, whole: bool) -> Stream:
        targets = [b.target.name for b in self.config.targets]
        request = asking.request(conversation, options, targets, whole=whole)
        policy = arguments.name("policy", options.get("policy"))
        return Stream(self._composed.run(request, policy), self._enter)

    async def feedback(
        self,
        decision_id: str,
        *,
        good: bool | None = None,
        score: float | None = None,
        note: str | None = None,
    ) -> None:
        """Write a label for an answer into the ledger.

        Args:
            decision_id: `Answer.decision_id`.
            good: Whether the answer was good enough.
            score: A grade, 0 to 1, for those who have more than yes and no.
            note: Free words; kept as they are.

        Raises:
            LedgerError: nothing is known of that id.
            ConfigError: an argument is wrong, or nothing was said.
        """
        self._enter()
        arguments.verdict(decision_id, good, score, note)
        await asyncio.to_thread(
            self._composed.ledger.feedback, decision_id, good=good, score=score, note=note
        )

    async def device_health(self) -> Healthy | None:
        """How the device's worker is: its process id, queue, jobs done, memory.

        None: no target is a device, or its worker is not up. Asking never starts it.
        """
        return await self._composed.device_health()

    def health(self) -> dict[str, TargetHealth]:
        """How each target is, by name, as this process knows it. Asks nobody.

        Its circuit breaker, its last error, its rate limit, calls under way and waiting, and
        whether there is a network to it.
        """
        return self._composed.health()

    def openai(self, **options: Any) -> openai.AsyncOpenAI:
        """The official OpenAI client, answered by this router: no socket, no server.

        It takes the paths that `firsthop serve` takes, walks the same street and is booked in the
        same ledger; its `model` is ``"auto"`` or a policy's or a target's name. Close the router,
        not the client.

        Args:
            **options: The client's own, such as `timeout` or `default_headers`. It makes no
                retries unless `max_retries` says so: the router does.

        Raises:
            RuntimeError: this router is closed, or belongs to another event loop.
        """
        from .openai_client import of_loop

        self._enter()
        return of_loop(self._opened(), **options)

    def _opened(self) -> Door:
        """What all clients of this router go through; made with the first of them."""
        from .openai_client import Door

        if self._door is None:
            self._door = Door(self._composed)
        return self._door

    async def aclose(self) -> None:
        """Let go of connections, the device's worker and the ledger. Safe to call twice."""
        self._closed = True
        await (self._door or self._composed).aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _enter(self) -> None:
        """Hold the caller to what connections bear: one event loop, and not after the end."""
        if self._closed:
            raise RuntimeError("this router is closed")
        here = asyncio.get_running_loop()
        self._loop = self._loop or here
        if self._loop is not here:
            raise RuntimeError(
                "this AsyncRouter was used in another event loop, and its connections live there; "
                "make one for each loop, or use Router"
            )


class Stream(AsyncIterator[str]):
    """An answer as it comes: iterate for text, then read `answer`."""

    def __init__(self, source: AsyncGenerator[object, None], enter: Callable[[], None]) -> None:
        self._source = source
        self._enter = enter
        self._text: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._logprobs: list[TokenLogprob] = []
        self._outcome: Outcome | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        self._enter()
        async for item in self._source:
            if isinstance(item, Chunk):
                self._tool_calls.extend(item.tool_calls)
                self._logprobs.extend(item.logprobs)
                if item.text:
                    self._text.append(item.text)
                    return item.text
            elif isinstance(item, Outcome):
                self._outcome = item
        raise StopAsyncIteration

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises RuntimeError before the stream has ended well."""
        if self._outcome is None:
            raise RuntimeError("the stream has not ended well; read it to its end first")
        calls, logprobs = tuple(self._tool_calls), tuple(self._logprobs)
        return Answer("".join(self._text), self._outcome, calls, logprobs)

    async def aclose(self) -> None:
        """Stop here; the work behind it stops too, and is booked as cancelled."""
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
