"""A layer's state as a field of a JSON line: in half precision, half the size."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode

from ..layerstate import LayerState


def written(state: LayerState) -> dict[str, int | str] | None:
    """``{"layer": 20, "mean": "..."}``, the mean as base64 of float16, little-endian.

    Returns: None when a number of it is too large for that, or none.
    """
    size = len(state.mean) // 4
    values = struct.unpack(f"<{size}f", state.mean)
    if not all(abs(value) < 65504 for value in values):  # so neither is one that is no number
        return None
    half = struct.pack(f"<{size}e", *values)
    return {"layer": state.layer, "mean": b64encode(half).decode("ascii")}


def understood(layer: object, mean: object) -> LayerState:
    """What `written` gave, in single precision again.

    Raises:
        ValueError: It is something else; the message goes on after the field's name.
    """
    if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0:
        raise ValueError("layer has to be a whole number from 0")
    if not isinstance(mean, str):
        raise ValueError("mean has to be text, base64 of float16")
    try:
        half = b64decode(mean, validate=True)
        values = struct.unpack(f"<{len(half) // 2}e", half)
    except (ValueError, struct.error) as exc:
        raise ValueError(f"mean is no base64 of float16 ({exc})") from exc
    if not values or not all(abs(value) <= 65504 for value in values):
        raise ValueError("mean holds no numbers, or one that is none")
    return LayerState(layer=layer, mean=struct.pack(f"<{len(values)}f", *values))
