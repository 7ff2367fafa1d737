"""Holds a body to the official client's own types: every field they need, and none they lack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic


def strictly(kind: type[pydantic.BaseModel], body: Any, *known: str) -> Any:
    """`body` as that type, without coercion, and with no field that the type lacks.

    Args:
        known: Fields of ours that it may have all the same, anywhere in it.
    """
    found = kind.model_validate(body, strict=True)
    more = [place for place in _more(found, "") if place.rpartition(".")[2] not in known]
    assert not more, f"{kind.__name__} has no {more}"
    return found


def _more(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{at}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _more(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _more(one, f"{at}[{i}]")
