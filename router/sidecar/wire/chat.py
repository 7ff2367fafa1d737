"""OpenAI's chat completions, coming in: a body's bytes become a conversation and options.

Every field is passed on, or its value may only be the one that changes nothing, or it is refused
by name. Nothing is dropped in silence. What the values mean is `asking`'s to say, so that a caller
over HTTP and one in Python get the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, cast

import msgspec

from ...asking import CheckedTools, Options
from ...quick import quick
from . import known_tools
from .failure import Refusal, refuse

_SAMPLING: Mapping[str, tuple[Any, ...]] = {
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "tool_choice": ("auto",),
    "parallel_tool_calls": (True,),
}
_HONOURED = frozenset(_SAMPLING) & frozenset(Options.__annotations__)
PASSED = (
    *("temperature", "seed", "stop", "tools", "response_format", "logprobs", "top_logprobs"),
    *sorted(_HONOURED),
)
"""Fields that are options of `asking` by the same name."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "store": (False,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
    "reasoning_effort": ("none", "medium"),
    "verbosity": ("medium",),
    **{name: values for name, values in _SAMPLING.items() if name not in _HONOURED},
}
"""Fields that have no option: the values, beside null, that change nothing. Others are refused.

Of efforts and verbosity that is what models have when they are told none.
"""

MOST_CHOICES = 8
"""Most choices of one request: each goes down the street by itself."""


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """How a stream is wanted."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a chat completion.

    `prompt_cache_key` is a hint that changes no answer: it is taken, and goes no further.
    """

    messages: list[dict[str, Any]]
    model: str = "auto"
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    n: Any = None
    top_p: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    logit_bias: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    parallel_tool_calls: Any = None
    store: Any = None
    service_tier: Any = None
    modalities: Any = None
    reasoning_effort: Any = None
    verbosity: Any = None
    prompt_cache_key: str | None = None
    tool_choice: Any = None


