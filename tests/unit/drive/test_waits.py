"""Signals that nothing has to be waited for are read without a timer, so the two must agree."""

from __future__ import annotations

import asyncio

import pytest
from support.street import Street, ask, says

from router.device.wire import Healthy
from router.drive.wanted import Wanted
from router.policy.rules import Policy
from router.signals import CATALOGUE
from router.types import Message

POLICY = Policy(name="p", revision="r", summary="", tiers=("device",))


class Slow(Street):
    """Everything its device is asked takes a turn of the loop."""

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        await asyncio.sleep(0)
        return await super().count_tokens(messages)

    async def health(self) -> Healthy | None:
        await asyncio.sleep(0)
        return await super().health()

    async def context_limit(self) -> int | None:
        await asyncio.sleep(0)
        return await super().context_limit()


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_is_said_to_be_there_is_read_without_waiting(name: str) -> None:
    street = Slow()
    street.add("device", "device", says("yes"))
    senses, wanted = street.home.senses, Wanted(frozenset((name,)))

    async def waited() -> bool:
        reading = senses.read(ask(), POLICY, "public", wanted)
        try:
            reading.send(None)
        except StopIteration:
            return False
        finally:
            reading.close()
        return True

    assert wanted.waits or not asyncio.run(waited())


def test_counting_by_the_device_is_waited_for() -> None:
    assert Wanted(frozenset(("prompt.tokens",))).waits
    assert not Wanted(frozenset(("request.label", "draft.finish"))).waits


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_needs_no_waiting_is_the_same_at_once(name: str) -> None:
    street, wanted = Street(), Wanted(frozenset((name,)))
    street.add("device", "device", says("yes"))
    senses = street.home.senses

    read = asyncio.run(senses.read(ask(), POLICY, "public", wanted))

    assert list(read) == list(wanted.of_request)
    assert wanted.waits or senses.at_once(ask(), POLICY, "public", wanted) == read
