"""A model without weights, as ONNX bytes: for the runtime's own guide, whose logits come from us.

In goes a size of vocabulary, out come some 600 bytes. The graph gives zeros as logits and hands one
number of key-value cache through; the runtime lets its logits be set before a token is chosen.
Written by hand, field by field, since the device needs no ONNX library otherwise.

Source of the field numbers: onnx.proto of ONNX 1.16, IR version 10. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

FILE = "guide.onnx"
"""What the graph's file is called, though it never is one."""

_FLOAT, _INT64, _TENSOR_ATTRIBUTE, _INT_ATTRIBUTE = 1, 7, 4, 2
_IR_VERSION, _OPSET = 10, 21
_CACHES = ("key", "value")


def guide_graph(vocab: int) -> bytes:
    """The whole model file."""
    past = [f"past_key_values.0.{side}" for side in _CACHES]
    present = [f"present.0.{side}" for side in _CACHES]
    zero = _tensor("", _FLOAT, bytes(4))
    nodes = [
        _node("Shape", ["input_ids"], "size"),
        _node("Concat", ["size", "vocab"], "shape", _integer("axis", 0)),
        _node("ConstantOfShape", ["shape"], "logits", _constant("value", zero)),
        *(_node("Identity", [one], other) for one, other in zip(past, present, strict=True)),
    ]
    graph = b"".join(_part(1, node) for node in nodes)
    graph += _part(2, b"guide")
    graph += _part(5, _tensor("vocab", _INT64, vocab.to_bytes(8, "little")))
    inputs = [_port("input_ids", _INT64, "bt"), _port("attention_mask", _INT64, "ba")]
    inputs += [_port(name, _FLOAT, ["b", 1, "p", 1]) for name in past]
    outputs = [_port("logits", _FLOAT, ["b", "t", vocab])]
    outputs += [_port(name, _FLOAT, ["b", 1, "q", 1]) for name in present]
    graph += b"".join(_part(11, port) for port in inputs)
    graph += b"".join(_part(12, port) for port in outputs)
    return _number(1, _IR_VERSION) + _part(8, _number(2, _OPSET)) + _part(7, graph)


def _node(operator: str, inputs: Sequence[str], output: str, attribute: bytes = b"") -> bytes:
    names = b"".join(_part(1, name.encode()) for name in inputs) + _part(2, output.encode())
    return names + _part(4, operator.encode()) + (_part(5, attribute) if attribute else b"")


def _integer(name: str, value: int) -> bytes:
    return _part(1, name.encode()) + _number(3, value) + _number(20, _INT_ATTRIBUTE)


def _constant(name: str, tensor: bytes) -> bytes:
    return _part(1, name.encode()) + _part(5, tensor) + _number(20, _TENSOR_ATTRIBUTE)


def _tensor(name: str, kind: int, raw: bytes) -> bytes:
    """One of a single number."""
    return _number(1, 1) + _number(2, kind) + _part(8, name.encode()) + _part(9, raw)


def _port(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    sizes = b"".join(
        _part(1, _number(1, size) if isinstance(size, int) else _part(2, size.encode()))
        for size in shape
    )
    tensor = _number(1, kind) + _part(2, sizes)
    return _part(1, name.encode()) + _part(2, _part(1, tensor))


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
