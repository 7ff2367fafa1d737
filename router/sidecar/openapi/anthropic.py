"""Anthropic's endpoints in the OpenAPI document: messages and their tokens."""

from __future__ import annotations

from .parts import (
    COUNT,
    FLAG,
    NOTHING,
    TEXT,
    WORK,
    Json,
    answer,
    between,
    body,
    described,
    either,
    errors,
    header,
    many,
    maybe,
    only,
    ref,
    same,
    thing,
    word,
)
from .shared import ASKING, OUTCOME, STREAM

_OTHER = {503: 529}
VERSION: Json = header(
    "anthropic-version",
    "the dialect's version",
    {"type": "string", "enum": ["2023-06-01", "2026-10-21"]},
)
_KEY: Json = header("x-api-key", "an API key, where the server asks for keys")

_KEEP = maybe(ref("CacheControl"))
_WORDS = only(
    {"type": {"const": "text"}, "text": TEXT}, {"cache_control": _KEEP, "citations": same([])}
)
_SOURCE = either(
    only(
        {
            "type": {"const": "base64"},
            "media_type": word("image/jpeg", "image/png", "image/gif", "image/webp"),
            "data": TEXT,
        }
    ),
    only({"type": {"const": "url"}, "url": {"type": "string", "pattern": "^https?:"}}),
)
_PICTURE = only(
    {"type": {"const": "image"}, "source": _SOURCE},
    {"cache_control": _KEEP, "transformations": same({})},
)
_USE = only(
    {"type": {"const": "tool_use"}, "id": TEXT, "name": TEXT, "input": {"type": "object"}},
    {"cache_control": _KEEP, "caller": same({"type": "direct"}), "toolset_name": NOTHING},
)
_RESULT = only(
    {"type": {"const": "tool_result"}, "tool_use_id": TEXT},
    {
        "content": maybe(either(TEXT, many(ref("TextBlock")))),
        "is_error": maybe(FLAG),
        "cache_control": _KEEP,
        "toolset_name": NOTHING,
    },
)
_PARALLEL = {"disable_parallel_tool_use": maybe(FLAG)}
_CHOICE = either(
    *(only({"type": {"const": kind}}, _PARALLEL) for kind in ("auto", "any")),
    only({"type": {"const": "tool"}, "name": TEXT}, _PARALLEL),
    only({"type": {"const": "none"}}),
)


def _turn(role: str, *blocks: str) -> Json:
    content = either(TEXT, many(either(*map(ref, blocks))))
    return only({"role": {"const": role}, "content": content})


_TURNS = either(
    _turn("user", "TextBlock", "ImageBlock", "ToolResultBlock"),
    _turn("assistant", "TextBlock", "ToolUseBlock"),
    _turn("system", "TextBlock"),
)
_CONVERSATION: Json = {**many(_TURNS), "minItems": 1}
_COMMON: dict[str, Json] = {
    "model": described(TEXT, "`auto`, a policy, a target, or an alias; left out: `auto`"),
    "system": maybe(either(TEXT, many(ref("TextBlock")))),
    "tools": maybe(many(ref("MessageTool"))),
    "tool_choice": maybe(_CHOICE),
    "output_config": maybe(
        only(
            {},
            {
                "format": maybe(
                    only({"type": {"const": "json_schema"}, "schema": {"type": "object"}})
                ),
                "effort": NOTHING,
            },
        )
    ),
    "cache_control": _KEEP,
    "thinking": same({"type": "disabled"}),
    "speed": same("standard"),
}
_BODY: dict[str, Json] = {
    **_COMMON,
    "stream": maybe(FLAG),
    "stop_sequences": maybe(many({**TEXT, "minLength": 1})),
    "temperature": maybe(between("number", 0)),
    "top_p": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    "top_k": maybe(between("integer", 1, 2**63 - 1)),
    "metadata": maybe({"type": "object", "additionalProperties": maybe(TEXT)}),
    "service_tier": same("auto", "standard_only"),
    "container": NOTHING,
    "inference_geo": NOTHING,
    "diagnostics": NOTHING,
}
_SAID = either(
    thing({"type": {"const": "text"}, "text": TEXT}),
    thing({"type": {"const": "tool_use"}, "id": TEXT, "name": TEXT, "input": {"type": "object"}}),
)
_USAGE = thing(
    {
        "input_tokens": described(maybe(COUNT), "without those of a cache; null: not counted"),
        "output_tokens": maybe(COUNT),
        "cache_creation_input_tokens": maybe(COUNT),
        "cache_read_input_tokens": maybe(COUNT),
    },
    {"output_tokens_details": thing({"thinking_tokens": COUNT})},
)
_MODEL = thing(
    {
        "type": {"const": "model"},
        "id": TEXT,
        "display_name": TEXT,
        "created_at": TEXT,
        "lifecycle": {"const": "active"},
    }
)

