"""Offline is a state: found out once, remembered, looked at again while requests come."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from support.street import Ended, Play, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.clock import Clock
from router.drive.network import FIRST_S, LONGEST_S, PROBE_S, Network, Place, tcp_connects
from router.drive.wanted import Wanted
from router.drive.way import Way
from router.errors import NoAnswer, NotSent, TimedOut, Unavailable
from router.policy.rules import Limits, Policy
from router.types import Chunk, Transit
from router.world.machine import Machine

CONNECT_S = 5.0
ONE, TWO = Place("one.example", 443), Place("two.example", 443)
CLOUDS = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    limits=Limits(deadline_s=60),
)
NOT_THERE: Play = [
    CONNECT_S,
    Unavailable("no connection to one.example within 5 s", reached=False, no_way=True),
]


class Outside:
    """The world behind the network.

    Attributes:
        there: Hosts that take connections; a connection to another takes `takes_s` to fail.
        tried: Every connection tried to find out, with the time it began.
    """

    def __init__(self, *there: Place, takes_s: float = PROBE_S) -> None:
        self.there = set(there)
        self.takes_s = takes_s
        self.tried: list[tuple[Place, float]] = []

    async def connects(self, place: Place) -> bool:
        self.tried.append((place, asyncio.get_running_loop().time()))
        if place in self.there:
            return True
        await asyncio.sleep(self.takes_s)
        return False


class Linked(Machine):
    """A machine that says whether it has a link, at once."""

    def __init__(self, clock: Clock, up: bool) -> None:
        self.up = up
        self.asked = 0
        super().__init__(clock, system=self, power=lambda: (1.0, True), metered=lambda: None)

    def net_if_stats(self) -> Any:
        self.asked += 1
        return {"eth0": SimpleNamespace(isup=True)}

    def net_if_addrs(self) -> Any:
        address = "192.168.1.7" if self.up else "127.0.0.1"
        return {"eth0": [SimpleNamespace(address=address)]}


def street(
    outside: Outside, *plays: Play, machine: Machine | None = None, attempts: int = 1
) -> tuple[Street, Network]:
    """A street of clouds, at `ONE`, `TWO` and so on."""
    clock = LoopClock()
    found = Street(clock=clock)
    network = Network(clock, machine, outside.connects)
    for i, (play, place) in enumerate(zip(plays, (ONE, TWO), strict=False)):
        found.add(f"cloud-{i}", "cloud", play, attempts=attempts)
        network.add(place)
        name = f"cloud-{i}"
        found.lives[name] = replace(found.lives[name], way=Way(network=network))
    found.home.senses.network = network
    return found, network


async def one(found: Street) -> Ended:
    return await collected(found.stream(CLOUDS, ask()))


@pytest.mark.parametrize(("clouds", "attempts"), [(1, 1), (1, 3), (2, 3)])
def test_five_requests_while_offline_cost_one_connect_timeout(clouds: int, attempts: int) -> None:
    """And one look, of a second, that tells a network that is gone from a host that is."""
    outside = Outside()
    found, network = street(outside, *[NOT_THERE] * clouds, attempts=attempts)

    async def main() -> list[Ended]:
        ended = [await one(found) for _ in range(5)]
        # What is looked at in the background costs nobody anything.
        most = CONNECT_S + PROBE_S + (1.5 if attempts > 1 else 0)
        assert asyncio.get_running_loop().time() <= most + 0.001
        await network.aclose()
        return ended

    ended = run_virtual(main())

    assert all(isinstance(e.error, NoAnswer) for e in ended)
    assert sum(found.calls().values()) == 1
    assert network.offline
    assert "offline since" in str(ended[-1].error)


def test_requests_at_once_share_the_timeout() -> None:
    found, network = street(Outside(), NOT_THERE)

    async def main() -> None:
        await asyncio.gather(*(one(found) for _ in range(5)))
        assert asyncio.get_running_loop().time() == pytest.approx(CONNECT_S)
        await network.settled()

    run_virtual(main())

    assert network.offline


def test_one_host_that_is_gone_is_not_the_network() -> None:
    outside = Outside(TWO)
    found, network = street(outside, NOT_THERE, says("from the other"))

    ended = run_virtual(one(found))

    assert ended.text == "from the other"
    assert not network.offline
    assert ended.answer.total_s == pytest.approx(CONNECT_S)


def test_what_is_on_this_device_goes_on() -> None:
    found, network = street(Outside(), NOT_THERE)
    found.add("device", "device", says("from the device"))

    async def main() -> Ended:
        network._gone()
        ended = await one(found)
        await network.aclose()
        return ended

    ended = run_virtual(main())

    assert ended.text == "from the device"
    lines = "\n".join(ended.answer.trace.lines(ended.answer.hops))
    assert "cloud-0 skipped: offline since" in lines


def test_it_is_looked_at_again_while_requests_come_less_and_less_often() -> None:
    outside = Outside(takes_s=0.0)
    found, network = street(outside, NOT_THERE)

    async def main() -> None:
        await one(found)
        await network.settled()
        outside.tried.clear()
        for _ in range(300):
            await asyncio.sleep(0.5)
            await one(found)
        await asyncio.sleep(3600)  # nobody asks, so nobody looks

    run_virtual(main())

    times = [at for _, at in outside.tried]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps[:4] == pytest.approx(
        [2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S, 16 * FIRST_S], abs=0.51
    )
    assert gaps[4:] == pytest.approx([LONGEST_S] * len(gaps[4:]), abs=0.51)
    assert len(gaps) > 5


def test_the_first_connection_that_comes_about_ends_it() -> None:
    outside = Outside(takes_s=0.0)
    found, network = street(outside, NOT_THERE)

    async def main() -> Ended:
        await one(found)
        await network.settled()
        assert network.offline
        outside.there.add(ONE)
        found.players["cloud-0"].plays = [says("back again")]
        await asyncio.sleep(FIRST_S)
        await one(found)  # is turned away, and sets the look going
        await asyncio.sleep(0.01)
        return await one(found)

    assert run_virtual(main()).text == "back again"
    assert not network.offline


def test_a_machine_without_a_link_raises_the_doubt_before_a_call_is_made() -> None:
    outside = Outside(takes_s=0.0)
    found, network = street(outside, NOT_THERE)
    machine = Linked(found.clock, up=False)
    network._machine = machine

    async def main() -> None:
        machine.read()
        ended = await one(found)
        assert isinstance(ended.error, NoAnswer)
        assert asyncio.get_running_loop().time() == 0
        assert network.offline
        machine.up = True
        machine.read()
        outside.there.add(ONE)
        await one(found)  # the link is back: there is no need to wait for the next look
        await asyncio.sleep(0.01)

    run_virtual(main())

    assert not network.offline
    assert found.calls() == {"cloud-0": 0}


def test_what_answers_counts_for_more_than_what_the_machine_says_of_its_links() -> None:
    outside = Outside(ONE)
    found, network = street(outside, says("here all the same"))
    machine = Linked(found.clock, up=False)
    network._machine = found.home.senses.machine = machine
    online = Wanted(frozenset({"world.online"}))

    async def main() -> list[object]:
        machine.read()
        said = [await found.home.senses.read(ask(), CLOUDS, "public", online)]
        assert [(await one(found)).text for _ in range(3)] == ["here all the same"] * 3
        said.append(await found.home.senses.read(ask(), CLOUDS, "public", online))
        return [values["world.online"] for values in said]

    assert run_virtual(main()) == [False, True]
    assert len(outside.tried) == 1


def test_a_call_that_ran_out_of_time_without_a_word_raises_the_doubt_too() -> None:
    outside = Outside()
    found, network = street(outside, [9.0, TimedOut("no complete answer within 9 s")])

    async def main() -> None:
        await one(found)
        await one(found)
        assert asyncio.get_running_loop().time() <= 9 + PROBE_S + 0.001

    run_virtual(main())

    assert network.offline
    assert sum(found.calls().values()) == 1


def test_a_slow_answer_raises_none() -> None:
    outside = Outside()
    slow: Play = [Chunk(transit=Transit()), 9.0, TimedOut("no complete answer within 9 s")]
    found, network = street(outside, slow)

    run_virtual(one(found))

    assert outside.tried == []
    assert not network.offline


def test_an_answer_that_begins_ends_it() -> None:
    found, network = street(Outside(), NOT_THERE)

    async def main() -> None:
        network._gone()
        found.lives["cloud-0"].way.met(Transit(), began=0, now=1)
        await network.aclose()

    run_virtual(main())

    assert not network.offline


def test_the_signal_agrees() -> None:
    found, network = street(Outside(), NOT_THERE)
    senses = found.home.senses
    senses.machine = Linked(found.clock, up=True)
    wanted = Wanted(frozenset({"world.online"}))

    async def main() -> list[object]:
        senses.machine.read()
        before = await senses.read(ask(), CLOUDS, "public", wanted)
        network._gone()
        after = await senses.read(ask(), CLOUDS, "public", wanted)
        return [before["world.online"], after["world.online"]]

    assert run_virtual(main()) == [True, False]


def test_who_is_turned_away_is_booked_and_nothing_is_held_against_the_target() -> None:
    outside = Outside(takes_s=0.0)
    found, network = street(outside, NOT_THERE, NOT_THERE)

    async def main() -> Ended:
        ended = await one(found)
        await network.aclose()
        return ended

    ended = run_virtual(main())

    assert isinstance(ended.error, NoAnswer)
    first, second = ended.error.hops
    assert (first.last.error_kind, first.last.reached) == ("unavailable", False)
    assert (second.last.error_kind, second.last.reached) == ("not_sent", False)
    assert second.last.cost_usd == 0
    assert isinstance(ended.error.__cause__, ExceptionGroup)
    assert isinstance(ended.error.__cause__.exceptions[1], NotSent)
    assert found.home.senses.breakers.state("cloud-1") == "closed"
    found.sink.check_pairs()


def test_a_port_that_refuses_shows_that_there_is_a_way_and_a_name_that_is_none_does_not() -> None:
    async def main() -> tuple[bool, bool, bool]:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            takes = await tcp_connects(Place("127.0.0.1", port))
        return (
            takes,
            await tcp_connects(Place("127.0.0.1", port)),
            await tcp_connects(Place("a" * 70, port)),
        )

    assert asyncio.run(main()) == (True, True, False)
