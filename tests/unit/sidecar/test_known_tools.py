from __future__ import annotations

import json
from typing import Any

import pytest

from router.asking import CheckedTools, request
from router.errors import ConfigError
from router.sidecar.wire import chat, known_tools
from router.sidecar.wire.failure import Refusal


def tool(name: str, **more: Any) -> dict[str, Any]:
    function = {"name": name, "description": "looks", "parameters": {"type": "object"}, **more}
    return {"type": "function", "function": function}


def body(*tools: Any, **more: Any) -> bytes:
    turns = [{"role": "user", "content": "hello"}]
    return json.dumps({"messages": turns, "tools": tools, **more}).encode()


def tools_of(raw: bytes) -> Any:
    asked = chat.read(raw)
    return request(asked.messages, asked.options, ()).tools


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    known_tools.forget()


def test_tools_that_come_again_are_the_very_same_value() -> None:
    first = tools_of(body(tool("look"), tool("find")))
    assert first == tools_of(body(tool("look"), tool("find"), temperature=0.5))
    assert first is tools_of(body(tool("look"), tool("find"), user="else"))
    assert [one.name for one in first] == ["look", "find"]


def test_tools_that_differ_in_one_byte_are_told_apart() -> None:
    assert tools_of(body(tool("look")))[0].name == "look"
    assert tools_of(body(tool("loom")))[0].name == "loom"


def test_no_tool_may_be_called_although_the_tools_are_known() -> None:
    assert tools_of(body(tool("look")))
    assert tools_of(body(tool("look"), tool_choice="none")) == ()


@pytest.mark.parametrize("times", [1, 2])
def test_wrong_tools_are_refused_each_time(times: int) -> None:
    for _ in range(times):
        with pytest.raises(ConfigError, match="two tools are called 'look'"):
            tools_of(body(tool("look"), tool("look")))
        with pytest.raises(Refusal, match=r"tools\[0\].type"):
            tools_of(body({"type": "else"}))
        with pytest.raises(Refusal, match=r"tools\[1\]: Expected `object`"):
            tools_of(body(tool("look"), 5))


def test_a_wrong_field_beside_known_tools_is_refused_as_ever() -> None:
    tools_of(body(tool("look")))
    with pytest.raises(Refusal, match="temperature: Expected"):
        chat.read(body(tool("look"), temperature="warm"))
    with pytest.raises(Refusal, match="can't honour it"):
        chat.read(body(tool("look"), colour="red"))


def test_ever_new_tools_fill_no_memory() -> None:
    for number in range(600):
        tools_of(body(tool(f"look{number}", description="x" * 4000)))
        assert known_tools.held_bytes() <= 512 * 1024
    large = body(tool("large", description="x" * 600_000))
    assert tools_of(large) is not tools_of(large)


def test_an_app_in_python_can_not_pass_for_checked() -> None:
    assert type(tools_of(body(tool("look")))) is CheckedTools
    turns = [{"role": "user", "content": "hello"}]
    with pytest.raises(ConfigError, match="has to be a Tool"):
        request(turns, {"tools": (5,)}, ())  # type: ignore[typeddict-item]
