"""Tiny models whose graphs differ in one thing from what our converter writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SWITCH = 4096
"""Where the graph with two position tables changes from one to the other, as Phi-3.5's does."""


def edited(tiny: Path, out: Path, edit: Callable[[onnx.GraphProto], None]) -> Path:
    """A copy of a model's folder with its graph changed."""
    shutil.copytree(tiny, out)
    model = onnx.load(out / "model.onnx", load_external_data=False)
    edit(model.graph)
    onnx.save(model, out / "model.onnx")
    return out


def two_position_tables(graph: onnx.GraphProto) -> None:
    """Rotary tables by the length of the longest row, as builders write LongRoPE models."""
    head = helper.make_tensor_value_info
    size, half = 2 * SWITCH, 8
    angles = np.outer(np.arange(size), 1 / 10000.0 ** (np.arange(half) / half))
    branches = []
    for name, factor in (("long", 0.25), ("short", 1.0)):
        nodes, outputs = [], []
        for part, of in (("cos", np.cos), ("sin", np.sin)):
            table = numpy_helper.from_array(of(angles * factor).astype(np.float32))
            nodes.append(helper.make_node("Constant", [], [f"{name}.{part}"], value=table))
            outputs.append(head(f"{name}.{part}", TensorProto.FLOAT, (size, half)))
        branches.append(helper.make_graph(nodes, name, [], outputs))
    kept = [t for t in graph.initializer if t.name not in ("rope.cos", "rope.sin")]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.initializer.append(numpy_helper.from_array(np.array(SWITCH), "switch"))
    at = next(i for i, node in enumerate(graph.node) if "mask.total" in node.output) + 1
    choice = helper.make_node(
        "If",
        ["is.long"],
        ["rope.cos", "rope.sin"],
        then_branch=branches[0],
        else_branch=branches[1],
    )
    graph.node.insert(at, choice)
    graph.node.insert(at, helper.make_node("Greater", ["mask.total", "switch"], ["is.long"]))


def shows_a_middle_layer(graph: onnx.GraphProto) -> None:
    """The residual stream between its two layers is an output, `blk.1.residual`."""
    shape = ("batch", "tokens", 64)
    graph.output.append(helper.make_tensor_value_info("blk.1.residual", TensorProto.FLOAT, shape))


def shows_its_positions(graph: onnx.GraphProto) -> None:
    """It takes `position_ids` and gives them back as the output `positions`."""
    flat, deep = ("batch", "tokens"), ("batch", "tokens", 1)
    graph.input.append(helper.make_tensor_value_info("position_ids", TensorProto.INT64, flat))
    graph.initializer.append(numpy_helper.from_array(np.array([2]), "third.axis"))
    graph.node.append(helper.make_node("Cast", ["position_ids"], ["p"], to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("Unsqueeze", ["p", "third.axis"], ["positions"]))
    graph.output.append(helper.make_tensor_value_info("positions", TensorProto.FLOAT, deep))


def gives_the_last_logits(graph: onnx.GraphProto) -> None:
    """Logits of a run's last token alone, shape (batch, 1, vocabulary)."""
    graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last.index"))
    for node in graph.node:
        if "logits" in node.output:
            normed = node.input[0]
            node.input[0] = "last.normed"
            last = helper.make_node("Gather", [normed, "last.index"], ["last.normed"], axis=1)
            graph.node.insert(list(graph.node).index(node), last)
            break
    logits = next(port for port in graph.output if port.name == "logits")
    logits.type.tensor_type.shape.dim[1].ClearField("dim_param")
    logits.type.tensor_type.shape.dim[1].dim_value = 1


def mixes_its_rows(graph: onnx.GraphProto) -> None:
    """Every row is taken to be as long as the longest: short ones read what is not theirs."""
    for node in graph.node:
        if "mask.last" in node.output:
            node.input[0] = "mask.longest"
            most = helper.make_node("ReduceMax", ["mask.count"], ["top"], keepdims=1)
            spread = helper.make_node("Shape", ["mask.count"], ["rows"])
            longest = helper.make_node("Expand", ["top", "rows"], ["mask.longest"])
            at = list(graph.node).index(node)
            for number, new in enumerate((most, spread, longest)):
                graph.node.insert(at + number, new)
            return


def half_precision(graph: onnx.GraphProto) -> None:
    """Attention with its caches, and the logits, in float16."""
    half, whole = TensorProto.FLOAT16, TensorProto.FLOAT
    nodes: list[onnx.NodeProto] = []
    for name in ("rope.cos", "rope.sin"):
        nodes.append(helper.make_node("Cast", [name], [f"{name}.half"], to=half))
    for node in graph.node:
        if "logits" in node.output:
            node.output[0] = "logits.whole"
            nodes += [node, helper.make_node("Cast", ["logits.whole"], ["logits"], to=half)]
        elif node.op_type == "GroupQueryAttention":
            qkv, out = node.input[0], node.output[0]
            node.input[0], node.output[0] = f"{qkv}.half", f"{out}.half"
            node.input[7], node.input[8] = "rope.cos.half", "rope.sin.half"
            nodes.append(helper.make_node("Cast", [qkv], [f"{qkv}.half"], to=half))
            nodes += [node, helper.make_node("Cast", [f"{out}.half"], [out], to=whole)]
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for port in (*graph.input, *graph.output):
        if port.name == "logits" or port.name.startswith(("past", "present")):
            port.type.tensor_type.elem_type = half
