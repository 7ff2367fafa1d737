"""A caller's conversation and options, in OpenAI's shapes or ours, become one `Request`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypedDict, cast

from . import arguments
from .arguments import text, wrong
from .document import nearest
from .errors import ConfigError
from .quick import maker
from .types import ROLES, Image, Label, Message, Request, Role, Tool, ToolCall
from .wishes import WISHES, wishes

Conversation = str | Sequence[Message | Mapping[str, Any]]
"""A prompt, or the turns of a conversation, oldest first."""


class Options(TypedDict, total=False):
    """What a call may say beside its conversation. All of it may be left out.

    Attributes:
        policy: Name or path of a policy; this call only.
        label: How private the text is; guards act on it. None: as the policy's `default_label`.
        tenant: Whose request it is, where the app serves several.
        deadline_s: Seconds until an answer is worth nothing; tightens the policy's.
        cost_usd: Most dollars; tightens the policy's.
        tags: Own words for the ledger and the policy.
        target: Ask this target and no other. Guards still hold.
        max_output_tokens: Cap on the answer.
        temperature: None: the target's default; on the device greedy.
        seed: For targets that sample with one.
        top_p, top_k, min_p: Cut what is drawn from; see `Request`.
        frequency_penalty, presence_penalty: -2 to 2, OpenAI's definition.
        logit_bias: Token id to a number from -100 to 100. Ids are one model's own, so it goes with
            `target`.
        logprobs: Whether `Answer.logprobs` is wanted.
        top_logprobs: How many likeliest tokens in each place, 0 to 20; implies `logprobs`.
        n: 1, or nothing: a request has one answer.
        stop: String, or strings, that end the answer.
        tools: What the model may ask to be called: `Tool`, or OpenAI's shape.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, a tool's name, or OpenAI's shape.
        parallel_tool_calls: False: one tool may be called at a time.
        regex: The answer has to match this regular expression. Of the device only.
        grammar: The answer has to be of this Lark grammar. Of the device only.
        response_format: ``"json"`` for a JSON object, or a JSON Schema, or OpenAI's shape.
    """

    policy: str | None
    label: Label | None
    tenant: str
    deadline_s: float | None
    cost_usd: Decimal | str | None
    tags: Mapping[str, str] | None
    target: str | None
    max_output_tokens: int | None
    temperature: float | None
    seed: int | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: Mapping[int | str, float] | None
    logprobs: bool | None
    top_logprobs: int | None
    n: int | None
    stop: str | Sequence[str]
    tools: Sequence[Tool | Mapping[str, Any]]
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    regex: str | None
    grammar: str | None
    response_format: Literal["json"] | Mapping[str, Any] | None


def request(
    conversation: Conversation, options: Options, targets: Collection[str], *, whole: bool = False
) -> Request:
    """The request that a call makes. Raises ConfigError that names the argument."""
    if not options:
        return Request(messages=messages(conversation), whole=whole)
    if not _OPTIONS.issuperset(options):
        unknown = next(name for name in options if name not in _OPTIONS)
        raise TypeError(
            f"unknown argument {unknown!r}: {nearest(unknown, Options.__annotations__)}"
        )
    wants_json, schema = _response_format(options.get("response_format"))
    tools = checked_tools(options.get("tools", _NO_TOOLS))
    said: dict[str, Any] = {"messages": messages(conversation)}
    for name, check in _OF_TOKENS:
        if name in options:
            said[name] = check(options[name])  # type: ignore[literal-required]
    if not WISHES.isdisjoint(options):
        said.update(wishes(options, tools, shaped=wants_json))
    for name, check in _OF_CALLER:
        if name in options:
            said[name] = check(options[name])  # type: ignore[literal-required]
    if "target" in options:
        said["target"] = arguments.one_of("target", options["target"], targets)
    return _request(**said, tools=tools, json=wants_json, json_schema=schema, whole=whole)


_request = maker(Request)
_OPTIONS = frozenset(Options.__annotations__)
# How each option is checked, in the order in which they are: the first wrong one is told.
_OF_TOKENS: tuple[tuple[str, Callable[[Any], object]], ...] = (
    ("max_output_tokens", partial(arguments.whole, "max_output_tokens", least=1)),
    ("temperature", partial(arguments.number, "temperature")),
    ("seed", partial(arguments.whole, "seed")),
    ("stop", arguments.stops),
)
_OF_CALLER: tuple[tuple[str, Callable[[Any], object]], ...] = (
    ("label", lambda given: None if given is None else arguments.label(given)),
    ("tenant", partial(text, "tenant")),
    ("tags", arguments.tags),
    ("deadline_s", partial(arguments.number, "deadline_s", zero=False)),
    ("cost_usd", partial(arguments.dollars, "cost_usd")),
)


def messages(conversation: Conversation) -> tuple[Message, ...]:
    """A prompt or a list of turns as messages; names the turn that is wrong."""
    if isinstance(conversation, str):
        conversation = [Message(role="user", content=conversation)]
    if type(conversation) is not list and (
        isinstance(conversation, bytes | Mapping) or not isinstance(conversation, Iterable)
    ):
        raise wrong("messages", "has to be text or a list of messages", conversation)
    found: list[Message] = []
    for number, turn in enumerate(conversation):
        # Most turns are a role and text, with nothing in them that could be wrong.
        if type(turn) is dict and len(turn) == 2:
            role, content = turn.get("role"), turn.get("content")
            if type(role) is str and type(content) is str and content.isascii():
                speaker = _SPEAKERS.get(role)
                if speaker is not None:
                    found.append(_turn(role=speaker, content=content))
                    continue
        found.append(_message(number, turn))
    for message in found:
        if message.images or (message.content and not message.content.isspace()):
            return tuple(found)
    raise ConfigError("nothing was asked", field="messages")


_turn = maker(Message)


def _message(number: int, turn: object) -> Message:
    field = f"messages[{number}]"
    if isinstance(turn, Message):
        turn = {name: getattr(turn, name) for name in _TURN}
    if not isinstance(turn, Mapping):
        raise wrong(field, "has to be a Message, or a mapping with role and content", turn)
    unknown = [key for key in turn if key not in (*_TURN, "name")]
    if unknown:
        hint = nearest(str(unknown[0]), _TURN)
        raise ConfigError(f"unknown field {unknown[0]!r}", field=field, hint=hint)
    role = turn.get("role")
    if role not in ROLES:
        raise ConfigError(
            f"unknown role {role!r}", field=f"{field}.role", hint=nearest(str(role), ROLES)
        )
    calls = _calls(f"{field}.tool_calls", turn.get("tool_calls") or ())
    content, images = _content(f"{field}.content", turn.get("content"), empty=bool(calls))
    call_id = turn.get("tool_call_id")
    if role == "tool" and not call_id:
        raise ConfigError("a tool's result names its call", field=f"{field}.tool_call_id")
    return Message(
        role=cast(Role, role),
        content=content,
        images=images + _images(f"{field}.images", turn.get("images") or ()),
        tool_calls=calls,
        tool_call_id=None if call_id is None else text(f"{field}.tool_call_id", call_id),
    )


_SPEAKERS: Mapping[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_TURN = ("role", "content", "images", "tool_calls", "tool_call_id")


def _content(field: str, given: object, *, empty: bool) -> tuple[str, tuple[Image, ...]]:
    """Text, or OpenAI's list of parts."""
    if given is None and empty:  # OpenAI's shape of an answer that only calls tools
        return "", ()
    if not isinstance(given, list | tuple):
        return text(field, given), ()
    words: list[str] = []
    images: list[Image] = []
    for i, part in enumerate(given):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            words.append(text(f"{field}[{i}].text", part.get("text")))
        elif kind == "image_url":
            images.append(_image(f"{field}[{i}].image_url", part.get("image_url")))
        else:
            hint = nearest(str(kind), ("text", "image_url"))
            raise ConfigError(f"unknown part {kind!r}", field=f"{field}[{i}].type", hint=hint)
    return "\n".join(words), tuple(images)


