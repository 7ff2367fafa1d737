"""Answers from a script: for tests, and for a newcomer who has no key yet.

It works without network and key, and does the same every time. It is no model: what it says was
written into the config, and so were the log-probabilities it gives. `options`:

- `steps`: a list of steps (`scriptfile.py` shows some), or the path of a YAML or JSON file that has
  such a list under `steps`.
- `price`: ``{input_usd_per_1m, output_usd_per_1m, cached_input_usd_per_1m}``; what it would charge.
- `abilities`: a list of what it takes beside text: `images`, `tools`, `json`; all of them if not
  given.
- `served_log`: a file that gets one JSON line for each answer that was served to its end, at that
  moment: an account that does not depend on the ledger's.

A step with `match` answers every call whose last user message contains those words, upper or lower
case. The other steps answer the other calls, one each, in order; the last of them stays. Its tokens
are words, and it counts them honestly. Log-probabilities that a caller asks for are told as the
script has them, without other tokens beside the chosen one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from typing import NoReturn, get_args

from ..clock import Clock, SystemClock
from ..document import nearest
from ..errors import BadWire, ConfigError, Incapable, Refused, Unavailable
from ..types import Ability, Ask, Chunk, TokenLogprob, Usage
from .base import Provider, Target
from .check import Check
from .options import check_options
from .script import Step, Token


def build(target: Target) -> Provider:
    """A provider that plays `target`'s script. Raises: ConfigError."""
    return Scripted(target)


class Scripted:
    """Plays one script; `clock` turns its delays."""

    def __init__(self, target: Target, clock: Clock | None = None) -> None:
        from .scriptfile import (
            read_price,
            read_steps,
        )  # pydantic: only who has a script pays for it

        check_options(target, ("steps", "price", "served_log", "abilities"))
        self._target = target
        self._clock = clock or SystemClock()
        steps = read_steps(target)
        self._matched = tuple(step for step in steps if step.match)
        self._in_order = tuple(step for step in steps if not step.match)
        self._next = 0
        self._price = read_price(target)
        self._served_log = _path(target)
        self.abilities = _abilities(target)

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """Yield the step's tokens one by one, then its finish reason and usage together.

        An answer longer than the call allows ends with "length". Raises `HopError`, as the script
        says.
        """
        step = self._step(ask)
        tokens = step.tokens[: step.stop_after][: ask.max_output_tokens]
        told = ask.logprobs is not None
        if told and any(token.stat is None for token in tokens):
            raise Incapable(
                "the script has no log-probabilities for this answer",
                target=self._target.name,
                reached=False,
            )
        await self._clock.sleep(step.ttft_s)
        for number, token in enumerate(tokens):
            if number:
                await self._clock.sleep(step.tpot_s)
            yield Chunk(
                text=token.text,
                tokens=(token.stat,) if token.stat else (),
                logprobs=_spelled(token) if told else (),
                model=self._target.model if number == 0 else None,
            )
        if step.stop_after is not None:
            await self._go_wrong(step)
        usage = _count(ask, len(tokens)) if step.usage == "counted" else step.usage
        if self._served_log is not None:
            self._book(self._served_log, ask, usage)
        cut = len(tokens) < len(step.tokens)
        yield Chunk(
            tool_calls=() if cut else step.tool_calls,
            finish="length" if cut else step.finish,
            usage=usage,
        )

    async def check(self) -> Check:
        """All is well, for its script was read when it was made. See `Checkable`."""
        return Check(reachable=True, ready=True, model_exists=True)

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _step(self, ask: Ask) -> Step:
        said = next((m.content for m in reversed(ask.messages) if m.role == "user"), "").lower()
        for step in self._matched:
            if step.match is not None and step.match in said:
                return step
        if not self._in_order:
            raise Refused("the script has no step for this message", target=self._target.name)
        step = self._in_order[min(self._next, len(self._in_order) - 1)]
        self._next += 1
        return step

    async def _go_wrong(self, step: Step) -> NoReturn:
        if step.hang:
            await asyncio.Event().wait()
        if step.failure is not None:
            raise step.failure.error(
                step.failure.message, target=self._target.name, **step.failure.fields
            )
        raise BadWire("the script cuts the answer off here", target=self._target.name)

    def _book(self, path: str, ask: Ask, usage: Usage | None) -> None:
        """One line by one write: whole or not there, also when many processes share the file."""
        charge = self._price.charge_usd(usage) if self._price else None
        line = json.dumps(
            {
                "attempt_id": ask.attempt_id,
                "target": self._target.name,
                "usage": None if usage is None else asdict(usage),
                "charge_usd": None if charge is None else str(charge),
            }
        )
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            file = os.open(path, flags, 0o600)
            try:
                os.write(file, line.encode() + b"\n")
            finally:
                os.close(file)
        except OSError as exc:
            raise Unavailable(
                f"can't write served_log: {exc}", target=self._target.name, retryable=False
            ) from exc


def _path(target: Target) -> str | None:
    path = target.options.get("served_log")
    if path is not None and not isinstance(path, str):
        raise ConfigError("has to be a path", field=f"targets.{target.name}.options.served_log")
    return path


def _abilities(target: Target) -> frozenset[Ability]:
    known: tuple[Ability, ...] = get_args(Ability)
    given = target.options.get("abilities", known)
    field = f"targets.{target.name}.options.abilities"
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError("has to be a list of words", field=field)
    for word in given:
        if word not in known:
            raise ConfigError(f"{word!r} is no ability", field=field, hint=nearest(word, known))
    return frozenset(given)


def _spelled(token: Token) -> tuple[TokenLogprob, ...]:
    if token.stat is None:
        return ()
    raw = token.text.encode()
    return (TokenLogprob(token=token.text, logprob=token.stat.logprob, raw=raw),)


def _count(ask: Ask, output_tokens: int) -> Usage:
    """Its tokens are words, so this is no guess about anybody else's."""
    words = sum(len(message.content.split()) for message in ask.messages)
    return Usage(input_tokens=words, output_tokens=output_tokens)
