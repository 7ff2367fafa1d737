"""The input of OpenAI's Responses, coming in: its items become the turns of a chat.

A field is read, or it is one that says nothing to a model (an item's id, its status), or it is
refused by its place. Nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .failure import Refusal, refuse

Turn = dict[str, Any]

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_LABELS = ("type", "id", "status")
"""What an item says of itself and not to a model."""
_TEXTS = {"input_text": "text", "output_text": "text", "refusal": "refusal"}
_NOT_STORED = "nothing is stored here; send what it stands for"


def turns(given: str | list[dict[str, Any]], instructions: str | None) -> list[tuple[str, Turn]]:
    """Each turn in the shape that `asking.messages` takes, after the place it comes from.

    Raises: Refusal, for an item that no target can be told.
    """
    found: list[tuple[str, Turn]] = []
    if instructions is not None:
        found.append(("instructions", {"role": "system", "content": instructions}))
    if isinstance(given, str):
        return [*found, ("input", {"role": "user", "content": given})]
    for i, item in enumerate(given):
        at = f"input[{i}]"
        kind = item.get("type", "message" if "role" in item else None)
        read = _ITEMS.get(kind) if isinstance(kind, str) else None
        if read is None:
            stored = kind == "item_reference"
            why = _NOT_STORED if stored else f"{kind!r} is an item that no target can be told"
            raise unsupported(f"{at}.type", why)
        read(at, item, found)
    return found


def unsupported(field: str, why: str) -> Refusal:
    """A refusal of something that is right in itself."""
    return refuse(400, f"{field}: {why}", "unsupported_value", param=field)


def hold(at: str, given: Mapping[str, Any], *known: str, idle: Mapping[str, Any] = {}) -> None:
    """Refuse a field that is not known and not null, or idle and says something.

    Args:
        idle: Fields with the one value, beside null, that changes nothing.
    """
    for name, value in given.items():
        if value is None or name in known or (name in idle and value == idle[name]):
            continue
        raise unsupported(f"{at}.{name}", "can't be honoured here; leave it out")


def _message(at: str, item: Mapping[str, Any], found: list[tuple[str, Turn]]) -> None:
    hold(at, item, "role", "content", *_LABELS)
    said = item.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        only = ", ".join(_ROLES)
        raise refuse(
            400, f"{at}.role: has to be one of {only}", "invalid_value", param=f"{at}.role"
        )
    content = item.get("content")
    if isinstance(content, list):
        content = [_part(f"{at}.content[{i}]", part, role) for i, part in enumerate(content)]
    found.append((at, {"role": role, "content": content}))


def _part(at: str, part: object, role: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and isinstance(kind, str) and kind in _TEXTS:
        field = _TEXTS[kind]
        hold(at, part, "type", field, "logprobs", idle={"annotations": []})
        return {"type": "text", "text": _text(at, part, field)}
    if isinstance(part, Mapping) and kind == "input_image" and role == "user":
        hold(at, part, "type", "image_url", idle={"detail": "auto"})
        return {"type": "image_url", "image_url": {"url": _text(at, part, "image_url")}}
    raise unsupported(f"{at}.type", f"no target can be told {kind!r} in a message of {role}")


def _call(at: str, item: Mapping[str, Any], found: list[tuple[str, Turn]]) -> None:
    """A call belongs to the assistant's turn before it, if that is the last one."""
    hold(at, item, "call_id", "name", "arguments", *_LABELS, idle=_DIRECT)
    function = {name: _text(at, item, name) for name in ("name", "arguments")}
    call = {"id": _text(at, item, "call_id"), "type": "function", "function": function}
    last = found[-1][1] if found else None
    if last is not None and last["role"] == "assistant":
        last.setdefault("tool_calls", []).append(call)
    else:
        found.append((at, {"role": "assistant", "tool_calls": [call]}))


def _result(at: str, item: Mapping[str, Any], found: list[tuple[str, Turn]]) -> None:
    # Its name says nothing that its call has not said.
    hold(at, item, "call_id", "output", "name", *_LABELS, idle=_DIRECT)
    output = item.get("output")
    if isinstance(output, list):
        output = [_part(f"{at}.output[{i}]", part, "tool") for i, part in enumerate(output)]
    elif not isinstance(output, str):
        output = _text(at, item, "output")
    call_id = _text(at, item, "call_id")
    found.append((at, {"role": "tool", "tool_call_id": call_id, "content": output}))


def _text(at: str, given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        where = f"{at}.{name}"
        raise refuse(400, f"{where}: has to be text", "invalid_value", param=where)
    return value


_DIRECT = {"caller": {"type": "direct"}, "async": False}
_ITEMS: Mapping[str, Callable[[str, Mapping[str, Any], list[tuple[str, Turn]]], None]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _result,
}