def _images(field: str, given: object) -> tuple[Image, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, Image) for one in given):
        raise wrong(field, "has to be a list of Image", given)
    return tuple(given)


def _image(field: str, given: object) -> Image:
    url = given.get("url") if isinstance(given, Mapping) else given
    url = text(field, url)
    if not url.startswith(("https:", "http:", "data:image/")):
        raise ConfigError("has to be an http(s): or data:image/ address", field=field)
    # A still format has one frame; the others may be animations of any length.
    still = url.lower().startswith(("data:image/jpeg", "data:image/jpg", "data:image/png"))
    return Image(url=url, frames=1 if still else None)


def _calls(field: str, given: object) -> tuple[ToolCall, ...]:
    if not isinstance(given, list | tuple):
        raise wrong(field, "has to be a list of calls", given)
    return tuple(_call(f"{field}[{i}]", call) for i, call in enumerate(given))


def _call(field: str, given: object) -> ToolCall:
    if isinstance(given, ToolCall):
        spoken = {"name": given.name, "arguments": given.arguments}
        given = {"id": given.id, "function": spoken}
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(function, Mapping):
        raise wrong(field, "has to be a ToolCall, or a mapping with id and function", given)
    return ToolCall(
        id=text(f"{field}.id", given.get("id")),
        name=text(f"{field}.function.name", function.get("name")),
        arguments=text(f"{field}.function.arguments", function.get("arguments")),
    )


