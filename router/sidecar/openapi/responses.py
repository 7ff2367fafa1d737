"""OpenAI's Responses and embeddings in the OpenAPI document."""

from __future__ import annotations

from .openai import MOST, work
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
    many,
    maybe,
    only,
    ref,
    same,
    thing,
    word,
)
from .shared import ASKING, OUTCOME

_REQUEST: dict[str, Json] = {
    "model": described(TEXT, "`auto`, a policy, a target, or an alias; left out: `auto`"),
    "instructions": described(maybe(TEXT), "comes first, as a system message"),
    "stream": maybe(FLAG),
    "stream_options": maybe(ref("ResponseStreamOptions")),
    "max_output_tokens": maybe(between("integer", 1, MOST)),
    "temperature": maybe(between("number", 0)),
    "top_p": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    "top_logprobs": maybe(between("integer", 0, 20)),
    "include": maybe(many(word("message.output_text.logprobs", "reasoning.encrypted_content"))),
    "tools": maybe(many(ref("ResponseTool"))),
    "tool_choice": maybe(either(TEXT, {"type": "object"})),
    "text": maybe(ref("ResponseText")),
    "metadata": maybe({"type": "object", "additionalProperties": TEXT}),
    "user": maybe(TEXT),
    "reasoning": maybe(
        {
            "type": "object",
            "properties": {
                "effort": same("none", "medium"),
                "generate_summary": same("auto"),
                "summary": same("auto"),
            },
            "additionalProperties": NOTHING,
        }
    ),
    "previous_response_id": described(NOTHING, "nothing is stored"),
    "background": same(False),
    "context_management": same([]),
    "conversation": NOTHING,
    "max_tool_calls": NOTHING,
    "moderation": NOTHING,
    "parallel_tool_calls": maybe(FLAG),
    "prompt": NOTHING,
    "prompt_cache_key": described(maybe(TEXT), "a hint that changes no answer; goes no further"),
    "service_tier": same("auto", "default"),
    "store": same(False),
    "truncation": same("disabled"),
}
_STATES = word("in_progress", "completed", "incomplete")
_OF_AN_ITEM: dict[str, Json] = {"id": maybe(TEXT), "status": maybe(_STATES)}
_PART = either(
    only({"type": word("input_text", "output_text"), "text": TEXT}),
    only({"type": {"const": "refusal"}, "refusal": TEXT}),
    only(
        {"type": {"const": "input_image"}, "image_url": TEXT},
        {"detail": described(same("auto"), "no other")},
    ),
)
_ITEM = either(
    only(
        {"role": word("system", "developer", "user", "assistant")},
        {
            "content": either(TEXT, many(ref("ResponsePart"))),
            "type": {"const": "message"},
            **_OF_AN_ITEM,
        },
    ),
    only(
        {"type": {"const": "function_call"}, "call_id": TEXT, "name": TEXT, "arguments": TEXT},
        _OF_AN_ITEM,
    ),
    only(
        {
            "type": {"const": "function_call_output"},
            "call_id": TEXT,
            "output": either(TEXT, many(ref("ResponsePart"))),
        },
        {"name": maybe(TEXT), **_OF_AN_ITEM},
    ),
)
_OUTPUT_TEXT = thing(
    {
        "type": {"const": "output_text"},
        "text": TEXT,
        "annotations": many({"type": "object"}),
        "logprobs": many({"type": "object"}),
    }
)
_OUTPUT = either(
    thing(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "status": _STATES,
            "content": many(_OUTPUT_TEXT),
        }
    ),
    thing(
        {
            "id": TEXT,
            "type": {"const": "function_call"},
            "call_id": TEXT,
            "name": TEXT,
            "arguments": TEXT,
            "status": _STATES,
        }
    ),
)
_USAGE = thing(
    {
        "input_tokens": COUNT,
        "input_tokens_details": thing({"cached_tokens": COUNT, "cache_write_tokens": COUNT}),
        "output_tokens": COUNT,
        "output_tokens_details": thing({"reasoning_tokens": COUNT}),
        "total_tokens": COUNT,
    }
)

SCHEMAS: dict[str, Json] = {
    "ResponseRequest": only(
        {"input": either({**TEXT, "minLength": 1}, {**many(ref("ResponseItem")), "minItems": 1})},
        _REQUEST,
    ),
    "ResponseItem": _ITEM,
    "ResponsePart": _PART,
    "ResponseStreamOptions": only({}, {"include_obfuscation": same(False)}),
    "ResponseTool": only(
        {"type": {"const": "function"}, "name": TEXT},
        {
            "description": maybe(TEXT),
            "parameters": maybe({"type": "object"}),
            "strict": described(maybe(FLAG), "no promise here"),
        },
    ),
    "ResponseText": only(
        {}, {"format": maybe(ref("ResponseTextFormat")), "verbosity": same("medium")}
    ),
    "ResponseTextFormat": either(
        only({"type": word("text", "json_object")}),
        only(
            {"type": {"const": "json_schema"}, "name": TEXT, "schema": {"type": "object"}},
            {"strict": described(maybe(FLAG), "no promise here")},
        ),
    ),
    "Response": thing(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": COUNT,
            "model": TEXT,
            "status": word("completed", "incomplete", "failed"),
            "output": many(_OUTPUT),
            "error": maybe({"type": "object"}),
            "incomplete_details": maybe(
                thing({"reason": word("max_output_tokens", "content_filter")})
            ),
            "usage": described(maybe(_USAGE), "null where the target did not count"),
            "router": {
                "allOf": [
                    ref("Router"),
                    thing({"uncounted": described(many(TEXT), "zeros that nobody counted")}),
                ]
            },
        }
    ),
    "EmbeddingsRequest": only(
        {
            "input": either(
                {**TEXT, "minLength": 1}, {**many({**TEXT, "minLength": 1}), "minItems": 1}
            )
        },
        {
            "model": described(TEXT, "that model's name, a target, a policy, or `auto`"),
            "encoding_format": maybe(word("float", "base64")),
            "dimensions": maybe({"type": "integer"}),
            "user": maybe(TEXT),
        },
    ),
    "Embeddings": described(
        thing({"data": many({"type": "object"})}), "as the target sent it, byte for byte"
    ),
}

PATHS: dict[str, Json] = {
    "/v1/responses": work(
        "createResponse",
        "The newer form: items in, items out; nothing is stored",
        "ResponseRequest",
        "Response",
    ),
    "/v1/embeddings": {
        "post": {
            "operationId": "createEmbeddings",
            "summary": "Passed to a target that has them",
            "tags": ["OpenAI"],
            "parameters": ASKING,
            "requestBody": body(ref("EmbeddingsRequest")),
            "responses": {
                "200": answer("The embeddings.", ref("Embeddings"), OUTCOME),
                **errors(ref("Error"), *WORK),
            },
        }
    },
}
