"""What the pieces of the OpenAPI document are made of: JSON Schemas, parameters, responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
ANY: Json = {}
NOTHING: Json = {"type": "null"}


def thing(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    """An object of an answer; later versions may add to it."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def only(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    """An object of a request, which takes nothing else."""
    return {**thing(required, optional), "additionalProperties": False}


def many(one: Json) -> Json:
    """A list."""
    return {"type": "array", "items": one}


def either(*ways: Json) -> Json:
    """One of these."""
    return {"anyOf": list(ways)}


def maybe(one: Json) -> Json:
    """This or null."""
    return either(one, NOTHING)


def word(*words: str) -> Json:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def same(*values: Any) -> Json:
    """One of these values, or null: a field that can't be honoured and may say no more."""
    return {"enum": [*values, None]}


def between(kind: str, least: float | None = None, most: float | None = None) -> Json:
    """A number in a range, its ends included."""
    found: Json = {"type": kind}
    if least is not None:
        found["minimum"] = least
    if most is not None:
        found["maximum"] = most
    return found


def ref(name: str) -> Json:
    """A schema that stands by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(schema: Json, said: str) -> Json:
    """The same with words."""
    return {**schema, "description": said}


def header(name: str, said: str, schema: Json = TEXT) -> Json:
    """A header of a request."""
    return {"name": name, "in": "header", "description": said, "schema": schema}


def in_path(name: str, said: str, schema: Json) -> Json:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "description": said, "schema": schema}


def body(schema: Json) -> Json:
    """What is sent."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def answer(said: str, schema: Json, headers: Mapping[str, Json] | None = None) -> Json:
    """A response in JSON."""
    found: Json = {"description": said, "content": {"application/json": {"schema": schema}}}
    if headers:
        found["headers"] = {name: {"schema": kind} for name, kind in headers.items()}
    return found


def errors(schema: Json, *statuses: int, other: Mapping[int, int] | None = None) -> Json:
    """Error responses.

    Args:
        other: Statuses that the dialect has another number for.
    """
    found: Json = {}
    for status in statuses:
        number = (other or {}).get(status, status)
        headers: dict[str, Json] = {"x-should-retry": word("true", "false")}
        if status in (429, 503):
            headers["retry-after"] = TEXT
        found[str(number)] = answer(WHY[status], schema, headers)
    return found


WHY = {
    400: "The request is wrong, or every target tried says so.",
    401: "No key came, or one that does not hold.",
    402: "A limit of dollars was reached, and no draft may be returned.",
    403: "Guards left nobody who may answer; the key may not do that; or a web page calls.",
    404: "There is no such model, decision or path.",
    408: "The request did not come in time.",
    413: "The body is too large.",
    415: "The body is not JSON, or is compressed.",
    421: "Called by a name that is not this server's.",
    429: "Too many requests at once, or every target tried has had too many.",
    431: "The head is too large.",
    500: "A fault of this server.",
    502: "Targets failed in ways that asking again does not mend.",
    503: "No target can be asked now, or the server stops.",
    504: "Targets were too slow, or the deadline has passed.",
}
"""What a status says, whatever the dialect. `docs/sidecar.md` has the codes."""

DOOR = (400, 401, 403, 408, 421, 431, 500)
"""What any request may be answered."""
WORK = (400, 401, 402, 403, 404, 408, 413, 415, 421, 429, 431, 500, 502, 503, 504)
"""What a request that asks targets may be answered."""
