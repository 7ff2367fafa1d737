"""A layer's state as a field: what comes back, and what is no state."""

from __future__ import annotations

import json
import struct
from base64 import b64encode

import numpy as np
import pytest

from router.confidence.statefield import understood, written
from router.layerstate import LayerState


def state(*values: float) -> LayerState:
    return LayerState(layer=20, mean=struct.pack(f"<{len(values)}f", *values))


def test_a_state_comes_back_as_near_as_half_precision_is() -> None:
    values = np.random.default_rng(3).normal(0, 30, 576)
    field = written(state(*values))
    assert field is not None

    back = understood(**json.loads(json.dumps(field)))

    assert back.layer == 20
    assert np.frombuffer(back.mean, "<f4") == pytest.approx(values, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("value", [7e4, -7e4, float("inf"), float("nan")])
def test_a_number_too_large_for_it_leaves_the_state_unknown(value: float) -> None:
    assert written(state(1.0, value)) is None


@pytest.mark.parametrize(
    ("layer", "mean", "says"),
    [
        (-1, "AAA=", "layer"),
        (True, "AAA=", "layer"),
        (1, None, "text"),
        (1, "", "no numbers"),
        (1, "A", "base64"),
        (1, "?!", "base64"),
        (1, b64encode(b"abc").decode(), "float16"),
        (1, b64encode(struct.pack("<e", float("inf"))).decode(), "none"),
    ],
)
def test_what_is_no_state_is_refused(layer: object, mean: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        understood(layer, mean)
