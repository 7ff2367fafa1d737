"""What a JSON answer is made of: a few kinds of parts, all of them bounded. Pure.

`schema.py` reads a JSON Schema into a `Form`. It gives the schema to guide a model by, in which
nothing may grow without end, and the shortest answer there is. An answer of the form always
validates, while not all that validates is of the form: there is no white space between parts,
properties come in the schema's order, and none come that it doesn't name, unless it says of what
kind they are.
"""

from __future__ import annotations

import json
import sys
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

    Lengths are known before any text is made, so that a schema that wants a string of gigabytes
    costs no gigabytes.

    Args:
        root: What the whole answer is.
        parts: What names stand for.
        most: Most characters of an answer. What takes more even at its shortest doesn't exist.
    """

    def __init__(self, root: Part, parts: Mapping[str, Part], most: int = sys.maxsize) -> None:
        self.root = root
        self.parts = parts
        self.most = most
        self._lengths: dict[int, int | None] = {}  # by identity; true until a name gets shorter
        self._of_name: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        shorter = True
        while shorter:  # a form may contain itself, so once around is not enough
            shorter = False
            for name, part in parts.items():
                length = self.length(part)
                if length is not None and length < self._of_name.get(name, length + 1):
                    self._of_name[name] = length
                    self._lengths.clear()
                    shorter = True

    def length(self, part: Part | None = None) -> int | None:
        """Characters of the shortest JSON that is such a part, by default the whole, be they more
        than `most`. None: there is none."""
        part = self.root if part is None else part
        if id(part) not in self._lengths:
            self._lengths[id(part)] = self._length(part)
        return self._lengths[id(part)]

    def fits(self, part: Part | None = None) -> bool:
        """Whether there is such a part with at most `most` characters."""
        length = self.length(part)
        return length is not None and length <= self.most

    def least(self, part: Part | None = None) -> str | None:
        """The shortest JSON that is such a part, by default the whole. None: there is none."""
        part = self.root if part is None else part
        if not self.fits(part):
            return None
        if id(part) not in self._texts:
            self._texts[id(part)] = self._shortest(part)
        return self._texts[id(part)]

    def rest(self, fields: tuple[Field, ...], *, begun: bool) -> str | None:
        """The shortest way to the end of a record with these fields to come."""
        length = self._rest_length(fields, begun=begun)
        if length is None or length > self.most:
            return None
        inside = [f"{field.key}:{self.least(field.part)}" for field in fields if field.required]
        comma = "," if begun and inside else ""
        return ("" if begun else "{") + comma + ",".join(inside) + "}"

    def _length(self, part: Part) -> int | None:
        match part:
            case Named(name):
                return self._of_name.get(name)
            case Text(low, high):
                return low + 2 if low <= high else None
            case Choice(texts):
                return min(map(len, texts), default=None)
            case Number():
                text = shortest_tail("", part)
                return None if text is None else len(text)
            case Either(parts):
                known = [found for one in parts if (found := self.length(one)) is not None]
                return min(known, default=None)
            case Items(item, low, high):
                one = self.length(item) if low else 0
                if one is None or low > high:
                    return None
                return low * one + max(0, low - 1) + 2
            case Record(fields):
                return self._rest_length(fields, begun=False)

    def _rest_length(self, fields: tuple[Field, ...], *, begun: bool) -> int | None:
        length, count = 0, 0
        for field in fields:
            if field.required:
                value = self.length(field.part)
                if value is None:
                    return None
                length += len(field.key) + 1 + value
                count += 1
        commas = count if begun else max(0, count - 1)
        return length + commas + (1 if begun else 2)

    def _shortest(self, part: Part) -> str:
        """As `least`, for a part that fits."""
        part = self._plain(part)
        match part:
            case Text(low):
                return f'"{"." * low}"'
            case Choice(texts):
                return min(texts, key=len)
            case Items(item, low):
                return f"[{','.join([self._shortest(item)] * low if low else [])}]"
            case Record(fields):
                found = self.rest(fields, begun=False)
            case _:
                assert isinstance(part, Number)
                found = shortest_tail("", part)
        assert found is not None
        return found

    def _plain(self, part: Part) -> Part:
        """Which of the parts behind names and choices of parts is the shortest."""
        found: list[tuple[int, Part]] = []
        seen: set[str] = set()
        waiting = [part]
        while waiting:
            one = waiting.pop()
            length = self.length(one)
            if isinstance(one, Either):
                waiting.extend(one.parts)
            elif isinstance(one, Named):
                if one.name not in seen:
                    seen.add(one.name)
                    waiting.append(self.parts[one.name])
            elif length is not None:
                found.append((length, one))
        return min(found, key=lambda of: of[0])[1]

    def as_schema(self) -> str:
        """The form as a JSON Schema for the runtime's guidance."""
        whole = self._schema(self.root)
        if self.parts:
            whole["$defs"] = {name: self._schema(part) for name, part in self.parts.items()}
        return json.dumps({**whole, "x-guidance": {"whitespace_flexible": False}})

    def _schema(self, part: Part) -> Any:
        if not self.fits(part):
            return False
        match part:
            case Named(name):
                return {"$ref": f"#/$defs/{name}"}
            case Text(low, high):
                return {"type": "string", "minLength": low, "maxLength": high}
            case Choice(texts):
                return {"enum": _values(texts)}
            case Number():
                return _number_schema(part)
            case Either(parts):
                return {"anyOf": [self._schema(one) for one in parts]}
            case Items(item, low, high):
                items = self._schema(item)
                return {"type": "array", "items": items, "minItems": low, "maxItems": high}
            case Record(fields, extra):
                return {
                    "type": "object",
                    "properties": {json.loads(f.key): self._schema(f.part) for f in fields},
                    "required": [json.loads(f.key) for f in fields if f.required],
                    "additionalProperties": False if extra is None else self._schema(extra),
                }


def _values(texts: tuple[str, ...]) -> list[Any]:
    """The values of these texts, each once, though some are spelled in several ways."""
    found = {json.dumps(value): value for value in map(json.loads, texts)}
    return list(found.values())


def _number_schema(part: Number) -> dict[str, Any]:
    low, high = (int(b) if b.denominator == 1 else float(b) for b in (part.low, part.high))
    return {
        "type": "integer" if part.whole else "number",
        "exclusiveMinimum" if part.open_low else "minimum": low,
        "exclusiveMaximum" if part.open_high else "maximum": high,
    }
