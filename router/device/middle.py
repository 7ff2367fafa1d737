"""The middle layer of a model's graph, and how its state becomes an output of it. Pure.

In go the bytes of an ONNX file, out comes the name of the value that enters the layer two thirds of
the way up, and a few dozen bytes: a file with these behind it is the same graph with one output
more. Nodes, weights and what the other outputs give stay as they are, so nothing has to be written
to the model's folder, and no package is needed that knows the format.

Source: protobuf.dev/programming-guides/encoding, "last one wins": an embedded message that comes
twice is merged, its lists joined. onnx.proto3 for the numbers of the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = "hidden_state"
"""The output of a folder that was converted with a layer shown; its metadata says which."""

_MADE = ("blk.{}.residual", "/model/layers.{}/input_layernorm/output_3")
"""What enters a layer, as our converter calls it, and as onnxruntime-genai's model builder does."""

_GRAPH, _PROPERTIES = 7, 14  # of a model
_NODE, _OUTPUT = 1, 12  # of a graph
_NODE_OUTPUT = 2
_NAME = 1  # of a value; a property's key
_VALUE = 2  # of a property
_BYTES = 2  # the wire type of all of these
_SKIPPED = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """Whose state can be read.

    Attributes:
        layer: It is the residual stream that enters this one, 0 for the first.
        name: The graph's name for it.
    """

    layer: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a model's file holds, as far as it is of use here.

    Attributes:
        made: Values that its nodes give.
        outputs: Those that are outputs of the graph.
        properties: Its metadata.
    """

    made: frozenset[str]
    outputs: frozenset[str]
    properties: Mapping[str, str]


def middle_of(config: Mapping[str, Any], contents: Contents) -> Middle | None:
    """The middle layer of a model. None: its graph names no such value that we know.

    A layer that the folder shows already is the one. Else it is two thirds of the way up: layer 20
    of SmolLM2-135M's 30, 21 of Phi-3.5-mini's 32.

    Args:
        config: The folder's `genai_config.json`, parsed.
    """
    shown = contents.properties.get("hidden_layer", "")
    if SHOWN in contents.outputs and shown.isdecimal():
        return Middle(layer=int(shown), name=SHOWN)
    model = config.get("model")
    decoder = model.get("decoder") if isinstance(model, Mapping) else None
    layers = decoder.get("num_hidden_layers") if isinstance(decoder, Mapping) else None
    if not isinstance(layers, int) or layers < 2:
        return None
    layer = round(2 * layers / 3)
    names = (pattern.format(layer) for pattern in _MADE)
    found = next((name for name in names if name in contents.made), None)
    return None if found is None else Middle(layer=layer, name=found)


def contents_of(model: memoryview) -> Contents:
    """What a model's file holds; nothing, if it is no ONNX file or breaks off. The runtime, which
    has to read it too, says what is wrong with such a file."""
    try:
        return _contents(model)
    except ValueError:
        return Contents(made=frozenset(), outputs=frozenset(), properties={})


def output_of(name: str) -> bytes:
    """What makes a value an output, behind the model's file. Its type is the runtime's to infer."""
    return _part(_GRAPH, _part(_OUTPUT, _part(_NAME, name.encode())))


def _contents(model: memoryview) -> Contents:
    made: set[str] = set()
    outputs: set[str] = set()
    properties: dict[str, str] = {}
    for number, part in _parts(model):
        if number == _PROPERTIES:
            pair = {key: _text(value) for key, value in _parts(part)}
            properties[pair.get(_NAME, "")] = pair.get(_VALUE, "")
        for inner, piece in _parts(part) if number == _GRAPH else ():
            if inner == _NODE:
                made.update(_text(value) for key, value in _parts(piece) if key == _NODE_OUTPUT)
            elif inner == _OUTPUT:
                outputs.update(_text(value) for key, value in _parts(piece) if key == _NAME)
    return Contents(made=frozenset(made), outputs=frozenset(outputs), properties=properties)


def _parts(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Fields of a message that have a length, with their numbers; the others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        kind = tag & 7
        if kind == _BYTES:
            size, at = _number(message, at)
            if at + size > len(message):
                raise ValueError("a part of the model's file is longer than the file")
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind == 0:
            _, at = _number(message, at)
        elif kind in _SKIPPED:
            at += _SKIPPED[kind]
        else:
            raise ValueError("the model's file is not of ONNX's format")


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise ValueError("a number of the model's file does not end")


def _part(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _text(part: memoryview) -> str:
    return str(part, "utf-8", "replace")