SCHEMAS: dict[str, Json] = {
    "CacheControl": only({"type": {"const": "ephemeral"}}, {"ttl": same("5m", "1h")}),
    "TextBlock": _WORDS,
    "ImageBlock": _PICTURE,
    "ToolUseBlock": _USE,
    "ToolResultBlock": _RESULT,
    "MessageTool": only(
        {"name": TEXT, "input_schema": {"type": "object"}},
        {
            "type": same("custom"),
            "description": maybe(TEXT),
            "cache_control": _KEEP,
            "strict": described(maybe(FLAG), "no promise here"),
            "eager_input_streaming": same(False),
            "defer_loading": same(False),
            "allowed_callers": same(["direct"]),
            "input_examples": same([]),
        },
    ),
    "MessageRequest": only(
        {"messages": _CONVERSATION, "max_tokens": between("integer", 1, 2**63 - 1)}, _BODY
    ),
    "CountRequest": only({"messages": _CONVERSATION}, _COMMON),
    "Count": thing({"input_tokens": {"type": "integer", "minimum": 1}}),
    "Message": thing(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": TEXT,
            "content": many(_SAID),
            "stop_reason": word("end_turn", "max_tokens", "tool_use", "refusal"),
            "stop_sequence": NOTHING,
            "usage": _USAGE,
            "router": ref("Router"),
        }
    ),
    "MessageModel": _MODEL,
    "MessageModelList": thing(
        {
            "data": many(ref("MessageModel")),
            "has_more": FLAG,
            "first_id": maybe(TEXT),
            "last_id": maybe(TEXT),
        }
    ),
    "MessageError": thing(
        {
            "type": {"const": "error"},
            "error": thing(
                {
                    "type": word(
                        "invalid_request_error",
                        "authentication_error",
                        "billing_error",
                        "permission_error",
                        "not_found_error",
                        "rate_limit_error",
                        "timeout_error",
                        "api_error",
                        "overloaded_error",
                    ),
                    "message": TEXT,
                    "details": thing({"error_code": maybe(TEXT), "param": maybe(TEXT)}),
                }
            ),
            "request_id": TEXT,
        },
        {"router": ref("Router")},
    ),
}


def _post(name: str, said: str, request: str, done: Json, parameters: list[Json]) -> Json:
    done["headers"]["request-id"] = {"schema": TEXT}
    return {
        "post": {
            "operationId": name,
            "summary": said,
            "tags": ["Anthropic"],
            "parameters": [VERSION, _KEY, *parameters],
            "requestBody": body(ref(request)),
            "responses": {"200": done, **errors(ref("MessageError"), *WORK, other=_OTHER)},
        }
    }


def _answered() -> Json:
    done = answer("The answer, whole or as events.", ref("Message"), OUTCOME)
    done["content"]["text/event-stream"] = STREAM
    return done


PATHS: dict[str, Json] = {
    "/v1/messages": _post(
        "createMessage", "An answer to a conversation", "MessageRequest", _answered(), ASKING
    ),
    "/v1/messages/count_tokens": _post(
        "countTokens",
        "A prompt's tokens by the device's tokenizer, exact or not at all",
        "CountRequest",
        answer("The count.", ref("Count"), {"x-firsthop-counted-by": TEXT}),
        [],
    ),
}
