"""The OpenAPI document against the code that it speaks of."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import msgspec
import pytest

from router.sidecar import app, docs
from router.sidecar.openapi.document import document
from router.sidecar.openapi.parts import WHY, WORK
from router.sidecar.wire import blocks, caller, chat, embeddings, messages, responses, text
from router.sidecar.wire.failure import _LIMITS

DOCUMENT = document("1")
SCHEMAS = DOCUMENT["components"]["schemas"]
BODIES = [
    ("ChatRequest", chat.Body),
    ("StreamOptions", chat.StreamOptions),
    ("TextRequest", text.Body),
    ("ResponseRequest", responses.Body),
    ("ResponseText", responses.Text),
    ("ResponseStreamOptions", responses.StreamOptions),
    ("EmbeddingsRequest", embeddings.Body),
    ("MessageRequest", messages.Body),
    ("CountRequest", messages.Counted),
    ("MessageTool", messages.Tool),
    ("CacheControl", blocks.Cache),
    ("TextBlock", blocks.Text),
    ("ImageBlock", blocks.Picture),
    ("ToolUseBlock", blocks.Use),
    ("ToolResultBlock", blocks.Result),
]


def everything(value: Any) -> list[dict[str, Any]]:
    """Every mapping in the document."""
    found: list[dict[str, Any]] = []
    if isinstance(value, dict):
        found.append(value)
        for inside in value.values():
            found += everything(inside)
    elif isinstance(value, list):
        for inside in value:
            found += everything(inside)
    return found


@pytest.mark.parametrize(("name", "kind"), BODIES, ids=[name for name, _ in BODIES])
def test_a_body_has_the_fields_that_its_reader_takes(name: str, kind: Any) -> None:
    read = {kind.__struct_config__.tag_field} - {None} | set(kind.__struct_encode_fields__)
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    schema = SCHEMAS[name]

    assert set(schema["properties"]) == read
    assert set(schema["required"]) == required | {kind.__struct_config__.tag_field} - {None}
    assert schema["additionalProperties"] is False


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    led = {part["$ref"].rpartition("/")[2] for part in everything(DOCUMENT) if "$ref" in part}
    assert led == set(SCHEMAS)
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_path_of_the_door_is_there_and_no_other() -> None:
    bare = {re.sub(r"/\{.*", "", path) for path in DOCUMENT["paths"]}
    assert bare == {
        *app._WORK,
        *app._READABLE,
        "/v1/embeddings",
        "/v1/messages/count_tokens",
        "/v1/decisions",
    }


def test_every_status_of_an_error_is_one_of_the_documents() -> None:
    assert {status for status, _ in _LIMITS.values()} <= set(WORK)
    for operation in (o for methods in DOCUMENT["paths"].values() for o in methods.values()):
        statuses = {int(status) for status in operation["responses"]}
        assert statuses <= {200, 529, *WHY}
        assert {400, 403, 408, 421, 431, 500} <= statuses


def test_every_header_of_ours_is_there() -> None:
    said = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["parameters"]
    assert {p["name"] for p in said} == {f"x-firsthop-{word}" for word in caller.WORDS}


def test_the_page_has_every_path_and_loads_nothing() -> None:
    page = docs._page().decode()

    for path in DOCUMENT["paths"]:
        assert path in page
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:|//)", page)
