"""An ONNX graph under construction: nodes are collected, weights go to disk as they come.

In: nodes, arrays. Out: `model.onnx` and, beside it, `model.onnx.data`. A weight is written the
moment it is added and then forgotten, so the largest tensor bounds the memory, not the model.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

MODEL_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"

# ORT maps the data file; a tensor that begins on a page is mapped without its neighbour.
_PAGE_BYTES = 4096
_OPSET = 21
_IR_VERSION = 10
_MICROSOFT = "com.microsoft"

Dim = int | str


class OnnxFile:
    """A graph on its way to a folder. Use as a context manager; `save` writes the graph itself.

    Args:
        folder: Exists and may be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = (folder / DATA_FILE).open("wb")
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def __enter__(self) -> OnnxFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._data.close()

    def input(self, name: str, dtype: npt.DTypeLike, shape: tuple[Dim, ...]) -> str:
        """Declare a graph input; gives its name back."""
        self._inputs.append(helper.make_tensor_value_info(name, _onnx_type(dtype), shape))
        return name

    def output(self, name: str, dtype: npt.DTypeLike, shape: tuple[Dim, ...]) -> None:
        """Declare a value as a graph output."""
        self._outputs.append(helper.make_tensor_value_info(name, _onnx_type(dtype), shape))

    def node(
        self,
        op: str,
        inputs: list[str],
        outputs: list[str],
        *,
        microsoft: bool = False,
        **attributes: Any,
    ) -> str:
        """Add a node, named after its first output; gives that output back.

        An empty string stands for an optional input or output that is left out. `microsoft`
        says the operator is ONNX Runtime's own, not the standard's.
        """
        domain = _MICROSOFT if microsoft else ""
        self._nodes.append(
            helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        )
        return outputs[0]

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add a few numbers that live in the graph file; the same name twice is one constant."""
        if name not in self._initializers:
            self._initializers[name] = onnx.numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str, array: npt.NDArray[Any]) -> str:
        """Write an array to the data file and refer to it by `name`."""
        self._data.write(b"\0" * (-self._data.tell() % _PAGE_BYTES))
        offset = self._data.tell()
        contiguous = np.ascontiguousarray(array)
        self._data.write(contiguous.view(np.uint8).reshape(-1).data)
        tensor = TensorProto(
            name=name,
            data_type=_onnx_type(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": DATA_FILE, "offset": offset, "length": contiguous.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._initializers[name] = tensor
        return name

    def view(self, name: str, of: str, shape: tuple[int, ...]) -> str:
        """A second name for the bytes of the weight `of`, seen with another shape."""
        tensor = TensorProto()
        tensor.CopyFrom(self._initializers[of])
        tensor.name = name
        tensor.ClearField("dims")
        tensor.dims.extend(shape)
        self._initializers[name] = tensor
        return name

    def save(self, *, producer: str, properties: dict[str, str]) -> None:
        """Write the graph. `properties` go into the model's metadata."""
        graph = helper.make_graph(
            self._nodes, "model", self._inputs, self._outputs, list(self._initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)],
            producer_name=producer,
            ir_version=_IR_VERSION,
        )
        helper.set_model_props(model, properties)
        self._data.flush()
        (self._folder / MODEL_FILE).write_bytes(model.SerializeToString())


def _onnx_type(dtype: npt.DTypeLike) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
