"""A call's time is kept by the provider, unless whoever asks says that he keeps it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from contract.calls import ASK, TRANSPORTS, Transport, listen, opened, target
from contract.replay import WIRE, Replay, load

from router import providers
from router.types import Ask

OURS_S = 0.1
STALL = load(WIRE / "common" / "stall_at_once.http")
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)


def stalled(transport: Transport, ask: Ask, patience_s: float = 5.0) -> str:
    """The error's kind that `ask` ends in, or that it was `left` after `patience_s`."""

    async def main() -> str:
        async with Replay([STALL]) as replay:
            bound = target("openai_compatible", replay.url(), transport, timeout_s=OURS_S)
            async with opened(providers.build(bound)) as provider:
                try:
                    async with asyncio.timeout(patience_s):
                        error = (await listen(provider, ask)).error
                except TimeoutError:
                    return "left"
        assert error is not None
        return error.kind

    return asyncio.run(main())


@pytest.mark.parametrize("left_s", [None, OURS_S, OURS_S / 2])
@EACH_WAY
def test_who_names_the_time_that_is_left_need_not_keep_it(
    transport: Transport, left_s: float | None
) -> None:
    assert stalled(transport, replace(ASK, timeout_s=left_s)) == "timed_out"


@EACH_WAY
def test_who_keeps_a_longer_time_has_the_targets_kept_for_him(transport: Transport) -> None:
    assert stalled(transport, ASK.once("a", OURS_S * 100)) == "timed_out"


def test_who_keeps_the_time_ends_the_call_himself() -> None:
    assert stalled("lean", ASK.once("a", OURS_S), OURS_S * 3) == "left"
