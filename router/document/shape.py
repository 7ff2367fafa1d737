"""What pydantic found wrong with a document, in words for the person who wrote it.

Values are named by their kind, not quoted: what stands in the wrong place may be a key.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import pydantic

from .place import Key, Mark, Place, clipped, nearest, shown

_HAS_TO_BE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of fields",
    "mapping_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}
_OTHER_FORM = frozenset((*_HAS_TO_BE, "literal_error"))
_BOUNDS = {
    "greater_than": "has to be more than {gt:g}",
    "greater_than_equal": "has to be at least {ge:g}",
    "less_than": "has to be less than {lt:g}",
    "less_than_equal": "has to be at most {le:g}",
    "finite_number": "has to be a finite number",
    "too_short": "has to have at least {min_length}",
    "string_too_short": "must not be empty",
    "missing": "is missing",
    "extra_forbidden": "unknown field",
}


def first_problem(
    error: pydantic.ValidationError,
    model: type[pydantic.BaseModel],
    marks: Mapping[Place, Mark],
    at: Place,
) -> tuple[str, Place, str | None]:
    """The problem to tell: message, place in the document, hint.

    Args:
        error: As pydantic raised it.
        model: What the document was held against.
        marks: What was written, and where.
        at: Where the checked part stands in the document.
    """
    found = [
        (_written(problem, marks, at), problem)
        for problem in error.errors(include_url=False, include_context=True)
    ]
    found.sort(key=lambda pair: (pair[1]["type"] == "missing", _order(pair[0], marks)))
    place, problem = found[0]
    # Of a value that may be one thing or another, the deepest complaint is the one that is meant.
    deeper = [
        pair for pair in found if len(pair[0]) > len(place) and pair[0][: len(place)] == place
    ]
    of_a_form = len(problem["loc"]) > len(place) - len(at)  # it ends in the name of a union member
    if of_a_form and deeper:
        place, problem = deeper[0]
    here = [p for spot, p in found if spot == place]
    # ... and what is of the right form and wrong in itself comes before "not of this form".
    problem = next((p for p in here if p["type"] not in _OTHER_FORM), problem)
    around = _annotations(model, place[len(at) : -1])
    return _message(problem, here), place, _hint(problem, place, around, model, at)


def _written(problem: Any, marks: Mapping[Place, Mark], at: Place) -> Place:
    """Pydantic's location without the names of union members, which nobody wrote."""
    place = at
    loc: Sequence[Key] = problem["loc"]
    for i, key in enumerate(loc):
        missing = problem["type"] == "missing" and i == len(loc) - 1
        if (*place, key) in marks or missing:
            place = (*place, key)
    return place


def _order(place: Place, marks: Mapping[Place, Mark]) -> Mark:
    while place and place not in marks:
        place = place[:-1]
    return marks.get(place, (0, 0))


def _message(problem: Any, here: Sequence[Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _HAS_TO_BE:
        forms = dict.fromkeys(_HAS_TO_BE[p["type"]] for p in here if p["type"] in _HAS_TO_BE)
        return f"has to be {' or '.join(forms)}, not {_kind_of(problem['input'])}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind == "literal_error":
        return f"{shown(problem['input'])} is not a valid word here"
    return str(problem["msg"]).removeprefix("Value error, ")


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {clipped(repr(value))}"
    if isinstance(value, list | dict):
        return shown(value)
    return "text"


def _hint(
    problem: Any, place: Place, around: list[Any], model: type[pydantic.BaseModel], at: Place
) -> str | None:
    kind = problem["type"]
    if kind == "extra_forbidden":
        return nearest(str(place[-1]), _field_names(around))
    if kind == "literal_error":
        expected = str(problem.get("ctx", {}).get("expected", ""))
        words = [w.strip(" '\"") for w in expected.replace(" or ", ",").split(",")]
        return nearest(str(problem["input"]), words)
    if kind in ("model_type", "model_attributes_type"):
        fields = _required(_annotations(model, place[len(at) :]))
        return f"write {{{', '.join(f'{name}: ...' for name in fields)}}}" if fields else None
    return None


def _annotations(model: Any, place: Place) -> list[Any]:
    """The types valid at `place`: what `model` says, followed key by key."""
    current: list[Any] = [model]
    for key in place:
        current = [t for annotation in current for t in _inside(annotation, key)]
    return current


def _inside(annotation: Any, key: Key) -> list[Any]:
    if _is_model(annotation):
        info = annotation.model_fields.get(key)
        return _forms(info.annotation) if info else []
    arguments = get_args(annotation)
    if get_origin(annotation) in (list, tuple) and isinstance(key, int) and arguments:
        return _forms(arguments[0])
    if get_origin(annotation) is dict and len(arguments) == 2:
        return _forms(arguments[1])
    return []


def _forms(annotation: Any) -> list[Any]:
    """A union's members, without the wrapping of `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [form for member in get_args(annotation) for form in _forms(member)]
    return [annotation]


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, pydantic.BaseModel)


def _field_names(annotations: Iterable[Any]) -> list[str]:
    return [
        info.alias or name
        for model in annotations
        if _is_model(model)
        for name, info in model.model_fields.items()
    ]


def _required(annotations: Iterable[Any]) -> list[str]:
    return [
        info.alias or name
        for model in annotations
        if _is_model(model)
        for name, info in model.model_fields.items()
        if info.is_required()
    ]
