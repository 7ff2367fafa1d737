"""JSON Schemas of callers, held to bounds: no network, no endless patterns, no endless references.

The one file that imports jsonschema, on the first schema: some 0.15 s. A checked schema is kept, so
the next answer costs only its own check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

MOST_REFERENCES = 20_000
"""References followed for one answer. Schemas that refer to themselves twice grow by powers."""
MOST_STEPS = 10_000_000
"""Steps a pattern may take on the longest string, by the worst case of its repeats."""
MOST_SCHEMA = 200_000
"""Characters of a schema, as JSON."""

MOST_PATTERN = 500
"""Characters of a pattern."""

_ATOM = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
"""An escaped character or a class: one letter, whatever it may be."""
_GROUP = re.compile(r"\(\?(?:[:=!>]|<[=!]|P<\w+>)")
_AGAIN = re.compile(r"[*+]|\{(?:\d*,|[5-9]|\d\d)")
"""Behind a group: it comes again and again."""
_VARIES = re.compile(r"[*+?|]|\{\d*,")
"""Behind or in a group: it may be read in more ways than one."""
_UNBOUNDED = re.compile(r"[*+]|\{\d*,\d*\}")
_left: ContextVar[int] = ContextVar("references_left")


class SchemaProblem(Exception):
    """The schema can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Checker:
    """A schema that is ready to be held against values.

    Attributes:
        validator: A jsonschema validator.
        repeats: Most unbounded repeats in one of its patterns.
    """

    validator: Any
    repeats: int

    def misfit(self, value: object) -> str | None:
        """Where the value breaks the schema first, and which keyword; None when it fits.

        Raises: SchemaProblem when that can't be found out.
        """
        if self.repeats and _longest(value) ** self.repeats > MOST_STEPS:
            raise SchemaProblem("a string of the answer is too long for its patterns")
        token = _left.set(MOST_REFERENCES)
        try:
            error = next(self.validator.iter_errors(value), None)
        except SchemaProblem:
            raise
        except RecursionError as exc:
            raise SchemaProblem("it or the answer is nested too deeply") from exc
        except Exception as exc:  # a library's door: a schema is anybody's text
            raise SchemaProblem(_said(exc)) from exc
        finally:
            _left.reset(token)
        if error is None:
            return None
        place = ".".join(str(part) for part in error.absolute_path)[:100]
        return f"{place or 'the whole'} breaks {error.validator!r}"


def checker(schema: Mapping[str, Any]) -> Checker:
    """The schema, checked. Raises SchemaProblem when it can't be used."""
    try:
        text = json.dumps(schema, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as exc:
        raise SchemaProblem("it is no JSON") from exc
    if len(text) > MOST_SCHEMA:
        raise SchemaProblem(f"it is longer than {MOST_SCHEMA:,} characters")
    found = _checked(text)
    if isinstance(found, str):
        raise SchemaProblem(found)
    return found


def load() -> None:
    """Import jsonschema, if it is not imported yet."""
    checker({})


@lru_cache(maxsize=64)
def _checked(text: str) -> Checker | str:
    """The checker, or what is wrong with the schema."""
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    try:
        schema = json.loads(text)
        patterns = list(_patterns(schema, whole=True))
        kind = _bounded(str(schema.get("$schema", "")))
        kind.check_schema(schema)
        repeats = max((_repeats(pattern) for pattern in patterns), default=0)
        # A registry without a way to retrieve: a reference to elsewhere is an error, not a fetch.
        return Checker(kind(schema, registry=Registry()), repeats)
    except SchemaProblem as problem:
        return str(problem)
    except SchemaError as exc:
        place = ".".join(str(part) for part in exc.absolute_path)
        return f"{place or 'the whole'} is no JSON Schema: it breaks {exc.validator!r}"[:200]
    except RecursionError:
        return "it is nested too deeply"
    except Exception as exc:  # a library's door: a schema is anybody's text
        return _said(exc)


@cache
def _bounded(dialect: str) -> Any:
    """The validator of a dialect, 2020-12 when it names none that is known, counting references."""
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend
    base = validators.validator_for({"$schema": dialect}, default=Draft202012Validator)

    def counted(follow: Any) -> Any:
        def followed(*args: Any) -> Iterator[Any]:
            left = _left.get(MOST_REFERENCES) - 1
            _left.set(left)
            if left < 0:
                raise SchemaProblem("its references lead on without end")
            yield from follow(*args) or ()

        return followed

    names = {"$ref", "$dynamicRef", "$recursiveRef"} & set(base.VALIDATORS)
    return extend(base, {name: counted(base.VALIDATORS[name]) for name in names})


def _patterns(node: object, *, whole: bool = False) -> Iterator[str]:
    """Every pattern in the schema. What only looks like one, in an example, is taken for one.

    Raises SchemaProblem where a part has a dialect of its own: it would have no bounds.
    """
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            elif key == "patternProperties" and isinstance(value, dict):
                yield from value
            elif key == "$schema" and isinstance(value, str) and not whole:
                raise SchemaProblem("a part of it has a dialect of its own")
            yield from _patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from _patterns(value)


def _repeats(pattern: str) -> int:
    """Repeats in a pattern whose number varies, one for the place where it may begin included.

    Time grows with the string's length to that power at most. Raises SchemaProblem for a pattern
    that may take exponential time: one with a group that comes again and again and may be read in
    more ways than one, as ``(a+)+`` or ``(a|aa)*``. Some such patterns are harmless; which can't be
    told cheaply.
    """
    shown = repr(pattern[:60])
    if len(pattern) > MOST_PATTERN:
        raise SchemaProblem(f"the pattern {shown} is longer than {MOST_PATTERN} characters")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise SchemaProblem(f"the pattern {shown} is none Python knows") from exc
    if re.search(r"\\[1-9]|\(\?P=|\(\?\(", pattern):
        raise SchemaProblem(f"the pattern {shown} refers back to a group")
    plain = _GROUP.sub("(", _ATOM.sub("x", pattern))
    if _endless(plain):
        raise SchemaProblem(f"the pattern {shown} may take forever")
    return len(_UNBOUNDED.findall(plain)) + (not plain.startswith("^"))


def _endless(plain: str) -> bool:
    """Whether a group that varies is repeated; `plain` has its atoms replaced."""
    varies = [False]
    for place, sign in enumerate(plain):
        if sign == "(":
            varies.append(False)
        elif sign == ")" and len(varies) > 1:
            inner = varies.pop()
            if inner and _AGAIN.match(plain, place + 1):
                return True
            varies[-1] |= inner
        elif _VARIES.match(plain, place):
            varies[-1] = True
    return False


def _longest(value: object) -> int:
    """Characters of the longest string or name in a value."""
    longest, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            longest = max(longest, len(one))
        elif isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return longest


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"[:200]
