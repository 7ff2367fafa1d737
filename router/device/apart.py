"""Whether two parts of a form have nothing in common, as the branches of a `oneOf` must. Pure.

In go two parts, out comes True where surely no answer is both; False where one may be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .form import Choice, Either, Items, Named, Number, Part, Record, Text


def apart(one: Part, other: Part, parts: Mapping[str, Part]) -> bool:
    """Whether surely nothing is both.

    Args:
        parts: What names stand for; of one that is being read or leads on nothing is known.
    """
    one, other = (parts.get(p.name, p) if isinstance(p, Named) else p for p in (one, other))
    if _begins(one).isdisjoint(_begins(other)):
        return True
    if isinstance(one, Choice) and isinstance(other, Choice):
        return _values(one).isdisjoint(_values(other))
    if isinstance(one, Record) and isinstance(other, Record):
        theirs = {f.key: f.part for f in other.fields if f.required}
        return any(
            f.required and f.key in theirs and apart(f.part, theirs[f.key], parts)
            for f in one.fields
        )
    return False


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


def _values(part: Choice) -> set[tuple[bool, object]]:
    """What the texts mean; 1 and 1.0 are one value, while 1 and true are two."""
    return {(isinstance(value, bool), value) for value in map(json.loads, part.texts)}
