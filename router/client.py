"""`AsyncRouter`: ask, stream, feedback."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .answer import Answer
from .config import Config
from .document import nearest
from .errors import ConfigError
from .hops import Outcome
from .policy.rules import Policy
from .types import LABELS, ROLES, Chunk, Label, Message, Request

if TYPE_CHECKING:
    from .device.wire import Healthy

Conversation = str | Sequence[Message | Mapping[str, str]]
"""A prompt, or the turns of a conversation, oldest first."""


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
        self, config: str | Path | Config | None = None, *, policy: str | None = None
    ) -> None:
        """Read the config and the policy.

        Args:
            config: A path, the name of a shipped config, or one already loaded. None: the one
                `config.find` finds.
            policy: Name or path of a policy to use instead of the config's.

        Raises:
            ConfigError: either is wrong; names file, line and field.
        """
        from .compose import Router as Composed

        self._composed = Composed.of(config, policy)

    @property
    def config(self) -> Config:
        """The config in use."""
        return self._composed.config

    @property
    def policy(self) -> Policy:
        """The policy used when a call names no other."""
        return self._composed.policy

    async def ask(
        self,
        conversation: Conversation,
        *,
        policy: str | None = None,
        label: Label = "public",
        deadline_s: float | None = None,
        cost_usd: Decimal | str | None = None,
        tags: Mapping[str, str] | None = None,
        target: str | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Answer:
        """Answer one request.

        Args:
            conversation: A prompt, or messages with `role` and `content`, oldest first.
            policy: Name or path; this call only.
            label: How private the text is; guards act on it.
            deadline_s: Seconds until an answer is worth nothing; tightens the policy's.
            cost_usd: Most dollars; tightens the policy's.
            tags: Own words for the ledger.
            target: Ask this target and no other. Guards still hold.
            max_output_tokens: Cap on the answer.
            temperature: None: the target's default; on the device greedy.
            seed: For targets that sample with one.
            stop: Strings that end the answer.

        Raises:
            Forbidden: guards left no tier that could answer.
            LimitReached: a limit ended it and no draft may be returned.
            NoAnswer: every hop failed.
            ConfigError: an argument is wrong.
        """
        stream = self.stream(
            conversation,
            policy=policy,
            label=label,
            deadline_s=deadline_s,
            cost_usd=cost_usd,
            tags=tags,
            target=target,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            seed=seed,
            stop=stop,
        )
        async with stream:
            async for _ in stream:
                pass
        return stream.answer

    def stream(
        self,
        conversation: Conversation,
        *,
        policy: str | None = None,
        label: Label = "public",
        deadline_s: float | None = None,
        cost_usd: Decimal | str | None = None,
        tags: Mapping[str, str] | None = None,
        target: str | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Stream:
        """The same, piece by piece: iterate over it for text, then read its `answer`.

        A draft that may still be taken back is never shown, so the first piece comes when an
        answer is committed. Arguments and errors are those of `ask`; errors come while iterating,
        wrong arguments at once.
        """
        request = Request(
            messages=as_messages(conversation),
            max_output_tokens=_at_least_one("max_output_tokens", max_output_tokens),
            temperature=_number("temperature", temperature, above=0, open_end=False),
            seed=seed,
            stop=tuple(stop),
            label=_label(label),
            tags=dict(tags or {}),
            deadline_s=_number("deadline_s", deadline_s, above=0, open_end=True),
            cost_usd=_dollars(cost_usd),
            target=self._target(target),
        )
        return Stream(self._composed.run(request, policy))

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
        """
        await asyncio.to_thread(
            self._composed.ledger.feedback, decision_id, good=good, score=score, note=note
        )

    async def device_health(self) -> Healthy | None:
        """How the device's worker is: its process id, queue, jobs done, memory.

        None: no target is a device, or its worker is not up. Asking never starts it.
        """
        return await self._composed.device_health()

    async def aclose(self) -> None:
        """Let go of connections, the device's worker and the ledger. Safe to call twice."""
        await self._composed.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _target(self, name: str | None) -> str | None:
        known = [bound.target.name for bound in self.config.targets]
        if name is not None and name not in known:
            raise ConfigError(f"no target is called {name!r}", hint=nearest(name, known))
        return name


class Stream(AsyncIterator[str]):
    """An answer as it comes: iterate for text, then read `answer`."""

    def __init__(self, source: AsyncGenerator[object, None]) -> None:
        self._source = source
        self._text: list[str] = []
        self._outcome: Outcome | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        async for item in self._source:
            if isinstance(item, Outcome):
                self._outcome = item
            elif isinstance(item, Chunk) and item.text:
                self._text.append(item.text)
                return item.text
        raise StopAsyncIteration

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises RuntimeError before the stream has ended well."""
        if self._outcome is None:
            raise RuntimeError("the stream has not ended; read it to the end first")
        return Answer("".join(self._text), self._outcome)

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


def as_messages(conversation: Conversation) -> tuple[Message, ...]:
    """A prompt or a list of turns as messages. Raises ConfigError naming the turn."""
    if isinstance(conversation, str):
        conversation = [Message(role="user", content=conversation)]
    found: list[Message] = []
    for i, turn in enumerate(conversation):
        if isinstance(turn, Message):
            found.append(turn)
            continue
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES:
            raise ConfigError(
                f"unknown role {role!r}",
                field=f"messages[{i}].role",
                hint=nearest(str(role), ROLES),
            )
        if not isinstance(content, str):
            raise ConfigError("has to be text", field=f"messages[{i}].content")
        found.append(Message(role=role, content=content))
    if not any(m.content.strip() for m in found):
        raise ConfigError("nothing was asked", field="messages")
    return tuple(found)


def _label(label: Label) -> Label:
    if label not in LABELS:
        raise ConfigError(f"unknown label {label!r}", field="label", hint=nearest(label, LABELS))
    return label


def _dollars(amount: Decimal | str | None) -> Decimal | None:
    from .policy.document import dollars

    try:
        return None if amount is None else dollars(str(amount))
    except ValueError as exc:
        raise ConfigError(str(exc), field="cost_usd") from exc


def _at_least_one(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigError(f"has to be at least 1, not {value}", field=name)
    return value


def _number(name: str, value: float | None, *, above: float, open_end: bool) -> float | None:
    """A finite number above a bound; `open_end`: the bound itself is too low."""
    if value is None:
        return None
    if not math.isfinite(value) or value < above or (open_end and value == above):
        least = f"above {above:g}" if open_end else f"at least {above:g}"
        raise ConfigError(f"has to be {least}, not {value:g}", field=name)
    return value
