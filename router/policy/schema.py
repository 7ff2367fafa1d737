"""JSON Schemas (2020-12) of a policy and of its cases, for editors: completion, help, red lines.

Made from the models that check the documents and from the catalogue of signals, so that an editor
knows what the loader knows: under guards and route only what is known of a request, under accept a
draft's signals too, in an early commit or an abort none that need the whole draft. What spans
several fields, such as a tier that is used and not declared, is left to ``firsthop policy check``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from ..signals.catalogue import CATALOGUE, FAMILIES, Signal
from .cases import FAILURES, FLAGS, LIMITS, NONE
from .caseshape import CasesDocument, DraftPart
from .document import PolicyDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODELINE = "# yaml-language-server: $schema="
NAME = "^[a-z0-9][a-z0-9._-]{0,63}$"
_IN_FAMILY = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

Schema = dict[str, Any]


def modeline(path: PurePath | str) -> str:
    """The first line of a YAML file that tells editors where its schema lies.

    Args:
        path: Of the schema, as seen from the YAML file; or its URL.
    """
    return f"{MODELINE}{path.as_posix() if isinstance(path, PurePath) else path}"


def json_schema() -> Schema:
    """The schema of a policy document."""
    schema = _plain(PolicyDocument.model_json_schema())
    parts = schema["$defs"]
    parts |= _COMPARISONS | {f"words.{_key(s)}": _word_tests(s.words) for s in _all() if s.words}
    parts["RequestPredicate"] = _predicate("RequestPredicate", lambda s: s.known == "request")
    parts["DraftPredicate"] = _predicate("DraftPredicate", lambda s: True)
    parts["EarlyPredicate"] = _predicate("EarlyPredicate", lambda s: not s.whole_draft)
    for part, field, predicate in (
        ("GuardPart", "when", "RequestPredicate"),
        ("RoutePart", "when", "RequestPredicate"),
        ("AcceptPart", "require", "DraftPredicate"),
        ("AcceptPart", "near_budget", "DraftPredicate"),
        ("AcceptPart", "until_certified", "DraftPredicate"),
        ("EarlyPart", "require", "EarlyPredicate"),
        ("DoubtPart", "when", "EarlyPredicate"),
        ("BarPart", "when", "EarlyPredicate"),
    ):
        _point(parts[part]["properties"], field, predicate)
    for part in ("GuardPart", "RoutePart", "AcceptPart"):
        parts[part]["properties"]["id"]["pattern"] = NAME
    schema["properties"]["policy"]["pattern"] = NAME
    schema["properties"]["tiers"] |= {"uniqueItems": True}
    schema["properties"]["tiers"]["items"]["pattern"] = NAME
    return {"$schema": DIALECT, "title": "A firsthop policy", **schema}


def case_schema() -> Schema:
    """The schema of a policy's file of cases, ``NAME.test.yaml``."""
    schema = _plain(CasesDocument.model_json_schema())
    parts, case = schema["$defs"], schema["$defs"]["CasePart"]["properties"]
    parts["dollars"] = _DOLLARS
    usual = parts["UsualPart"]["properties"]
    for given in (case, usual):
        given["given"] = _values(lambda s: s.known == "request", given["given"]["description"])
    usual["draft"] = _values(lambda s: s.known == "draft", usual["draft"]["description"])
    draft = _plain(DraftPart.model_json_schema())
    beginning = draft["properties"]["beginning"]["description"]
    draft["properties"]["beginning"] = _values(
        lambda s: s.known == "draft" and not s.whole_draft, beginning
    )
    draft["properties"]["fails"] = {"enum": list(FAILURES)}
    signals = _values(lambda s: s.known == "draft", "")
    draft["properties"] |= signals["properties"]
    draft["patternProperties"] = signals["patternProperties"]
    parts["DraftPart"] = draft
    case["drafts"]["additionalProperties"] = {"$ref": "#/$defs/DraftPart"}
    expect = parts["ExpectPart"]
    expect["properties"]["flags"] = {"type": "array", "items": {"enum": list(FLAGS)}}
    expect["properties"]["limit"] = {"enum": [*LIMITS, NONE]}
    forbidden = {"properties": {"status": {"const": "forbidden"}}, "required": ["status"]}
    expect["anyOf"] = [{"required": ["path"]}, forbidden]
    return {"$schema": DIALECT, "title": "Cases of a firsthop policy", **schema}


_DOLLARS: Schema = {
    "description": 'Dollars in quotes, so that they stay exact: "0.01". A whole number may stand '
    "without.",
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]*\.?[0-9]+([eE][-+]?[0-9]{1,3})?$"},
        {"type": "integer", "minimum": 0, "maximum": 1_000_000},
    ],
}