class CheckedTools(tuple[Tool, ...]):
    """Tools that were held to type and form already. They are not looked at again."""

    __slots__ = ()


_NO_TOOLS = CheckedTools()


def checked_tools(given: object) -> CheckedTools:
    """Tools in our shape or OpenAI's. Raises ConfigError that names the one that is wrong."""
    if type(given) is CheckedTools:
        return given
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise wrong("tools", "has to be a list of tools", given)
    found = CheckedTools([_tool(f"tools[{i}]", tool) for i, tool in enumerate(given)])
    names = [tool.name for tool in found]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigError(f"two tools are called {name!r}", field=f"tools[{i}]")
    return found


def _tool(field: str, given: object) -> Tool:
    if isinstance(given, Tool):
        given = {name: getattr(given, name) for name in ("name", "description", "parameters")}
    function = given.get("function", given) if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping):
        raise wrong(field, "has to be a Tool, or a mapping with name and parameters", given)
    parameters = function.get("parameters")
    if parameters is not None:
        _plain_json(f"{field}.parameters", parameters)
    return Tool(
        name=text(f"{field}.name", function.get("name")),
        description=text(f"{field}.description", function.get("description") or ""),
        parameters=parameters,
    )


def _response_format(given: object) -> tuple[bool, Mapping[str, Any] | None]:
    """Whether JSON is asked for, and its schema."""
    field = "response_format"
    if given is None:
        return False, None
    if given == "json":
        return True, None
    if not isinstance(given, Mapping):
        raise wrong(field, 'has to be "json" or a JSON Schema', given)
    kind = given.get("type")
    if kind == "text":
        return False, None
    if kind == "json_object":
        return True, None
    if kind == "json_schema" and isinstance(given.get("json_schema"), Mapping):
        given = given["json_schema"].get("schema")
        field = "response_format.json_schema.schema"
    _plain_json(field, given)
    return True, cast(Mapping[str, Any], given)


_DEEPEST = 200
_strict = json.JSONEncoder(allow_nan=False).encode


def _plain_json(field: str, given: object) -> None:
    if not isinstance(given, Mapping):
        raise wrong(field, "has to be a JSON Schema", given)
    if _is_deep(given):
        raise ConfigError(f"is nested more than {_DEEPEST} deep", field=field)
    try:
        _strict(given)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(f"is no JSON: {exc}", field=field) from exc


def _is_deep(value: object) -> bool:
    """Whether it is nested deeper than what reads it later may have stack for."""
    level = [value]
    for _ in range(_DEEPEST):
        # Each once: what holds itself would never end.
        held = {id(one): one for one in level if isinstance(one, dict | list | tuple)}.values()
        level = [
            inner for one in held for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
