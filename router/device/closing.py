"""How an answer that has been begun can be brought to its end. Pure.

In go a `Form` and the bytes so far, out come the fewest that make it whole. A form may be met in
several ways at once ("is this `1` the number, or the beginning of `12`?"), so each part is followed
on all its ways. A token may end within a character, so it is bytes that are followed: as text in
which each character stands for a byte.
"""

from __future__ import annotations

import json
import re
import sys

from .form import Choice, Either, Field, Form, Items, Named, Number, Part, Record, Text
from .numbers import is_number, longest_number, shortest_tail

_BODY = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_BROKEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_PADDING = "."
_QUOTE = '"'
_ANY_KEY = Text(0, sys.maxsize)
_CONTINUING = dict.fromkeys(range(128, 192))
_NEXT = (b"\x80", b"\x90", b"\xa0")  # each byte that begins a character takes one of them next

Found = tuple[frozenset[int], str | None]
"""Where a part that began somewhere may have ended, and the shortest text that ends it where the
whole text stops in the middle of it. None: it doesn't."""

_NOTHING: Found = (frozenset(), None)


def closing(form: Form, said: bytes) -> bytes | None:
    """The fewest bytes that make an answer of the form out of `said`.

    None: no answer of the form begins so, or it is nested too deeply to be followed.
    """
    return Closing(form).of(said)


