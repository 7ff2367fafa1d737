"""One field of a line's JSON object, held to what it has to be. Pure.

Unknown, missing and null are all None. What is something else raises `Bad`, which names the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..confidence.statefield import understood
from ..layerstate import LayerState

LEAST_LOGPROB = -1e6
"""Less than any engine tells, and little enough to be added up."""


class Bad(ValueError):
    """A line that can't be used.

    Attributes:
        field: Which of its fields. None: the line as a whole.
        problem: Why, in words that go on after the field's name.
    """

    def __init__(self, field: str | None, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(problem if field is None else f"{field}: {problem}")


def text(found: Mapping[str, Any], name: str) -> str:
    """A field that has to be text."""
    value = found.get(name)
    if not isinstance(value, str):
        raise Bad(name, f"has to be text, not {_shown(value)}")
    return value


def optional_text(found: Mapping[str, Any], name: str) -> str | None:
    """A field that may be missing or null."""
    return None if found.get(name) is None else text(found, name)


def text_or_number(found: Mapping[str, Any], name: str) -> str | None:
    """An answer: text, or a number as it was written."""
    value = found.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return optional_text(found, name)


def number(
    found: Mapping[str, Any], name: str, *, least: float = -math.inf, most: float = math.inf
) -> float | None:
    """A number within bounds."""
    return _number(found.get(name), name, least, most)


def share(found: Mapping[str, Any], name: str) -> float | None:
    """A flag, or a number from 0 to 1."""
    return _share(found.get(name), name)


def numbers(
    found: Mapping[str, Any], name: str, *, least: float = -math.inf, most: float = math.inf
) -> tuple[float | None, ...]:
    """A list of numbers, any of which may be null. Empty: there is none."""
    return tuple(
        _number(value, f"{name}[{at}]", least, most)
        for at, value in enumerate(_list(found, name, "numbers"))
    )


def texts(found: Mapping[str, Any], name: str) -> tuple[str | None, ...] | None:
    """A list of texts, any of which may be null."""
    values = _list(found, name, "texts")
    for at, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise Bad(f"{name}[{at}]", f"has to be text, not {_shown(value)}")
    return None if found.get(name) is None else tuple(values)


def state(found: Mapping[str, Any], name: str) -> LayerState | None:
    """A middle layer's state, as `statefield.written` gives it."""
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Bad(name, "has to be an object with layer and mean")
    try:
        return understood(value.get("layer"), value.get("mean"))
    except ValueError as exc:
        raise Bad(name, str(exc)) from exc


def said(found: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What the user said in the conversation `messages`, the last thing last. None: there is no
    such field. Turns that are no text are passed over, but for the last."""
    turns = found.get("messages")
    if turns is None:
        return None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise Bad("messages", "has to be a list of objects with role and content")
    asked = [turn.get("content") for turn in turns if turn.get("role") == "user"]
    if not asked or not isinstance(asked[-1], str):
        last = _shown(asked[-1]) if asked else "nothing"
        raise Bad("messages", f"the user's last content has to be text, not {last}")
    return tuple(turn for turn in asked if isinstance(turn, str))


def asked(found: Mapping[str, Any]) -> str | None:
    """What the user last said, from `messages` or `prompt`. None: neither is there."""
    turns = said(found)
    last = optional_text(found, "prompt") if turns is None else turns[-1]
    if last is not None and not last.strip():
        raise Bad("prompt", "is empty")
    return last


def prompt_of(found: Mapping[str, Any]) -> str:
    """The same, where it has to be there."""
    last = asked(found)
    if last is None:
        raise Bad("prompt", "is missing, and so is messages")
    return last


def objects(found: Mapping[str, Any], name: str) -> Mapping[str, Mapping[str, Any]]:
    """An object of objects. Empty: there is none."""
    value = mapping(found, name, "objects")
    if not all(isinstance(one, dict) for one in value.values()):
        raise Bad(name, "has to be an object of objects")
    return value


def mapping(found: Mapping[str, Any], name: str, of: str) -> Mapping[str, Any]:
    """An object, whatever its values are. Empty: there is none."""
    value = found.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Bad(name, f"has to be an object of {of}")
    return value


def _list(found: Mapping[str, Any], name: str, of: str) -> list[Any]:
    values = found.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        raise Bad(name, f"has to be a list of {of}")
    return values


def _number(value: Any, name: str, least: float, most: float) -> float | None:
    if value is None:
        return None
    good = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        found = float(value) if good else math.nan
    except OverflowError:  # JSON may write a whole number of any length
        found = math.inf
    if not math.isfinite(found) or not least <= found <= most:
        raise Bad(name, f"has to be a number{_within(least, most)}, not {_shown(value)}")
    return found


def _share(value: Any, name: str) -> float | None:
    if isinstance(value, bool):
        return float(value)
    found = _number(value, name, 0.0, math.inf)
    if found is not None and found > 1:
        raise Bad(name, f"is {found:g}, and has to be from 0 to 1")
    return found


def _within(least: float, most: float) -> str:
    above = f" from {least:g}" if least > -math.inf else ""
    return above + (f" to {most:g}" if most < math.inf else "")


def _shown(value: Any) -> str:
    return json.dumps(value)[:40]
