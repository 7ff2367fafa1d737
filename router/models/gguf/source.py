"""A GGUF file, opened: its metadata with their types checked, its tensors as float32.

In: a path. Out: a `Source` to ask. The file is mapped, so a tensor costs memory only while its
float32 copy lives. A file that can't be read, or doesn't say what is asked, is a `ModelError`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

import gguf
import numpy as np
import numpy.typing as npt

from ...errors import ModelError

FloatArray = npt.NDArray[np.float32]
T = TypeVar("T")

_MAGIC = b"GGUF"
_CHUNK_NUMBERS = 1 << 22


class Source:
    """One GGUF file.

    Raises:
        ModelError: It isn't there, isn't a GGUF, is cut short, or is one part of several.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        if self.number("split.count", 1) > 1:
            raise self.error("it is one part of several; join them with llama-gguf-split --merge")

    def error(self, message: str) -> ModelError:
        """A `ModelError` that names this file."""
        return ModelError(f"{self.path.name}: {message}", model=self.path.name)

    def text(self, key: str) -> str | None:
        """A string from the metadata. None: it isn't there."""
        return self._get(key, str)

    def flag(self, key: str, default: bool) -> bool:
        """A truth value from the metadata."""
        value = self._get(key, bool)
        return default if value is None else value

    def index(self, key: str) -> int | None:
        """A token's id from the metadata. None: it isn't there."""
        return self._get(key, int)

    def number(self, key: str, default: float | None = None) -> float:
        """A number from the metadata; without a default it has to be there."""
        value = self._get(key, (int, float))
        if value is None:
            if default is None:
                raise self.error(f"the metadata lack {key}")
            return default
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number from the metadata; without a default it has to be there."""
        return int(self.number(key, default))

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number that can't be less than one."""
        value = self.integer(key, default)
        if value < 1:
            raise self.error(f"{key} in the metadata is {value}")
        return value

    def array(self, key: str) -> list[Any]:
        """A list from the metadata; empty when it isn't there."""
        return self._get(key, list) or []

    def tensor_names(self) -> set[str]:
        """The names of all tensors."""
        return set(self._tensors)

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        """The shape as numpy counts it: a matrix is (n_out, n_in)."""
        return tuple(int(size) for size in reversed(self._tensor(name).shape))

    def tensor_type(self, name: str) -> str:
        """GGUF's word for how the numbers are kept, such as ``"Q4_1"``."""
        return str(self._tensor(name).tensor_type.name)

    def tensor(self, name: str) -> FloatArray:
        """The numbers, dequantised."""
        tensor = self._tensor(name)
        numbers = np.empty(self.tensor_shape(name), np.float32)
        rows = max(1, _CHUNK_NUMBERS // max(1, numbers[:1].size))
        try:
            # In pieces, since gguf makes copies of what it is given.
            for begin in range(0, len(numbers), rows):
                part = slice(begin, begin + rows)
                numbers[part] = gguf.quants.dequantize(tensor.data[part], tensor.tensor_type)
        except NotImplementedError as exc:
            raise self.error(
                f"tensor {name} is of type {self.tensor_type(name)}, which can't be dequantised "
                "here; take another quantisation of the model, such as Q4_K_M or Q8_0"
            ) from exc
        if not np.isfinite(numbers).all():
            raise self.error(f"the tensor {name} holds numbers that are not finite; it is damaged")
        return numbers

    def _tensor(self, name: str) -> gguf.gguf_reader.ReaderTensor:
        if name not in self._tensors:
            raise self.error(f"the tensor {name} is missing")
        return self._tensors[name]

    def _get(self, key: str, kind: type[T] | tuple[type[T], ...]) -> T | None:
        field = self._reader.get_field(key)
        if field is None:
            return None
        try:
            value = field.contents()
        except UnicodeDecodeError as exc:
            raise self.error(f"{key} in the metadata is not UTF-8 text") from exc
        if not isinstance(value, kind):
            raise self.error(f"{key} in the metadata is {value!r:.60}, which was not expected")
        return value


def _open(path: Path) -> gguf.GGUFReader:
    """Map the file and read its head."""

    def unreadable(why: str) -> ModelError:
        return ModelError(f"{path.name}: {why}", model=path.name)

    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as exc:
        raise unreadable(f"can't be read: {exc.strerror or exc}") from exc
    if magic != _MAGIC:
        raise unreadable("this is not a GGUF file; it doesn't begin with GGUF")
    try:
        reader = gguf.GGUFReader(path)
    # A damaged head makes the reader stumble in many ways; it has no error of its own.
    except (ValueError, KeyError, IndexError, OverflowError, MemoryError, OSError) as exc:
        raise unreadable(f"the file is damaged or cut short; download it again ({exc})") from exc
    if reader.byte_order != "I" or sys.byteorder != "little":
        raise unreadable("only little-endian files on little-endian machines are supported")
    return reader
