"""Calibration files made by hand: one signal decides, so that a test can foresee what is said."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from router.confidence.estimator import Blend, Estimator
from router.confidence.guarantee import Certificate, Promise
from router.confidence.logistic import Line
from router.confidence.stored import Binding, Calibration, to_bytes
from router.signals.catalogue import CATALOGUE

SCRIPT = Binding(model="script", quantisation="none", engine="scripted")
"""What a scripted target answers with."""
TASKS = CATALOGUE["prompt.task"].words


def estimator(tasks: tuple[str, ...] = TASKS) -> Estimator:
    """Even at a mean log-probability of -0.5, all but sure from -0.25 up and from -0.75 down.

    Args:
        tasks: What it was fitted on.
    """

    def blend(width: int) -> Blend:
        ones = np.ones(width)
        centre, scale, slope = -0.5 * np.eye(1, width)[0], ones.copy(), 0 * ones
        scale[0], slope[0] = 0.25, 4.0
        line = Line(centre=centre, scale=scale, slope=slope, base=0.0)
        return Blend(forest=None, line=line, slope=np.array([0.0, 1.0]), base=0.0)

    return Estimator(
        names=("tokens.mean_logprob",),
        buckets=tasks,
        known=blend(1 + len(tasks)),
        offset=np.zeros(len(tasks)),
        doubt=np.full(len(tasks), 0.1),
        general=blend(1),
        spread=1.0,
    )


def calibration(
    binding: Binding = SCRIPT, *, bar: float | None = 0.8, tasks: tuple[str, ...] = TASKS
) -> Calibration:
    """With a certified bar, or without one."""
    certificate = None
    if bar is not None:
        certificate = Certificate(bar=bar, kept=0.5, loss=0.02, most_loss=0.04, labels=400)
    return Calibration(
        binding=binding,
        estimator=estimator(tasks),
        promise=Promise(loss=0.05),
        certificate=certificate,
    )


def write(path: Path, made: Calibration | None = None, **more: Any) -> Path:
    """The file, with other fields of its body replaced or added; its digest is right."""
    found = msgspec.json.decode(to_bytes(made or calibration()))
    body = msgspec.json.encode({**found["calibration"], **more})
    whole = {**found, "sha256": sha256(body).hexdigest(), "calibration": msgspec.Raw(body)}
    path.write_bytes(msgspec.json.encode(whole))
    return path
