"""The whole OpenAPI document: every path and schema, in one."""

from __future__ import annotations

from . import anthropic, openai, responses, server, shared
from .parts import Json, either, ref

_ABOUT = (
    "Every request is answered first by a small model on the user's own device; a policy reads how "
    "sure the draft is and escalates to a cloud only when that is worth it."
)


def document(version: str) -> Json:
    """OpenAPI 3.1. Endpoints come from the modules beside this, each with `PATHS` and `SCHEMAS`.

    A request that is no HTTP, or whose head is too large, is answered before its path is known, in
    OpenAI's shape.
    """
    models = openai.model_paths(
        either(ref("ModelList"), ref("MessageModelList")),
        either(ref("Model"), ref("MessageModel")),
        either(ref("Error"), ref("MessageError")),
        anthropic.VERSION,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "firsthop", "version": version, "description": _ABOUT},
        "paths": {**openai.PATHS, **responses.PATHS, **anthropic.PATHS, **models, **server.PATHS},
        "components": {
            "schemas": {
                **openai.SCHEMAS,
                **responses.SCHEMAS,
                **anthropic.SCHEMAS,
                **shared.SCHEMAS,
                **server.SCHEMAS,
            }
        },
    }
