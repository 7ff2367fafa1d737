"""A JSON Schema becomes a `Form`, or is refused with the place that can't be held to. Pure.

Bounds that the schema doesn't set are set here. What can't be held to is refused and not left out:
`pattern`, `not`, `multipleOf` and others. `format` is an annotation, as in JSON Schema itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..errors import Incapable
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


def read_schema(schema: Mapping[str, Any], most_tokens: int) -> Form:
    """The form of answers that validate against `schema`.

    Args:
        most_tokens: Most tokens of an answer. A string or array that the schema leaves unbounded
            is bounded so that one of them doesn't take the whole of it.

    Raises:
        Incapable: The schema asks for what can't be held to, or nothing validates.
    """
    reader = _Reader(schema, most_tokens)
    root = reader.part(schema, "schema", 0)
    form = Form(root, reader.parts)
    if form.least() is None:
        raise Incapable("no finite answer fits the schema", code=_CODE)
    return form


_CODE = "unsupported_schema"


class _Reader:
    def __init__(self, root: Mapping[str, Any], most_tokens: int) -> None:
        self._root = root
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
                return Text(low, _count(said, "maxLength", max(low, self._most_text), where))
            case "integer" | "number":
                return _number(said, whole=kind == "integer", where=where)
            case "array":
                low = _count(said, "minItems", 0, where)
                high = _count(said, "maxItems", max(low, self._most_items), where)
                item = self.part(said.get("items", True), f"{where}.items", depth)
                return Items(item, low, high)
            case "object":
                return self._record(said, where, depth)
        raise _cannot(where, f"is of an unknown type {kind!r}")

    def _record(self, said: Mapping[str, Any], where: str, depth: int) -> Record:
        properties = said.get("properties", {})
        required = list(said.get("required", ()))
        extra = said.get("additionalProperties")
        if not isinstance(properties, Mapping):
            raise _cannot(where, "has properties that are no mapping")
        named = {
            **properties,
            **{name: extra or True for name in required if name not in properties},
        }
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
        if pointer not in self._names:
            name = self._names[pointer] = f"part{len(self._names)}"
            self.parts[name] = self.part(self._look_up(pointer, where), where, depth)
        return Named(self._names[pointer])

    def _look_up(self, pointer: object, where: str) -> object:
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            raise _cannot(where, f"{pointer!r} points out of the schema")
        found: Any = self._root
        try:
            for step in pointer.removeprefix("#").split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError) as exc:
            raise _cannot(where, f"{pointer!r} points nowhere") from exc
        return found

    def _any_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        return Either(self._branches(said["anyOf"], where, depth))

    def _one_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        parts = self._branches(said["oneOf"], where, depth)
        for i, one in enumerate(parts):
            if any(not self._apart(one, other) for other in parts[:i]):
                raise _cannot(where, "has branches that may fit the same answer")
        return Either(parts)

    def _all_of(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        if len(said["allOf"]) != 1:
            raise _cannot(where, "has more than one branch")
        return self._branches(said["allOf"], where, depth)[0]

    def _branches(self, given: Any, where: str, depth: int) -> tuple[Part, ...]:
        return tuple(self.part(one, f"{where}[{i}]", depth) for i, one in enumerate(given))

    def _const(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        return self._enum({**said, "enum": [said["const"]]}, where, depth)

    def _enum(self, said: Mapping[str, Any], where: str, depth: int) -> Part:
        if any(isinstance(value, list | Mapping) for value in said["enum"]):
            raise _cannot(where, "has a value that is an array or an object")
        kinds = said.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        fitting = [v for v in said["enum"] if kinds is None or _kinds(v) & set(kinds)]
        return Choice(tuple(dict.fromkeys(map(_json, fitting))))

    def _apart(self, one: Part, other: Part) -> bool:
        """Whether surely nothing is both."""
        one, other = self._plain(one), self._plain(other)
        if _begins(one).isdisjoint(_begins(other)):
            return True
        if isinstance(one, Choice) and isinstance(other, Choice):
            return set(one.texts).isdisjoint(other.texts)
        if isinstance(one, Record) and isinstance(other, Record):
            theirs = {f.key: f.part for f in other.fields if f.required}
            return any(
                f.required and f.key in theirs and self._apart(f.part, theirs[f.key])
                for f in one.fields
            )
        return False

    def _plain(self, part: Part) -> Part:
        """The part itself behind a name; one that is being read, or leads on, stays a name."""
        return self.parts.get(part.name, part) if isinstance(part, Named) else part


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


def _begins(part: Part) -> frozenset[str]:
    """The characters that such a part may begin with."""
    match part:
        case Text():
            return frozenset('"')
        case Choice(texts):
            return frozenset(text[0] for text in texts)
        case Number():
            return frozenset("-0123456789")
        case Items():
            return frozenset("[")
        case Record():
            return frozenset("{")
        case Either(parts):
            return frozenset[str]().union(*map(_begins, parts))
        case Named():  # not looked into: it may begin with anything
            return frozenset('"-0123456789[{tfn')


def _kinds(value: object) -> set[str]:
    """The schema's words for the type of a plain value."""
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, str):
        return {"string"}
    return {"number", "integer"} if float(str(value)).is_integer() else {"number"}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _only(said: Mapping[str, Any], known: set[str] | frozenset[str], where: str) -> None:
    unknown = sorted(set(said) - known)
    if unknown:
        raise _cannot(where, f"asks for {', '.join(unknown)}")


def _cannot(where: str, why: str) -> Incapable:
    return Incapable(f"the device can't hold an answer to this schema: {where} {why}", code=_CODE)
