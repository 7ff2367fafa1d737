"""YAML text becomes plain values, with the line and column of each; or it is refused, with reasons.

A small part of YAML is enough for files that people write, and the rest is where the traps are:
anchors (which can grow without bound), tags, several documents, and keys that are no words are
refused. Unquoted words are read by YAML 1.2, so `on`, `no` and `yes` stay words.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .place import Mark, Place, shown

MAX_DEPTH = 32
MAX_NODES = 10_000
LONGEST_NUMBER = 64


class Wrong(Exception):
    """What is wrong with the text, and where; `read` makes a `ConfigError` of it."""

    def __init__(
        self,
        message: str,
        mark: Mark | None = None,
        place: Place = (),
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.mark = mark
        self.place = place
        self.hint = hint
        super().__init__(message)


def parse(text: str, *, known: bool = False) -> tuple[Any, dict[Place, Mark]]:
    """Plain mappings, lists and scalars, and where each stands.

    Args:
        known: Text of this package, which is known to mean the same to libyaml: that reads it in
            a tenth of the time. It differs in what it refuses, and in which words.

    Reads event by event and stops at the first that is too deep or one too many: the time it takes
    is bounded by the limits above, not by what a hostile text can be made to mean.

    Raises:
        Wrong: not YAML, or a part of YAML that is not allowed here.
    """
    import yaml

    try:
        events = _loader(yaml, known=known)(text)
    except yaml.reader.ReaderError as exc:
        raise Wrong(
            f"character U+{ord(text[exc.position]):04X} is not allowed in text",
            _mark_at(text, exc.position),
        ) from exc
    builder = _Builder(events)
    try:
        return builder.whole(), builder.marks
    except yaml.MarkedYAMLError as exc:
        message, mark, hint = _in_words(exc)
        raise Wrong(message, _mark(mark), builder.place, hint) from exc
    except (ValueError, OverflowError) as exc:
        # PyYAML lets these through: an escape beyond Unicode, a version number of 5,000 digits
        here = _mark(events.get_mark())
        raise Wrong("an escape or a number here is out of range", here, builder.place) from exc
    finally:
        events.dispose()


def _loader(yaml: Any, *, known: bool) -> Any:
    """libyaml's where it may be and is there: PyYAML can be built without it."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader) if known else yaml.SafeLoader


def plain_scalar(text: str) -> Any:
    """What an unquoted word means: YAML 1.2's core schema.

    YAML 1.1, which PyYAML speaks, makes truth values of `on`, `off`, `yes` and `no`, dates of
    dates, and base-60 numbers of times; here they stay words. A whole number of more than 18
    digits becomes a float, as JSON readers do.
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_BASED = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class _Builder:
    """Takes events one by one and builds the values they stand for.

    Attributes:
        place: What is being read, or was read last; says where broken text breaks.
        marks: Where each place stands: a field at its name, an item at its first character.
    """

    def __init__(self, events: Any) -> None:
        self.events = events
        self.place: Place = ()
        self.marks: dict[Place, Mark] = {}
        self.nodes = 0

    def whole(self) -> Any:
        self.events.get_event()  # the stream's start
        if _name(self.events.peek_event()) == "StreamEnd":
            raise Wrong("empty")
        self.events.get_event()  # the document's start
        data = self.node(())
        self.events.get_event()  # the document's end
        after = self.events.get_event()
        if _name(after) != "StreamEnd":
            raise Wrong("a second document begins here", _mark(after.start_mark), hint="keep one")
        return data

    def node(self, place: Place) -> Any:
        self.place = place
        event = self.events.get_event()
        self.check(event, place)
        self.marks.setdefault(place, _mark(event.start_mark))
        kind = _name(event)
        if kind == "SequenceStart":
            return self.sequence(place)
        if kind == "MappingStart":
            return self.mapping(place)
        value: str = event.value
        return value if event.style else plain_scalar(value)

    def check(self, event: Any, place: Place) -> None:
        """Refuse what is not allowed here, and more than there may be."""
        self.nodes += 1
        mark = _mark(event.start_mark)
        if getattr(event, "anchor", None):
            raise Wrong(
                "anchors and aliases are not allowed", mark, place, "write the part out again"
            )
        if getattr(event, "tag", None):
            raise Wrong(f"tag {shown(event.tag)} is not allowed", mark, place)
        if len(place) > MAX_DEPTH:
            raise Wrong(f"nested deeper than {MAX_DEPTH} levels", mark, place[:3])
        if self.nodes > MAX_NODES:
            raise Wrong(f"more than {MAX_NODES} words and values", mark, place)

    def sequence(self, place: Place) -> list[Any]:
        found: list[Any] = []
        while _name(self.events.peek_event()) != "SequenceEnd":
            child = (*place, len(found))
            found.append(self.node(child))
            self.place = child
        self.events.get_event()
        return found

    def mapping(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while _name(self.events.peek_event()) != "MappingEnd":
            event = self.events.get_event()
            self.check(event, place)
            mark = _mark(event.start_mark)
            if _name(event) != "Scalar":
                raise Wrong("a field's name has to be a word", mark, place)
            key: str = event.value
            child = (*place, key)
            if key in found:
                first = self.marks[child][0]
                raise Wrong(f"written twice; the first is in line {first}", mark, child)
            self.marks[child] = mark
            found[key] = self.node(child)
            self.place = child
        self.events.get_event()
        return found


def _name(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _mark(mark: Any) -> Mark:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _mark_at(text: str, position: int) -> Mark:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _in_words(exc: Any) -> tuple[str, Any, str | None]:
    """PyYAML's complaint for people who don't know what a block mapping is: text, mark, hint."""
    problem, context = str(exc.problem or exc.context or ""), str(exc.context or "")
    opened = "" if exc.context_mark is None else f" that begins in line {exc.context_mark.line + 1}"
    message, mark, hint = f"not YAML: {problem}", exc.problem_mark, None
    if "'\\t'" in problem:
        message, hint = "a tab stands here", "indent with spaces"
    elif "quoted scalar" in context:
        message = f"the quoted text{opened} is not closed"
    elif "flow mapping" in context or "flow sequence" in context:
        brackets = "{...}" if "mapping" in context else "[...]"
        message = f"the {brackets}{opened} is not closed, or a comma is missing"
    elif "flow node" in context:
        message, hint = "a value is missing here", "a bracket is open"
    elif "mapping values" in problem:
        message = "a ':' too many for one line"
        hint = "check the indentation; quote text that holds ': '"
    elif "block end" in problem and problem.endswith(("']'", "'}'", "','")):
        message = f"a {problem[-3:]} too many"
    elif "block end" in problem:
        message = "the indentation does not fit the lines above"
    elif "expected ':'" in problem:
        message, mark = "a field's name without ':'", exc.context_mark
    elif "cannot start any token" in problem:
        message, hint = problem.replace("token", "word"), "put the text in quotes"
    return message, mark, hint
