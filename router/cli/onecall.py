"""One short call to a target, to see that it answers: what `doctor --call` and `init` make."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from ..errors import HopError, TimedOut
from ..providers.base import Provider
from ..types import Ask, Message

CAP = 16
QUESTION = "Answer with one word: what is the capital of France?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What came of it.

    Attributes:
        model: Who answered, as it calls itself. None: it didn't say.
        tells: It gave the probabilities of its words, so that a draft of it can be judged.
        took_s: Seconds to the end.
        error: Why there was no answer. None: there was one.
    """

    model: str | None = None
    tells: bool = False
    took_s: float = 0.0
    error: HopError | None = None


async def call_once(provider: Provider, *, timeout_s: float = 60.0) -> Called:
    """Ask for one word. Costs some twenty tokens in and at most `CAP` out."""
    ask = Ask(
        attempt_id="firsthop-check",
        messages=(Message(role="user", content=QUESTION),),
        max_output_tokens=CAP,
    )
    model, tells = None, False
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(timeout_s), aclosing(provider.stream(ask)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                model = chunk.model or model
                tells = tells or bool(chunk.tokens)
    except HopError as error:
        return Called(error=error)
    except TimeoutError:
        return Called(error=TimedOut(f"no complete answer within {timeout_s:g} s"))
    return Called(model=model, tells=tells, took_s=loop.time() - began)
