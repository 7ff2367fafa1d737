"""A tool's result finds the target that asked for it."""

from __future__ import annotations

import pytest

from router.drive.toolloops import ToolLoops
from router.types import Message, ToolCall

CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Oslo", "days": 2}')
OTHER = ToolCall(id="call_2", name="weather", arguments='{"city": "Rome", "days": 2}')


def said(role: str, content: str = "x") -> Message:
    return Message(role=role, content=content)  # type: ignore[arg-type]


def asked(*calls: ToolCall) -> Message:
    return Message(role="assistant", content="", tool_calls=calls)


def result(call: ToolCall = CALL) -> Message:
    return Message(role="tool", content="rain", tool_call_id=call.id)


def test_a_result_goes_back_to_who_asked() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "cloud")

    assert loops.target_of((said("user"), asked(CALL), result()), "") == "cloud"


def test_several_results_of_one_answer_go_back_together() -> None:
    loops = ToolLoops()
    loops.remember((CALL, OTHER), "", "cloud")

    messages = (said("user"), asked(CALL, OTHER), result(CALL), result(OTHER))
    assert loops.target_of(messages, "") == "cloud"


def test_the_last_call_of_a_conversation_decides() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "device")
    loops.remember((OTHER,), "", "cloud")
    first = (said("user"), asked(CALL), result(CALL))

    assert loops.target_of(first, "") == "device"
    assert loops.target_of((*first, asked(OTHER), result(OTHER)), "") == "cloud"


def test_a_new_turn_of_the_user_decides_afresh() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "cloud")
    loop = (said("user"), asked(CALL), result())

    assert loops.target_of((*loop, said("user")), "") is None
    assert loops.target_of((*loop, said("assistant")), "") is None
    assert loops.target_of((said("user"), asked(CALL)), "") is None
    assert loops.target_of((), "") is None


def test_a_call_is_never_found_by_another_tenant() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "a", "cloud")
    messages = (asked(CALL), result())

    assert loops.target_of(messages, "a") == "cloud"
    assert loops.target_of(messages, "") is None
    assert loops.target_of(messages, "b") is None


@pytest.mark.parametrize(
    "other",
    [
        ToolCall(id="call_9", name=CALL.name, arguments=CALL.arguments),
        ToolCall(id=CALL.id, name="tides", arguments=CALL.arguments),
        ToolCall(id=CALL.id, name=CALL.name, arguments='{"city": "Bergen"}'),
        ToolCall(id=CALL.id, name=CALL.name, arguments="{"),
    ],
)
def test_another_call_is_not_taken_for_it(other: ToolCall) -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "cloud")

    assert loops.target_of((asked(other), result(other)), "") is None


def test_parts_do_not_run_into_each_other() -> None:
    loops = ToolLoops()
    loops.remember((ToolCall(id="ab", name="c", arguments="x"),), "t", "cloud")

    assert (
        loops.target_of((asked(ToolCall(id="a", name="bc", arguments="x")), result()), "t") is None
    )
    assert (
        loops.target_of((asked(ToolCall(id="b", name="c", arguments="x")), result()), "ta") is None
    )


def test_json_that_was_written_anew_is_still_the_same_call() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "cloud")
    again = ToolCall(id=CALL.id, name=CALL.name, arguments='{"days":2,"city":"\\u004fslo"}')

    assert loops.target_of((asked(again), result()), "") == "cloud"


@pytest.mark.parametrize(
    "arguments", ["", "not JSON", "[" * 100_000, "9" * 5000, '"\ud800"', "NaN"]
)
def test_arguments_may_be_anything(arguments: str) -> None:
    loops = ToolLoops()
    call = ToolCall(id="\ud800", name="n", arguments=arguments)
    loops.remember((call,), "", "cloud")

    assert loops.target_of((asked(call), result()), "") == "cloud"


def test_a_result_without_a_call_before_it_belongs_to_nobody() -> None:
    loops = ToolLoops()
    loops.remember((), "", "cloud")

    assert loops.target_of((said("user"), result()), "") is None


def test_only_so_many_are_remembered_and_the_unused_go_first() -> None:
    loops = ToolLoops(size=2)
    calls = [ToolCall(id=f"call_{n}", name="n", arguments="{}") for n in range(3)]
    loops.remember((calls[0],), "", "a")
    loops.remember((calls[1],), "", "b")
    assert loops.target_of((asked(calls[0]), result()), "") == "a"
    loops.remember((calls[2],), "", "c")

    found = [loops.target_of((asked(call), result()), "") for call in calls]
    assert found == ["a", None, "c"]


def test_who_asked_last_for_the_same_call_has_it() -> None:
    loops = ToolLoops()
    loops.remember((CALL,), "", "a")
    loops.remember((CALL,), "", "b")

    assert loops.target_of((asked(CALL), result()), "") == "b"
