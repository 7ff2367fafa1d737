"""The server's own endpoints in the OpenAPI document: decisions, health, this document."""

from __future__ import annotations

from .parts import (
    COUNT,
    DOOR,
    FLAG,
    TEXT,
    Json,
    answer,
    errors,
    in_path,
    many,
    maybe,
    ref,
    thing,
)

SCHEMAS: dict[str, Json] = {
    "Decision": thing(
        {"request": {"type": "object"}, "hops": many({"type": "object"})},
    ),
    "Health": thing(
        {"status": {"const": "ok"}, "version": TEXT, "policy": TEXT, "policy_problem": maybe(TEXT)},
        {"worker": thing({"number": COUNT, "of": COUNT, "process": COUNT})},
    ),
    "Ready": thing(
        {
            "ready": FLAG,
            "not_ready": many(TEXT),
            "targets": {"type": "object", "additionalProperties": {"type": "object"}},
        }
    ),
}


def _get(name: str, said: str, responses: Json, parameters: list[Json] | None = None) -> Json:
    found: Json = {
        "operationId": name,
        "summary": said,
        "tags": ["Server"],
        "responses": {**responses, **errors(ref("Error"), *DOOR)},
    }
    if parameters:
        found["parameters"] = parameters
    return {"get": found}


def _other(said: str, kind: str) -> Json:
    return {"description": said, "content": {kind: {"schema": TEXT}}}


_DECISION = in_path(
    "decision_id",
    "as in `router.decision_id`",
    {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"},
)

_RATE = errors(ref("Error"), 429)

PATHS: dict[str, Json] = {
    "/v1/decisions/{decision_id}": _get(
        "getDecision",
        "One decision as the ledger has it; never its text",
        {
            "200": answer("It.", ref("Decision")),
            **errors(ref("Error"), 404, 429, 503),
        },
        [_DECISION],
    ),
    "/healthz": _get("getHealth", "The process lives", {"200": answer("It does.", ref("Health"))}),
    "/readyz": _get(
        "getReady",
        "Whether some target would be asked now",
        {
            "200": answer("One would.", ref("Ready")),
            "503": answer("None would.", ref("Ready")),
        },
    ),
    "/metrics": _get(
        "getMetrics", "Figures for Prometheus", {"200": _other("They.", "text/plain"), **_RATE}
    ),
    "/openapi.json": _get(
        "getDocument", "This document", {"200": answer("It.", {"type": "object"}), **_RATE}
    ),
    "/docs": _get("getPage", "The same as a page", {"200": _other("It.", "text/html"), **_RATE}),
}
