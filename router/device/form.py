"""What a JSON answer is made of: a few kinds of parts, all of them bounded. Pure.

`schema.py` reads a JSON Schema into a `Form`. It gives the schema to guide a model by, in which
nothing may grow without end, and the shortest answer there is. An answer of the form always
validates, while not all that validates is of the form: there is no white space between parts,
properties come in the schema's order, and none come that it doesn't name, unless it says of what
kind they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .numbers import shortest_tail

MOST_DIGITS = 15
"""Digits of a number whose schema doesn't bound it: what a float still holds exactly."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `low` to `high` characters."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values, as JSON."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A number between two bounds; `open_low`, `open_high`: the bound itself is not meant."""

    low: Fraction
    high: Fraction
    whole: bool
    open_low: bool = False
    open_high: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    item: Part
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Field:
    """A property of a `Record`; `key` as JSON."""

    key: str
    part: Part
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An object: its fields in this order, then any others of the kind `extra`."""

    fields: tuple[Field, ...]
    extra: Part | None = None


@dataclass(frozen=True, slots=True)
class Either:
    """Any of these."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """The part of that name in `Form.parts`; so a form may contain itself."""

    name: str


Part = Text | Choice | Number | Items | Record | Either | Named


class Form:
    """A bounded schema.

    Attributes:
        root: What the whole answer is.
        parts: What names stand for.
    """

    def __init__(self, root: Part, parts: Mapping[str, Part]) -> None:
        self.root = root
        self.parts = parts
        self._least: dict[str, str] = {}
        shorter = True
        while shorter:  # a form may contain itself, so once around is not enough
            shorter = False
            for name, part in parts.items():
                self._known: dict[int, str | None] = {}  # true until a name gets shorter
                least = self.least(part)
                known = self._least.get(name)
                if least is not None and (known is None or len(least) < len(known)):
                    self._least[name] = least
                    shorter = True
        self._known = {}

    def least(self, part: Part | None = None) -> str | None:
        """The shortest JSON that is such a part, by default the whole. None: there is none."""
        part = self.root if part is None else part
        if id(part) not in self._known:
            self._known[id(part)] = self._shortest(part)
        return self._known[id(part)]

    def _shortest(self, part: Part) -> str | None:
        match part:
            case Named(name):
                return self._least.get(name)
            case Text(low):
                return f'"{"." * low}"'
            case Choice(texts):
                return min(texts, key=len, default=None)
            case Number():
                return shortest_tail("", part)
            case Either(parts):
                known = [found for one in parts if (found := self.least(one)) is not None]
                return min(known, key=len, default=None)
            case Items(item, low):
                one = self.least(item) if low else ""
                return None if one is None else f"[{','.join([one] * low)}]"
            case Record(fields):
                return self.rest(fields, begun=False)

    def rest(self, fields: tuple[Field, ...], *, begun: bool) -> str | None:
        """The shortest way to the end of a record with these fields to come."""
        inside: list[str] = []
        for field in fields:
            if field.required:
                value = self.least(field.part)
                if value is None:
                    return None
                inside.append(f"{field.key}:{value}")
        comma = "," if begun and inside else ""
        return ("" if begun else "{") + comma + ",".join(inside) + "}"

    def as_schema(self) -> str:
        """The form as a JSON Schema for the runtime's guidance."""
        whole = _schema(self.root)
        if self.parts:
            whole["$defs"] = {name: _schema(part) for name, part in self.parts.items()}
        return json.dumps({**whole, "x-guidance": {"whitespace_flexible": False}})


def _schema(part: Part) -> dict[str, Any]:
    match part:
        case Named(name):
            return {"$ref": f"#/$defs/{name}"}
        case Text(low, high):
            return {"type": "string", "minLength": low, "maxLength": high}
        case Choice(texts):
            return {"enum": [json.loads(text) for text in texts]}
        case Number():
            return _number_schema(part)
        case Either(parts):
            return {"anyOf": [_schema(one) for one in parts]}
        case Items(item, low, high):
            return {"type": "array", "items": _schema(item), "minItems": low, "maxItems": high}
        case Record(fields, extra):
            return {
                "type": "object",
                "properties": {json.loads(field.key): _schema(field.part) for field in fields},
                "required": [json.loads(field.key) for field in fields if field.required],
                "additionalProperties": False if extra is None else _schema(extra),
            }


def _number_schema(part: Number) -> dict[str, Any]:
    low, high = (int(b) if b.denominator == 1 else float(b) for b in (part.low, part.high))
    return {
        "type": "integer" if part.whole else "number",
        "exclusiveMinimum" if part.open_low else "minimum": low,
        "exclusiveMaximum" if part.open_high else "maximum": high,
    }
