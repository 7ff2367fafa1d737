"""Random JSON Schemas as people write them: nested, with arrays, enums, references."""

from __future__ import annotations

import random
from typing import Any

_WORDS = ("name", "age", "tags", "kind", "größe", "note", "items", "id", 'a "b"', "x/y", "ñandú")
_SHORT = ("", ".", "a", "n", "..")
"""Names that a key of any name easily becomes where it is cut short."""


def random_schema(seed: int) -> dict[str, Any]:
    """An object at least three deep; the same seed gives the same schema."""
    dice = random.Random(seed)
    shared = {f"Part{i}": _object(dice, 1, ()) for i in range(dice.randint(1, 2))}
    names = tuple(shared)
    if dice.random() < 0.3:  # one that contains itself
        shared["Node"] = {
            "type": "object",
            "properties": {
                "value": _leaf(dice),
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
        names = (*names, "Node")
    deep: dict[str, Any] = _object(dice, 0, names)
    for _ in range(2):
        holder = {"type": "array", "items": deep, "maxItems": 3} if dice.random() < 0.4 else deep
        deep = {
            "type": "object",
            "properties": {"inner": holder, **_properties(dice, 1, names)},
            "required": ["inner"],
            "additionalProperties": False,
        }
    return {**deep, "$defs": shared}


def _object(dice: random.Random, depth: int, names: tuple[str, ...]) -> dict[str, Any]:
    properties = _properties(dice, depth, names)
    if open_ := dice.random() < 0.2:
        properties |= {name: _leaf(dice) for name in dice.sample(_SHORT, 2)}
    required = [name for name in properties if dice.random() < 0.6]
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if open_:
        schema["additionalProperties"] = _leaf(dice)
    elif dice.random() < 0.5:
        schema["additionalProperties"] = False
    return schema


def _properties(dice: random.Random, depth: int, names: tuple[str, ...]) -> dict[str, Any]:
    chosen = dice.sample(_WORDS, dice.randint(1, 4))
    return {name: _any(dice, depth, names) for name in chosen}


def _any(dice: random.Random, depth: int, names: tuple[str, ...]) -> dict[str, Any]:
    roll = dice.random()
    if names and roll < 0.2:
        return {"$ref": f"#/$defs/{dice.choice(names)}"}
    if depth < 2 and roll < 0.4:
        array: dict[str, Any] = {"type": "array", "items": _any(dice, depth + 1, names)}
        if dice.random() < 0.5:
            array["minItems"] = dice.randint(0, 2)
        if dice.random() < 0.5:
            array["maxItems"] = dice.randint(2, 4)
        return array
    if depth < 2 and roll < 0.5:
        return _object(dice, depth + 1, names)
    if roll < 0.6:
        return {"anyOf": [_leaf(dice), {"type": "null"}]}
    return _leaf(dice)


def _leaf(dice: random.Random) -> dict[str, Any]:
    match dice.randrange(7):
        case 0:
            return {"type": "string"}
        case 1:
            low = dice.randint(0, 4)
            return {"type": "string", "minLength": low, "maxLength": low + dice.randint(0, 12)}
        case 2:
            return {"type": "integer"}
        case 3:
            low = dice.randint(-500, 500)
            return {"type": "integer", "minimum": low, "maximum": low + dice.randint(0, 900)}
        case 4:
            low = round(dice.uniform(-5, 5), 2)
            return {"type": "number", "minimum": low, "exclusiveMaximum": low + dice.randint(1, 9)}
        case 5:
            return {"enum": dice.sample(["red", "grün", 'say "hi"', 7, 1.5, 1e-7, None, True], 3)}
        case _:
            return {"type": dice.choice(["boolean", "number", "null"])}