class Closing:
    """`closing` of one answer as it grows: what is over in it is not followed again."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._text = ""
        self._over: dict[tuple[int, int], Found] = {}

    def of(self, said: bytes) -> bytes | None:
        """As `closing`. Quick where `said` goes on from what was given before."""
        text = _raw(said)
        if not text.startswith(self._text):
            self._over.clear()
        self._text = text
        try:
            ends, tail = _Walk(self._form, text, self._over).part(self._form.root, 0)
        except RecursionError:
            return None
        if len(text) in ends:
            return b""
        return None if tail is None else tail.encode("latin-1")


def _raw(said: bytes | str) -> str:
    """Text in which each character is a byte."""
    return (said.encode() if isinstance(said, str) else said).decode("latin-1")


class _Walk:
    """Follows a text.

    Args:
        over: What was found, by part and place, without a look at where the text ends: it holds for
            every text that goes on from this one. Filled.
    """

    def __init__(self, form: Form, text: str, over: dict[tuple[int, int], Found]) -> None:
        self._form = form
        self._text = text
        self._over = over
        self._open: dict[tuple[int, int], Found] = {}  # what another text may change
        self._looked = False  # at the end of the text, since the part began that is followed

    def part(self, part: Part, start: int) -> Found:
        key = (id(part), start)
        if key in self._over:
            return self._over[key]
        if key in self._open:
            self._looked = True
            return self._open[key]
        before, self._looked = self._looked, False
        self._open[key] = _NOTHING  # a part that is itself without a character between
        found = self._follow(part, start)
        if self._looked:
            self._open[key] = found
        else:
            del self._open[key]
            self._over[key] = found
            self._looked = before
        return found

    def _follow(self, part: Part, start: int) -> Found:
        if not self._form.fits(part):
            return _NOTHING
        if start == len(self._text):
            self._looked = True
            return frozenset(), self._least(part)
        match part:
            case Named(name):
                return self.part(self._form.parts[name], start)
            case Choice(texts):
                return _merged([self._literal(_raw(text), start) for text in texts])
            case Either(parts):
                return _merged([self.part(one, start) for one in parts])
            case Number():
                return self._number(part, start)
            case Text():
                return self._string(part, start)
            case Items():
                return self._items(part, start)
            case Record():
                return self._record(part, start)

    def _literal(self, wanted: str, start: int) -> Found:
        if self._text.startswith(wanted, start):
            return frozenset({start + len(wanted)}), None
        rest = self._text[start : start + len(wanted)]
        if start + len(rest) == len(self._text) and wanted.startswith(rest):
            self._looked = True
            return frozenset(), wanted[len(rest) :]
        return _NOTHING

    def _number(self, part: Number, start: int) -> Found:
        said = longest_number(self._text, start, whole=part.whole)
        end = start + len(said)
        self._looked = self._looked or end == len(self._text)
        ends = frozenset({end}) if is_number(said, part) else frozenset[int]()
        return ends, shortest_tail(said, part) if end == len(self._text) else None

    def _string(self, part: Text, start: int) -> Found:
        text = self._text
        if text[start] != '"':
            return _NOTHING
        found = _BODY.match(text, start + 1)
        assert found is not None
        body, end = found[0], found.end()
        self._looked = self._looked or text[end : end + 1] != _QUOTE
        missing = _missing(body)
        if missing is None or (missing and end < len(text)):
            return _NOTHING
        length = len((_ESCAPE.sub("x", body) if "\\" in body else body).translate(_CONTINUING))
        if end < len(text) and text[end] == '"':
            return (frozenset({end + 1}), None) if part.low <= length <= part.high else _NOTHING
        if end < len(text):
            broken = text[end:]
            if not _BROKEN_ESCAPE.match(broken):
                return _NOTHING
            missing = '"' if broken == "\\" else "0" * (6 - len(broken))
            length += 1
        if length > part.high:
            return _NOTHING
        return frozenset(), missing + _PADDING * (part.low - length) + '"'

    def _items(self, part: Items, start: int) -> Found:
        if self._text[start] != "[":
            return _NOTHING
        ends: set[int] = set()
        tails: list[str | None] = []
        here = {start + 1}
        for count in range(part.high + 1):  # `count` items lie before each place in `here`
            after: set[int] = set()
            for place in here:
                if count >= part.low:
                    end, tail = self._literal("]", place)
                    ends |= end
                    tails.append(tail)
                if count < part.high:
                    found, tail = self._next(part.item, place, "," if count else "")
                    after |= found
                    if tail is not None:
                        tails.append(self._and(tail, self._items_rest(part, count + 1)))
            here = after
            if not here:
                break
        return frozenset(ends), _shortest(tails)

    def _items_rest(self, part: Items, count: int) -> str | None:
        one = self._least(part.item)
        if count < part.low and one is None:
            return None
        return f",{one}" * max(0, part.low - count) + "]"

    def _record(self, part: Record, start: int) -> Found:
        if self._text[start] != "{":
            return _NOTHING
        tails: list[str | None] = []
        here: dict[bool, set[int]] = {False: {start + 1}, True: set()}  # by: a field has come
        for i, field in enumerate(part.fields):
            there: dict[bool, set[int]] = {False: set(), True: set()}
            for begun, places in here.items():
                if not field.required:
                    there[begun] |= places
                for place in places:
                    found, tail = self._field(field, place, "," if begun else "")
                    there[True] |= found
                    if tail is not None:
                        tails.append(self._and(tail, self._rest(part, i + 1)))
            here = there
        if part.extra is not None:
            self._extras(part, part.extra, here, tails)
        ends: set[int] = set()
        for place in here[False] | here[True]:
            end, tail = self._literal("}", place)
            ends |= end
            tails.append(tail)
        return frozenset(ends), _shortest(tails)

    def _field(self, field: Field, place: int, comma: str) -> Found:
        return self._next(field.part, place, f"{comma}{_raw(field.key)}:")

    def _extras(
        self, part: Record, extra: Part, here: dict[bool, set[int]], tails: list[str | None]
    ) -> None:
        """Any number of fields of other names; adds where they may end."""
        named = frozenset(json.loads(field.key) for field in part.fields)
        waiting = [(place, begun) for begun, places in here.items() for place in places]
        while waiting:
            place, begun = waiting.pop()
            ends, tail = self._other_key(named, place, "," if begun else "")
            tails.append(self._and(tail, self._and(":", self._and(self._least(extra), "}"))))
            for end in ends:
                found, tail = self._next(extra, end, ":")
                tails.append(self._and(tail, "}"))
                new = found - here[True]
                here[True] |= new
                waiting.extend((one, True) for one in new)

    def _other_key(self, named: frozenset[str], place: int, comma: str) -> Found:
        """A key that is none of `named`, for those have kinds of their own."""
        ends, tail = self._next(_ANY_KEY, place, comma)
        begin = place + len(comma)
        ends = frozenset(end for end in ends if _spelled(self._text[begin:end]) not in named)
        if tail is not None:
            begun = self._text[place:]
            while _spelled((begun + tail)[len(comma) :]) in named:
                tail = f"{tail.removesuffix(_QUOTE)}{_PADDING}{_QUOTE}"
        return ends, tail

    def _next(self, part: Part, place: int, before: str) -> Found:
        """A part that comes after a literal."""
        places, rest = self._literal(before, place) if before else (frozenset({place}), None)
        if not places:
            return frozenset(), self._and(rest, self._least(part))
        return self.part(part, place + len(before))

    def _least(self, part: Part) -> str | None:
        least = self._form.least(part)
        return None if least is None else _raw(least)

    def _rest(self, part: Record, start: int) -> str | None:
        rest = self._form.rest(part.fields[start:], begun=True)
        return None if rest is None else _raw(rest)

    @staticmethod
    def _and(one: str | None, more: str | None) -> str | None:
        return None if one is None or more is None else one + more


def _spelled(key: str) -> str:
    """The name that a whole key spells."""
    name: str = json.loads(key.encode("latin-1"))
    return name


def _merged(ways: list[Found]) -> Found:
    ends = frozenset[int]().union(*(ends for ends, _ in ways))
    return ends, _shortest([tail for _, tail in ways])


def _shortest(tails: list[str | None]) -> str | None:
    return min((tail for tail in tails if tail is not None), key=len, default=None)


def _missing(body: str) -> str | None:
    """The bytes that the last character of a string lacks. None: they are no text."""
    said = body.encode("latin-1")
    try:
        said.decode()
    except UnicodeDecodeError as exc:
        if exc.reason != "unexpected end of data":
            return None
        said = said[exc.start :]
    else:
        return ""
    ways = [b""]
    for _ in range(3):
        ways = [more + byte for more in ways for byte in _NEXT]
        for more in ways:
            try:
                (said + more).decode()
            except UnicodeDecodeError:
                continue
            return more.decode("latin-1")
    return None
