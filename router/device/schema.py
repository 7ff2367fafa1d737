"""A JSON Schema becomes a `Form`, or is refused with the place that can't be held to. Pure.

Bounds that the schema doesn't set are set here. What can't be held to is refused and not left out:
`pattern`, `not`, `multipleOf` and others. `format` is an annotation, as in JSON Schema itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..errors import Incapable, Refused
from .apart import apart
from .form import (
    MOST_DIGITS,
    Choice,
    Either,
    Field,
    Form,
    Items,
    Named,
    Number,
    Part,
    Record,
    Text,
)
from .numbers import spellings

_SAYS_NOTHING = frozenset({
    "$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description",
    "example", "examples", "format", "readOnly", "title", "writeOnly",
})  # fmt: skip
_OF_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_ANY = "any"
_LONGEST_TEXT = 1000
_DEEPEST = 64
_LONGEST_TOKEN = 128
"""Characters. Of a run of one character the longest tokens of today's vocabularies have as many."""


def read_schema(schema: Mapping[str, Any], most_tokens: int) -> Form:
    """The form of answers that validate against `schema`.

    Args:
        most_tokens: Most tokens of an answer. A string or array that the schema leaves unbounded
            is bounded so that one of them doesn't take the whole of it.

    Raises:
        Incapable: The schema asks for what can't be held to, or nothing validates that has so few
            tokens.
        Refused: It is no JSON Schema.
    """
    reader = _Reader(schema, most_tokens)
    try:
        root = reader.part(schema, "schema", 0)
    except (TypeError, AttributeError, ValueError, OverflowError) as exc:
        raise Refused(f"this is no JSON Schema: {exc}", code="malformed_schema") from exc
    form = Form(root, reader.parts, reader.most)
    try:
        form.least()
    except RecursionError as exc:
        raise _cannot("schema", "leads from one reference to the next too often") from exc
    if form.length() is None:
        raise Incapable("no finite answer fits the schema", code=_CODE)
    if not form.fits():
        raise Incapable(
            f"the shortest answer of this form has more than {form.most:,} characters; "
            f"it may have {most_tokens:,} tokens",
            code="max_output_tokens",
        )
    return form


_CODE = "unsupported_schema"


