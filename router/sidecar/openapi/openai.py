"""OpenAI's endpoints in the OpenAPI document: chat completions, completions, models."""

from __future__ import annotations

from .parts import (
    COUNT,
    DOOR,
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
    in_path,
    many,
    maybe,
    only,
    ref,
    same,
    thing,
    word,
)
from .shared import ASKING, OUTCOME, STREAM

MOST = 2**63 - 1
_STOP = either(
    described({**TEXT, "minLength": 1}, "ends the answer"), many({**TEXT, "minLength": 1})
)
_OPTIONS: dict[str, Json] = {
    "model": described(TEXT, "`auto`, a policy, a target, or an alias; left out: `auto`"),
    "stream": maybe(FLAG),
    "stream_options": maybe(ref("StreamOptions")),
    "max_tokens": maybe(between("integer", 1, MOST)),
    "temperature": maybe(between("number", 0)),
    "seed": maybe(between("integer", -MOST, MOST)),
    "stop": maybe(_STOP),
    "user": maybe(TEXT),
    "n": maybe(between("integer", 1, 8)),
}
_CHAT: dict[str, Json] = {
    **_OPTIONS,
    "max_completion_tokens": maybe(between("integer", 1, MOST)),
    "tools": maybe(many(ref("Tool"))),
    "tool_choice": maybe(either(TEXT, {"type": "object"})),
    "response_format": maybe(ref("ResponseFormat")),
    "metadata": maybe({"type": "object", "additionalProperties": TEXT}),
    "top_p": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    "frequency_penalty": maybe(between("number", -2, 2)),
    "presence_penalty": maybe(between("number", -2, 2)),
    "logit_bias": maybe({"type": "object", "additionalProperties": between("number", -100, 100)}),
    "logprobs": maybe(FLAG),
    "top_logprobs": maybe(between("integer", 0, 20)),
    "parallel_tool_calls": maybe(FLAG),
    "store": same(False),
    "service_tier": same("auto", "default"),
    "modalities": same(["text"]),
    "reasoning_effort": same("none", "medium"),
    "verbosity": same("medium"),
    "prompt_cache_key": described(maybe(TEXT), "a hint that changes no answer; goes no further"),
}
_TEXT: dict[str, Json] = {
    **_OPTIONS,
    "best_of": same(1),
    "echo": same(False),
    "suffix": same(""),
    "logprobs": maybe(between("integer", 0, 20)),
    "top_p": same(1),
    "frequency_penalty": same(0),
    "presence_penalty": same(0),
    "logit_bias": same({}),
}
_FUNCTION = thing({"name": TEXT, "arguments": TEXT})
_CALL = thing({"id": TEXT, "function": _FUNCTION}, {"type": {"const": "function"}})
_TURN: Json = {
    "type": "object",
    "properties": {
        "role": word("system", "developer", "user", "assistant", "tool"),
        "content": either(TEXT, many(ref("ContentPart")), NOTHING),
        "tool_calls": maybe(many(_CALL)),
        "tool_call_id": maybe(TEXT),
        "name": described(maybe(TEXT), "of a tool's result only"),
        "images": same([]),
    },
    "required": ["role"],
    # What an answer says of what it has not comes back as it is.
    "additionalProperties": {"enum": [None, []]},
}
_PART = either(
    thing({"type": {"const": "text"}, "text": TEXT}),
    thing(
        {
            "type": {"const": "image_url"},
            "image_url": either(
                TEXT, thing({"url": TEXT}, {"detail": described(same("auto"), "no other")})
            ),
        }
    ),
)
_USAGE = thing(
    {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
    {
        "prompt_tokens_details": thing({"cached_tokens": COUNT}),
        "completion_tokens_details": thing({"reasoning_tokens": COUNT}),
    },
)
_FINISH = word("stop", "length", "tool_calls", "content_filter")
_ANSWER: dict[str, Json] = {"id": TEXT, "created": COUNT, "model": TEXT, "router": ref("Router")}
_MESSAGE = thing(
    {"role": {"const": "assistant"}, "content": maybe(TEXT), "refusal": maybe(TEXT)},
    {"tool_calls": many(_CALL)},
)
_CHOICE: dict[str, Json] = {
    "index": COUNT,
    "finish_reason": _FINISH,
    "logprobs": either(NOTHING, {"type": "object"}),
}

SCHEMAS: dict[str, Json] = {
    "ChatRequest": only({"messages": many(ref("ChatMessage"))}, _CHAT),
    "ChatMessage": _TURN,
    "ContentPart": _PART,
    "StreamOptions": only({}, {"include_usage": maybe(FLAG), "include_obfuscation": same(False)}),
    "Tool": thing(
        {
            "type": {"const": "function"},
            "function": thing(
                {"name": TEXT},
                {
                    "description": maybe(TEXT),
                    "parameters": maybe({"type": "object"}),
                    "strict": described(maybe(FLAG), "no promise here"),
                },
            ),
        }
    ),
    "ResponseFormat": either(
        thing({"type": word("text", "json_object")}),
        thing(
            {
                "type": {"const": "json_schema"},
                "json_schema": thing({"schema": {"type": "object"}}),
            }
        ),
    ),
    "ChatCompletion": thing(
        {
            **_ANSWER,
            "object": {"const": "chat.completion"},
            "choices": many(thing({**_CHOICE, "message": _MESSAGE})),
        },
        {"usage": described(_USAGE, "left out where the target did not count")},
    ),
    "TextRequest": only(
        {"prompt": either(TEXT, {**many(TEXT), "maxItems": 1, "minItems": 1})}, _TEXT
    ),
    "TextCompletion": thing(
        {
            **_ANSWER,
            "object": {"const": "text_completion"},
            "choices": many(thing({**_CHOICE, "text": TEXT})),
        },
        {"usage": _USAGE},
    ),
    "Model": thing(
        {
            "id": TEXT,
            "object": {"const": "model"},
            "created": COUNT,
            "owned_by": TEXT,
        }
    ),
    "ModelList": thing({"object": {"const": "list"}, "data": many(ref("Model"))}),
    "Error": thing(
        {
            "error": thing(
                {"message": TEXT, "type": TEXT, "param": maybe(TEXT), "code": maybe(TEXT)}
            )
        },
        {"router": ref("Router")},
    ),
}


def work(name: str, said: str, request: str, response: str) -> Json:
    """A path that asks targets and answers whole or as events."""
    done = answer("The answer, whole or as events.", ref(response), OUTCOME)
    done["content"]["text/event-stream"] = STREAM
    return {
        "post": {
            "operationId": name,
            "summary": said,
            "tags": ["OpenAI"],
            "parameters": ASKING,
            "requestBody": body(ref(request)),
            "responses": {"200": done, **errors(ref("Error"), *WORK)},
        }
    }


def model_paths(listed: Json, one: Json, error: Json, version: Json) -> dict[str, Json]:
    """The list of models and one of them; both dialects have these paths."""
    name = in_path("model", "one of the names in the list", {**TEXT, "minLength": 1})
    return {
        "/v1/models": {
            "get": {
                "operationId": "listModels",
                "summary": "Every name that `model` may have; in Anthropic's shape by its header",
                "tags": ["OpenAI", "Anthropic"],
                "parameters": [version],
                "responses": {"200": answer("The list.", listed), **errors(error, *DOOR, 429)},
            }
        },
        "/v1/models/{model}": {
            "get": {
                "operationId": "getModel",
                "summary": "One of them",
                "tags": ["OpenAI", "Anthropic"],
                "parameters": [name, version],
                "responses": {"200": answer("It.", one), **errors(error, *DOOR, 404, 429)},
            }
        },
    }


PATHS: dict[str, Json] = {
    "/v1/chat/completions": work(
        "createChatCompletion", "An answer to a conversation", "ChatRequest", "ChatCompletion"
    ),
    "/v1/completions": work(
        "createCompletion", "The older form: one prompt", "TextRequest", "TextCompletion"
    ),
}
