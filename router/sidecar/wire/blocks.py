"""Anthropic's turns, coming in: blocks of text, pictures, tool calls and their results.

In go the turns of a body, out come messages in the shape that `asking.messages` takes. A block, or
a field of one, that no target hears is refused by its place. `cache_control` is a hint of what to
keep, changes no answer, and is let pass: it is held to its shape and goes no further.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .chat import neutral
from .failure import Refusal, refuse

Role = Literal["user", "assistant", "system"]


class Cache(msgspec.Struct, forbid_unknown_fields=True):
    """What a prompt cache should keep."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    """One turn as it is written."""

    role: Role
    content: str | list[dict[str, Any]]


class Block(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What every block may have."""

    cache_control: Cache | None = None


class Text(Block, tag="text"):
    """Words."""

    text: str
    citations: list[Any] | None = None


class Base64(msgspec.Struct, tag="base64", tag_field="type", forbid_unknown_fields=True):
    """A picture in the body."""

    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class Url(msgspec.Struct, tag="url", tag_field="type", forbid_unknown_fields=True):
    """A picture elsewhere."""

    url: str


class Picture(Block, tag="image"):
    """A picture."""

    source: Base64 | Url
    transformations: dict[str, Any] | None = None


class Use(Block, tag="tool_use"):
    """A call that the assistant asked for."""

    id: str
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class Result(Block, tag="tool_result"):
    """What a call gave."""

    tool_use_id: str
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None


NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "citations": ([],),
    "transformations": ({},),
    "caller": ({"type": "direct"},),
    "toolset_name": (),
}
"""Fields of blocks that no target hears: the values, beside null, that change nothing."""

FAILED = "error: "
"""What stands before the result of a call that failed, as targets have no field for it."""

_OF_USER = Text | Picture | Result
_OF_ASSISTANT = Text | Use
_encode = msgspec.json.encode


def turns(system: str | list[dict[str, Any]] | None, given: list[Turn]) -> list[dict[str, Any]]:
    """A conversation, oldest turn first. Raises: Refusal, which names the place."""
    if not given:
        raise refused("messages", "nothing was asked")
    found: list[dict[str, Any]] = []
    if system:
        found.append({"role": "system", "content": _words("system", system)})
    for number, turn in enumerate(given):
        place = f"messages[{number}].content"
        if isinstance(turn.content, str):
            found.append({"role": turn.role, "content": turn.content})
        elif turn.role == "user":
            found.extend(_user(place, turn.content))
        elif turn.role == "assistant":
            found.append(_assistant(place, turn.content))
        else:
            found.append({"role": "system", "content": _words(place, turn.content)})
    if given[-1].role == "assistant":
        last = f"messages[{len(given) - 1}]"
        raise refused(last, "an answer can't be begun for a target; end with a user's turn")
    return found


def _words(place: str, given: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """What only text may be."""
    if isinstance(given, str):
        return given
    found: list[dict[str, Any]] = []
    for i, one in enumerate(given):
        at = f"{place}[{i}]"
        if "type" not in one:  # msgspec asks for it only where it has to choose
            raise refuse(400, f"{at}: has to have a type", "invalid_value", param=at)
        found.append({"type": "text", "text": block(at, one, Text).text})
    return found


def _user(place: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results as messages of their own, and then what the user says."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for i, one in enumerate(given):
        at = f"{place}[{i}]"
        read = block(at, one, _OF_USER)
        if not isinstance(read, Result):
            parts.append(_part(at, read))
        elif parts:
            raise refused(at, "a tool's result comes before what else the turn says")
        else:
            results.append(_result(at, read))
    if parts or not results:
        results.append({"role": "user", "content": parts})
    return results


def _result(place: str, given: Result) -> dict[str, Any]:
    content = _words(f"{place}.content", given.content or "")
    words = content if isinstance(content, str) else "\n".join(one["text"] for one in content)
    return {
        "role": "tool",
        "tool_call_id": given.tool_use_id,
        "content": FAILED + words if given.is_error else words,
    }


def _part(place: str, given: Text | Picture) -> dict[str, Any]:
    if isinstance(given, Text):
        return {"type": "text", "text": given.text}
    source = given.source
    if isinstance(source, Base64):
        url = f"data:{source.media_type};base64,{source.data}"
    elif source.url.startswith(("https:", "http:")):
        url = source.url
    else:
        raise refused(f"{place}.source.url", "has to be an http(s): address")
    return {"type": "image_url", "image_url": {"url": url}}


def _assistant(place: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for i, one in enumerate(given):
        at = f"{place}[{i}]"
        read = block(at, one, _OF_ASSISTANT)
        if isinstance(read, Text):
            parts.append(_part(at, read))
        else:
            written = {"name": read.name, "arguments": _encode(read.input).decode()}
            calls.append({"id": read.id, "type": "function", "function": written})
    if calls:
        return {"role": "assistant", "content": parts or None, "tool_calls": calls}
    return {"role": "assistant", "content": parts}


def block(place: str, given: dict[str, Any], kind: Any) -> Any:
    """A block, or another mapping, as one of the types in `kind`.

    Raises: Refusal, for another type, a field that is wrong, or one that can't be honoured.
    """
    try:
        read = msgspec.convert(given, kind)
    except msgspec.ValidationError as exc:
        said, _, inside = str(exc).partition(" - at `$")
        at = place + inside.strip("`")
        raise refuse(400, f"{at}: {said}", "invalid_value", param=at) from exc
    neutral(read, NEUTRAL, f"{place}.")
    return read


def refused(field: str, why: str) -> Refusal:
    """A refusal of what is well formed, but can't be honoured."""
    return refuse(400, f"{field}: {why}", "unsupported_value", param=field)