@quick
@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its body says it.

    Attributes:
        model: As it was written.
        messages: In the shape that `asking.messages` takes.
        options: What the body says of the answer.
        metadata: For `caller`.
        streamed: Whether the answer comes piece by piece.
        n: How many choices the answer has.
        usage: Whether a stream ends with its token counts.
        places: How a part of the request is called here, by its name in `asking`; one that is
            called the same has none. The longer ones come first.
        echo: What the answer says back of it.
    """

    model: str
    messages: list[dict[str, Any]]
    options: Options
    metadata: dict[str, str] | None
    streamed: bool
    usage: bool
    n: int = 1
    places: Mapping[str, str] = field(default_factory=dict)
    echo: Mapping[str, Any] = field(default_factory=dict)

    def place(self, name: str | None) -> str | None:
        """A field as this body calls it, by what `asking` calls it."""
        if name is None:
            return None
        for ours, theirs in self.places.items():
            if name == ours or name.startswith((f"{ours}.", f"{ours}[")):
                return theirs + name[len(ours) :]
        return name


class _Quick(Body):
    """The same with its tools as they were written, for they may be known by that."""

    tools: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]


_decoder = msgspec.json.Decoder(Body)
_quick = msgspec.json.Decoder(_Quick)
_OFTEN = ("temperature", "seed", "stop", "response_format")
_SELDOM = tuple(sorted({*NEUTRAL, *PASSED} - {*_OFTEN, "tools"}))
_seldom = attrgetter(*_SELDOM)
_NONE_OF_THEM = (None,) * len(_SELDOM)


def _decoded(raw: bytes) -> tuple[Body, bytes, CheckedTools | None]:
    """A body, its tools as they were written, and what they are if they were sent before.

    Raises: Refusal.
    """
    try:
        body = _quick.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decoded(_decoder, raw), b"", None  # which says what is wrong
    written = bytes(body.tools)
    known = known_tools.get(written) if written else None
    if written and known is None:
        return decoded(_decoder, raw), written, None
    body.tools = None  # type: ignore[assignment]
    return body, written, known


def decoded(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    """A body read by its type. Raises: Refusal that says where it is wrong."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        said, _, place = str(exc).partition(" - at `$")
        param = place.strip("`.") or None
        if "unknown field" in said:
            param = said.rpartition("unknown field `")[2].strip("`")
            said = "this server can't honour it, so it does not take it"
        raise refuse(
            400, f"{param}: {said}" if param else said, "invalid_value", param=param
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise refuse(400, f"the body is no JSON that can be read: {exc}", "invalid_json") from exc


def read(raw: bytes) -> Asked:
    """A request. Raises: Refusal, for what is no such body, or asks what can't be honoured."""
    body, written, tools = _decoded(raw)
    named: tuple[str, ...] = _OFTEN
    if _seldom(body) != _NONE_OF_THEM:
        if body.tool_choice == "none":
            body.tools = body.tool_choice = tools = None
        neutral(body, NEUTRAL)
        if body.logprobs in (None, False) and body.top_logprobs == 0:
            body.top_logprobs = None  # none of none, as some clients always say
        named = PASSED
    options: dict[str, Any] = {}
    for name in named:
        value = getattr(body, name)
        if value is not None:
            options[name] = value
    cap = body.max_completion_tokens if body.max_tokens is None else body.max_tokens
    if body.max_completion_tokens not in (None, cap):
        raise _refused("max_tokens", "says something else than max_completion_tokens")
    if cap is not None:
        options["max_output_tokens"] = cap
    if body.tools:
        _held("tools", body.tools, ("function",))
        options["tools"] = known_tools.keep(written, body.tools)
    elif tools is not None:
        options["tools"] = tools
    if body.response_format is not None:
        form = body.response_format
        _held("response_format", [form], ("text", "json_object", "json_schema"))
        if form["type"] == "json_schema" and not isinstance(form.get("json_schema"), dict):
            raise _refused("response_format.json_schema", "has to be there, with a schema")
    if body.user is not None:
        options["tags"] = {"user": body.user}
    wanted = body.stream_options
    if wanted is not None and wanted.include_obfuscation:
        raise _refused("stream_options.include_obfuscation", "can't be honoured")
    messages = body.messages
    for number, turn in enumerate(messages):
        # Most are a role and text, and stay as they are.
        if (
            len(turn) != 2
            or type(turn.get("content")) is not str
            or turn.get("role") == "developer"
        ):
            messages[number] = _turn(number, turn)
    return Asked(
        model=body.model,
        messages=messages,
        options=cast(Options, options),
        metadata=body.metadata,
        streamed=bool(body.stream),
        usage=wanted is not None and bool(wanted.include_usage),
        n=choices(body.n),
    )


def choices(given: Any) -> int:
    """How many choices `n` asks for. Raises: Refusal."""
    if given is None:
        return 1
    if isinstance(given, bool) or given not in range(1, MOST_CHOICES + 1):
        raise _refused("n", f"has to be a whole number from 1 to {MOST_CHOICES}")
    return int(given)


def neutral(body: msgspec.Struct, table: Mapping[str, tuple[Any, ...]], place: str = "") -> None:
    """Hold fields that can't be honoured to the values that change nothing. Raises: Refusal.

    Args:
        table: Values beside null, by the field; `body` need not have them all.
        place: What stands before a field's name in the whole body.
    """
    for name, values in table.items():
        given = getattr(body, name, None)
        if given is not None and not any(_same(given, value) for value in values):
            only = " or ".join(msgspec.json.encode(value).decode() for value in values)
            more = f", or say {only}" if only else ""
            raise _refused(f"{place}{name}", f"can't be honoured here; leave it out{more}")


def _same(given: Any, value: Any) -> bool:
    """Whether JSON would say so: in Python True is 1, and False is 0."""
    return bool(given == value) and isinstance(given, bool) == isinstance(value, bool)


def _held(field: str, given: list[dict[str, Any]], kinds: tuple[str, ...]) -> None:
    for i, one in enumerate(given):
        if one.get("type") not in kinds:
            at = f"{field}[{i}].type" if field == "tools" else f"{field}.type"
            raise _refused(at, f"has to be {' or '.join(kinds)}")


def _refused(field: str, why: str) -> Refusal:
    return refuse(400, f"{field}: {why}", "unsupported_value", param=field)


def _turn(number: int, turn: dict[str, Any]) -> dict[str, Any]:
    """A turn without what says nothing: nulls and empty lists, as clients send answers back."""
    role = turn.get("role")
    kept = {name: value for name, value in turn.items() if value not in (None, [])}
    if role == "developer":
        kept["role"] = "system"  # OpenAI's newer word for it
    if "name" in kept:
        if role != "tool":  # a tool's result is named by its call already
            raise _refused(f"messages[{number}].name", "can't be honoured here")
        del kept["name"]
    content = kept.get("content")
    for at, part in enumerate(content) if isinstance(content, list) else ():
        picture = part.get("image_url") if isinstance(part, dict) else None
        if isinstance(picture, dict) and picture.get("detail") not in (None, "auto"):
            raise _refused(
                f"messages[{number}].content[{at}].image_url.detail", "can't be honoured here"
            )
    if "content" not in kept and "tool_calls" not in kept:
        kept["content"] = turn.get("content", "") if role == "assistant" else turn.get("content")
    return kept