def _tests(ops: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": dict(ops),
    }


def _word_tests(words: Iterable[str]) -> Schema:
    known = list(words)
    word: Schema = {"enum": known} if known else {"type": "string"}
    several = {"type": "array", "minItems": 1, "items": word}
    return _tests({"is": word, "is_not": word, "in": several, "not_in": several})


_COMPARISONS: dict[str, Schema] = {
    "dollars": _DOLLARS,
    "number": _tests({op: {"type": "number"} for op in ("gt", "gte", "lt", "lte", "is", "is_not")}),
    "flag": _tests({op: {"type": "boolean"} for op in ("is", "is_not")}),
    "word": _word_tests(()),
}


def _all() -> tuple[Signal, ...]:
    return (*CATALOGUE.values(), *FAMILIES.values())


def _key(signal: Signal) -> str:
    return signal.name.replace("*", "NAME")


def _predicate(name: str, fits: Callable[[Signal], bool]) -> Schema:
    """A predicate over the signals that fit; `all`, `any` and `not` hold others like it."""
    inner = {"$ref": f"#/$defs/{name}"}
    several = {"type": "array", "minItems": 1, "items": inner}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "all": {**several, "description": "Every one of these has to hold."},
            "any": {**several, "description": "One of these has to hold."},
            "not": {**inner, "description": "This must not hold; unknown stays unknown."},
            **{s.name: _compared(s) for s in CATALOGUE.values() if fits(s)},
        },
        "patternProperties": {_pattern(s): _compared(s) for s in FAMILIES.values() if fits(s)},
    }


def _compared(signal: Signal) -> Schema:
    name = f"words.{_key(signal)}" if signal.words else signal.type
    return {"$ref": f"#/$defs/{name}", "description": describe(signal)}


def _pattern(signal: Signal) -> str:
    before, after = (part.replace(".", r"\.") for part in signal.name.split("*"))
    return f"^{before}{_IN_FAMILY}{after}$"


def describe(signal: Signal) -> str:
    """A signal for the help that an editor shows: what it says, its unit and range, its source."""
    kind = "a whole number" if signal.whole else f"a {signal.type}"
    unit = f" of {signal.unit}" if signal.unit else ""
    low, high = signal.low, signal.high
    if low is not None and high is not None:
        extent = f" from {low:g} to {high:g}"
    elif low is not None:
        extent = f", at least {low:g}"
    else:
        extent = "" if high is None else f", at most {high:g}"
    unknown = "may be unknown" if signal.may_be_unknown else "never unknown"
    return f"{signal.summary} It is {kind}{unit}{extent}; {unknown}. From: {signal.source}."


def _values(fits: Callable[[Signal], bool], description: str) -> Schema:
    """A mapping of signals to what they are."""
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": {s.name: _value(s) for s in CATALOGUE.values() if fits(s)},
        "patternProperties": {_pattern(s): _value(s) for s in FAMILIES.values() if fits(s)},
    }


def _value(signal: Signal) -> Schema:
    forms: list[Schema]
    if signal.type == "flag":
        forms = [{"type": "boolean"}]
    elif signal.type == "word":
        forms = [{"enum": list(signal.words)} if signal.words else {"type": "string"}]
    else:
        number: Schema = {"type": "integer" if signal.whole else "number"}
        number |= {} if signal.low is None else {"minimum": signal.low}
        number |= {} if signal.high is None else {"maximum": signal.high}
        most = {**_tests({"at_most": number}), "required": ["at_most"]}
        forms = [number, most]
    forms += [{"type": "null"}] if signal.may_be_unknown else []
    return {"anyOf": forms, "description": describe(signal)}


def _point(properties: Schema, field: str, predicate: str) -> None:
    """Let a field that holds any mapping hold that predicate, or nothing where it may."""
    old, ref = properties[field], {"$ref": f"#/$defs/{predicate}"}
    new: Schema = {"anyOf": [ref, {"type": "null"}]} if "anyOf" in old else ref
    properties[field] = new | {k: old[k] for k in ("description", "default") if k in old}


def _plain(schema: Any) -> Any:
    """Pydantic's schema without titles, and with dollars as people have to write them."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: _plain(v) for k, v in schema.items() if not (k == "title" and isinstance(v, str))}
    forms = found.get("anyOf", [])
    if {"type": "number"} in forms and {"type": "string"} in forms:
        rest = [form for form in forms if form.get("type") not in ("number", "string")]
        ref = {"$ref": "#/$defs/dollars"}
        if not rest:
            del found["anyOf"]
            return ref | found
        found["anyOf"] = [ref, *rest]
    return found
