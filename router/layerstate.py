"""What a middle layer of a model held while it wrote an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """The state of one layer, averaged over an answer's tokens as the model read them.

    The token that ended the answer is not among them: nothing was run with it.

    Attributes:
        layer: It is the residual stream that enters this one, 0 for the first.
        mean: float32, little-endian, as many numbers as the model is wide.
    """

    layer: int
    mean: bytes