class _Reader:
    def __init__(self, root: Mapping[str, Any], most_tokens: int) -> None:
        self._root = root
        self.most = most_tokens * _LONGEST_TOKEN
        self._most_text = max(16, min(_LONGEST_TEXT, 2 * most_tokens))
        self._most_items = max(4, most_tokens // 4)
        self._names: dict[str, str] = {}
        self.parts: dict[str, Part] = {}

    def part(self, schema: object, where: str, depth: int) -> Part:
        if schema is True:
            return self._any()
        if not isinstance(schema, Mapping):
            raise _cannot(where, "is no schema that anything fits")
        if depth > _DEEPEST:
            raise _cannot(where, f"is deeper than {_DEEPEST} levels")
        said = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
        for word, read in (
            ("$ref", self._ref),
            ("anyOf", self._any_of),
            ("oneOf", self._one_of),
            ("allOf", self._all_of),
            ("const", self._const),
            ("enum", self._enum),
        ):
            if word in said:
                allowed = {word, "type"} if word in ("const", "enum") else {word}
                _only(said, allowed, where)
                return read(said, f"{where}.{word}", depth + 1)
        kinds = said.pop("type", None) or _guess(said)
        if kinds is None:
            if said:
                raise _cannot(where, f"has {', '.join(sorted(said))} without a type")
            return self._any()
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        known = set[str]().union(*(_OF_TYPE.get(kind, frozenset()) for kind in kinds))
        _only(said, known, where)
        parts = tuple(self._typed(kind, said, where, depth + 1) for kind in kinds)
        return parts[0] if len(parts) == 1 else Either(parts)

    def _typed(self, kind: str, said: Mapping[str, Any], where: str, depth: int) -> Part:
        match kind:
            case "null":
                return Choice(("null",))
            case "boolean":
                return Choice(("true", "false"))
            case "string":
                low = _count(said, "minLength", 0, where)
                high = _count(said, "maxLength", max(low, self._most_text), where)
                return Text(low, min(high, max(low, self.most)))
            case "integer" | "number":
                return _number(said, whole=kind == "integer", where=where)
            case "array":
                low = _count(said, "minItems", 0, where)
                high = _count(said, "maxItems", max(low, self._most_items), where)
                item = self.part(said.get("items", True), f"{where}.items", depth)
                return Items(item, low, min(high, max(low, self.most)))
            case "object":
                return self._record(said, where, depth)
        raise _cannot(where, f"is of an unknown type {kind!r}")

    def _record(self, said: Mapping[str, Any], where: str, depth: int) -> Record:
        properties = said.get("properties", {})
        required = _list(said, "required", where)
        extra = said.get("additionalProperties", True)
        if not isinstance(properties, Mapping):
            raise _malformed(where, "has properties that are no mapping")
        if not all(isinstance(name, str) for name in required):
            raise _malformed(where, "has something else than names in required")
        if not isinstance(extra, bool | Mapping):
            raise _malformed(where, "has additionalProperties that are no schema")
        others = [name for name in required if name not in properties]
        if others and extra is False:
            raise _cannot(where, f"requires {', '.join(others)} and allows no such property")
        named = {**properties, **dict.fromkeys(others, extra)}
        fields = tuple(
            Field(_json(name), self.part(sub, f"{where}.{name}", depth), required=name in required)
            for name, sub in named.items()
        )
        if isinstance(extra, Mapping):
            return Record(fields, self.part(extra, f"{where}.additionalProperties", depth))
        return Record(fields, self._any() if extra is not False and not fields else None)

    def _any(self) -> Named:
        """Any JSON at all."""
        if _ANY not in self.parts:
            one = Named(_ANY)
            self.parts[_ANY] = Either(
                (
                    Text(0, self._most_text),
                    _number({}, whole=False, where=""),
                    Choice(("true", "false", "null")),
                    Items(one, 0, self._most_items),
                    Record((), one),
                )
            )
        return Named(_ANY)

    def _ref(self, said: Mapping[str, Any], where: str, depth: int) -> Named:
        pointer = said["$ref"]
        if not isinstance(pointer, str):
            raise _malformed(where, "is no pointer")
        if pointer not in self._names:
            name = self._names[pointer] = f"part{len(self._names)}"
            self.parts[name] = self.part(self._look_up(pointer, where), where, depth)
        return Named(self._names[pointer])

    def _look_up(self, pointer: str, where: str) -> object:
        if pointer != "#" and not pointer.startswith("#/"):
            raise _cannot(where, f"{pointer!r} points out of the schema, or to an anchor")
        found: Any = self._root
        try:
            for step in pointer.split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError) as exc:
            raise _cannot(where, f"{pointer!r} points nowhere") from exc
        return found

    def _any_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        return Either(self._branches(said, "anyOf", where, depth))

    def _one_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        parts = self._branches(said, "oneOf", where, depth)
        for i, one in enumerate(parts):
            if any(not apart(one, other, self.parts) for other in parts[:i]):
                raise _cannot(where, "has branches that may fit the same answer")
        return Either(parts)

    def _all_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        parts = self._branches(said, "allOf", where, depth)
        if len(parts) != 1:
            raise _cannot(where, "has not one branch")
        return parts[0]

    def _branches(
        self, said: Mapping[str, Any], word: str, where: str, depth: int
    ) -> tuple[Part, ...]:
        given = _list(said, word, where)
        return tuple(self.part(one, f"{where}[{i}]", depth) for i, one in enumerate(given))

    def _const(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        return self._enum({**said, "enum": [said["const"]]}, where, depth)

    def _enum(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        values = _list(said, "enum", where)
        if any(isinstance(value, list | Mapping) for value in values):
            raise _cannot(where, "has a value that is an array or an object")
        kinds = said.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        fitting = [v for v in values if kinds is None or _kinds(v) & set(kinds)]
        return Choice(tuple(dict.fromkeys(text for value in fitting for text in _texts(value))))


def _guess(said: Mapping[str, Any]) -> str | None:
    """The type that a schema means without saying it."""
    for kind in ("object", "array"):
        if said and set(said) <= _OF_TYPE[kind]:
            return kind
    return None


def _number(said: Mapping[str, Any], *, whole: bool, where: str) -> Number:
    most = Fraction(10**MOST_DIGITS - 1)
    low, open_low = _bound(said, "inimum", max, where)
    high, open_high = _bound(said, "aximum", min, where)
    if low is None:
        low = -most if high is None or high > -most else high - most
    if high is None:
        high = max(most, low + most)
    if whole:
        low = Fraction(math.floor(low) + 1 if open_low else math.ceil(low))
        high = Fraction(math.ceil(high) - 1 if open_high else math.floor(high))
        open_low = open_high = False
    return Number(low, high, whole, open_low, open_high)


def _bound(
    said: Mapping[str, Any], word: str, tighter: Any, where: str
) -> tuple[Fraction | None, bool]:
    """The tighter of the closed and the open bound, and whether it is open."""
    prefix = "m" if word else ""
    found: list[tuple[Fraction, bool]] = []
    for name, is_open in ((prefix + word, False), (f"exclusiveM{word}", True)):
        value = said.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _cannot(where, f"{name} is no number")
        found.append((Fraction(str(value)), is_open))
    if not found:
        return None, False
    edge = tighter(value for value, _ in found)
    return edge, any(is_open for value, is_open in found if value == edge)


def _count(said: Mapping[str, Any], word: str, default: int, where: str) -> int:
    value = said.get(word, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _cannot(where, f"{word} is no count")
    return value


def _kinds(value: object) -> set[str]:
    """The schema's words for the type of a plain value."""
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, str):
        return {"string"}
    return {"number", "integer"} if float(str(value)).is_integer() else {"number"}


def _texts(value: object) -> tuple[str, ...]:
    """How a plain value may be written."""
    return spellings(value) if isinstance(value, float) else (_json(value),)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(said: Mapping[str, Any], word: str, where: str) -> Sequence[Any]:
    value = said.get(word, ())
    if not isinstance(value, list | tuple):
        raise _malformed(where, f"{word} is no array")
    return value


def _only(said: Mapping[str, Any], known: set[str] | frozenset[str], where: str) -> None:
    unknown = sorted(set(said) - known)
    if unknown:
        raise _cannot(where, f"asks for {', '.join(unknown)}")


def _cannot(where: str, why: str) -> Incapable:
    return Incapable(f"the device can't hold an answer to this schema: {where} {why}", code=_CODE)


def _malformed(where: str, why: str) -> Refused:
    return Refused(f"this is no JSON Schema: {where} {why}", code="malformed_schema")
