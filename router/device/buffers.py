"""Memory that a run of a graph reads from and writes to, kept from run to run.

To tell the runtime where a value lies costs more than to write a token's inputs, so a value stays
where it is, and the runtime is told again only when it moves or changes its shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .slots import Array


class Buffer:
    """Memory for one value: as large as the largest run needed, in the shape of the last.

    Attributes:
        view: The value, in its shape.
        address: Where it begins.

    Args:
        fill: A number that stands everywhere when memory is had. None: whatever was there.
    """

    def __init__(self, kind: npt.DTypeLike, fill: int | None = None) -> None:
        self.kind = np.dtype(kind).type
        self._fill = fill
        self._flat: Array = np.empty(0, kind)
        self.view: Array = self._flat
        self.address = 0

    def shaped(self, shape: tuple[int, ...]) -> Array:
        """The value in this shape; what it held is lost where it has to grow."""
        if self.view.shape == shape:
            return self.view
        size = math.prod(shape)
        if size > self._flat.size:
            self._flat = np.empty(size, self.kind)
            if self._fill is not None:
                self._flat.fill(self._fill)
            self.address = self._flat.ctypes.data
        self.view = self._flat[:size].reshape(shape)
        return self.view


class Bound:
    """A binding of the runtime's that knows what it was told."""

    def __init__(self, binding: Any) -> None:
        self.binding = binding
        self._told: dict[str, tuple[int, tuple[int, ...]]] = {}

    def give(self, name: str, buffer: Buffer) -> None:
        """This input lies there."""
        if self._is_new(name, buffer):
            self.binding.bind_input(name, "cpu", 0, buffer.kind, buffer.view.shape, buffer.address)

    def take(self, name: str, buffer: Buffer) -> None:
        """This output goes there."""
        if self._is_new(name, buffer):
            self.binding.bind_output(name, "cpu", 0, buffer.kind, buffer.view.shape, buffer.address)

    def _is_new(self, name: str, buffer: Buffer) -> bool:
        where = (buffer.address, buffer.view.shape)
        if self._told.get(name) == where:
            return False
        self._told[name] = where
        return True
