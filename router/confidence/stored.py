"""An estimator and its bar as JSON, bound to what they were measured on. Bytes in, bytes out.

What comes in is checked before it is believed: a broken, foreign or stale file raises
`ConfigError`, and with no estimator a confidence is unknown, which never accepts a draft.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
import numpy as np

from ..errors import ConfigError
from .estimator import WORDS, Estimator
from .guarantee import Certificate, Promise

FORMAT = 1
SIGNALS = 1
"""Raised whenever a signal's meaning changes: what was fitted on the old one is then stale."""
_Stored = TypeVar("_Stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a calibration holds for, and for nothing else.

    Attributes:
        model: Name, or hash, of the device model; `quantisation` of its weights.
        engine: The runtime with its version.
        signals: `SIGNALS` when it was fitted.
    """

    model: str
    quantisation: str
    engine: str
    signals: int = SIGNALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All of one calibration file.

    Attributes:
        certificate: None: nothing could be certified, and whatever bar is used is uncertified.
    """

    binding: Binding
    estimator: Estimator
    promise: Promise | None = None
    certificate: Certificate | None = None


def to_bytes(calibration: Calibration) -> bytes:
    """The file: JSON with a digest of its own content."""
    body = msgspec.json.encode(calibration, enc_hook=_plain)
    return msgspec.json.encode(
        {"format": FORMAT, "sha256": sha256(body).hexdigest(), "calibration": msgspec.Raw(body)}
    )


class _Envelope(msgspec.Struct):
    format: int
    sha256: str
    calibration: msgspec.Raw


def from_bytes(data: bytes, expected: Binding, file: str = "calibration") -> Calibration:
    """What a file says, if it holds for `expected`.

    Raises:
        ConfigError: It is broken, of another format, or was made for something else.
    """
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except msgspec.MsgspecError as exc:
        raise _refused(file, f"is no calibration file ({exc})") from exc
    if envelope.format != FORMAT:
        raise _refused(file, f"has format {envelope.format}; this version reads {FORMAT}")
    body = bytes(envelope.calibration)
    if sha256(body).hexdigest() != envelope.sha256:
        raise _refused(file, "was changed or cut off since it was written")
    try:
        found = msgspec.json.decode(body, type=Calibration, dec_hook=_array)
    except msgspec.MsgspecError as exc:
        raise _refused(file, f"does not hold a calibration ({exc})") from exc
    _check(found.estimator, file)
    for field in fields(Binding):
        made, now = getattr(found.binding, field.name), getattr(expected, field.name)
        if made != now:
            raise _refused(file, f"was made for {field.name} {made!r}, and this is {now!r}")
    return found


def _check(estimator: Estimator, file: str) -> None:
    """Shapes that fit each other and numbers that are some."""
    names, tasks = len(estimator.names), len(estimator.buckets)
    sized = [(estimator.offset, tasks), (estimator.doubt, tasks)]
    for blend, width in ((estimator.known, names + tasks), (estimator.general, names)):
        line = blend.line
        sized += [(line.centre, width), (line.scale, width), (line.slope, width), (blend.slope, 2)]
        forest = blend.forest
        if forest is None:
            continue
        trees = len(forest.feature)
        shapes = [forest.feature.shape, forest.cut.shape, forest.unknown_right.shape]
        if shapes != [(trees, 7)] * 3 or forest.leaf.shape != (trees, 8):
            raise _refused(file, "holds trees of another shape")
        if trees and not 0 <= forest.feature.min() <= forest.feature.max() < width:
            raise _refused(file, "holds trees that ask for signals it does not name")
        if not np.isfinite(forest.leaf).all() or np.isnan(forest.cut).any():
            raise _refused(file, "holds trees with a value that is no number")
    words = estimator.words
    if words is not None:
        sized.append((words.weight, words.weight.size))
        if not words.weight.size or estimator.names[-1:] != (WORDS,):
            raise _refused(file, "reads words but names no signal for them")
    for array, size in sized:
        if array.shape != (size,) or not np.isfinite(array).all():
            raise _refused(file, "holds arrays that don't fit each other, or values that are none")


def _refused(file: str, problem: str) -> ConfigError:
    return ConfigError(
        f"The calibration {problem}. Confidence is unknown until it is made anew, so every draft "
        "is escalated.",
        file=file,
        hint="run `firsthop calibrate` again",
    )


_TYPES = {"f": "float64", "i": "int64", "b": "bool"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # JSON has no infinity: a question that all answer with "left" has an infinite cut.
        flat = [None if x in (np.inf, -np.inf) else x for x in value.ravel().tolist()]
        return {"type": value.dtype.kind, "shape": list(value.shape), "values": flat}
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _array(kind: type[_Stored], value: Any) -> Any:
    """What `_plain` wrote."""
    try:
        flat = [np.inf if x is None else x for x in value["values"]]
        return np.array(flat, dtype=_TYPES[value["type"]]).reshape(value["shape"])
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise ValueError(f"an array can't be read: {exc}") from exc
