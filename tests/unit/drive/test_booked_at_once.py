"""A result may wait for the next line only where that comes before anything is waited for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from support.street import MemorySink, Play, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.hops import Attempt
from router.ledger.entry import Closed
from router.policy import predicates
from router.policy.rules import Policy, Race, Requirement
from router.types import Chunk, Completion, Request, Tool, ToolCall

BAR = predicates.Test("draft.mean_logprob", "gte", -0.5)
POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    accept=(Requirement("sure-enough", frozenset({"device"}), BAR),),
)
RACED = replace(POLICY, race=Race(cost_usd=Decimal(1), after_s=1.0))
SURE, DOUBT = says("the draft is sure"), says("the draft may be", logprob=-2.0)
CLOUD = says("the cloud answers")
CUT: Play = [Chunk(text="no"), Chunk(finish="content_filter")]


@dataclass
class Watched(MemorySink):
    """Notes which results may wait for the next line, and which of them had to wait a turn."""

    waits: list[bool] = field(default_factory=list)
    waited: list[Attempt] = field(default_factory=list)
    held: Attempt | None = None

    def end(
        self, decision_id: str, hop: int, attempt: Attempt, *, more_follows: bool = False
    ) -> None:
        super().end(decision_id, hop, attempt)
        self.waits.append(more_follows)
        if more_follows:
            self.held = attempt
            asyncio.get_running_loop().call_soon(self._turned)

    def close_request(self, request: Closed) -> None:
        super().close_request(request)
        self.held = None

    def _turned(self) -> None:
        if self.held is not None:
            self.waited.append(self.held)


def booked(request: Request, policy: Policy, *plays: Play) -> list[bool]:
    """Whether each result may wait; none of those has to."""
    sink = Watched()

    async def main() -> None:
        street = Street(clock=LoopClock(), sink=sink)
        street.add("device", "device", plays[0])
        for i, play in enumerate(plays[1:]):
            street.add(f"cloud-{i}", "cloud", play)
        await collected(street.stream(policy, request))

    run_virtual(main())
    assert sink.waited == []
    assert len(sink.closed) == 1
    return sink.waits


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_nothing_can_replace_goes_out_with_the_end_of_its_request(whole: bool) -> None:
    assert booked(ask(whole=whole), POLICY, DOUBT, CLOUD) == [False, True]


@pytest.mark.parametrize("whole", [True, False])
def test_a_draft_is_written_at_once_though_it_may_be_kept(whole: bool) -> None:
    assert booked(ask(whole=whole), POLICY, SURE, CLOUD) == [False]


@pytest.mark.parametrize("nothing", [CUT, says("")], ids=["cut", "empty"])
def test_a_whole_answer_that_is_not_what_the_caller_gets_is_written_at_once(nothing: Play) -> None:
    assert booked(ask(whole=True), POLICY, DOUBT, nothing) == [False, False]


@pytest.mark.parametrize("whole", [True, False])
def test_results_of_two_hops_at_once_are_written_at_once(whole: bool) -> None:
    late: Play = [2.0, *SURE]

    assert set(booked(ask(whole=whole), RACED, late, [5.0, *CLOUD])) == {False}
    assert set(booked(ask(whole=whole), RACED, [9.0, *SURE], CLOUD)) == {False}


def test_an_answer_that_is_checked_in_a_thread_is_written_at_once() -> None:
    sink = Watched()
    street = Street(sink=sink)
    street.add("device", "device", CLOUD).abilities = frozenset(("json",))

    street.run(replace(POLICY, tiers=("device",)), ask(json=True))

    assert (sink.waits, len(sink.closed)) == ([False], 1)


def test_a_detector_that_is_still_being_loaded_is_waited_for() -> None:
    async def main() -> None:
        street = Street()
        street.add("device", "device", CLOUD)
        senses = street.home.senses
        assert senses.is_ready(ask().needs)
        senses.detector = asyncio.get_running_loop().create_future()
        assert not senses.is_ready(ask().needs)
        senses.detector.set_result(None)
        assert senses.is_ready(ask().needs)

    asyncio.run(main())


def test_only_a_draft_that_calls_a_tool_waits_for_what_checks_calls() -> None:
    async def main() -> None:
        street = Street()
        street.add("device", "device", CLOUD)
        senses = street.home.senses
        request = ask(tools=(Tool(name="look"),))
        called = Completion(text="", tool_calls=(ToolCall(id="1", name="look", arguments="{}"),))
        held = threading.Event()
        with ThreadPoolExecutor(1) as only:
            asyncio.get_running_loop().set_default_executor(only)
            only.submit(held.wait)  # so nothing can be loaded yet

            await asyncio.wait_for(senses.ready(request, Completion(text="It is here.")), 5)
            waiting = asyncio.ensure_future(senses.ready(request, called))
            await asyncio.sleep(0)
            assert not senses.is_ready(request.needs)
            assert not waiting.done()

            held.set()
            await asyncio.wait_for(waiting, 30)
            assert senses.is_ready(request.needs)

    asyncio.run(main())
