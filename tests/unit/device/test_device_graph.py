"""Which graphs can be driven with key-value memory of our own, told from what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from router.device.graph import Port, model_file, read_graph
from router.errors import Incapable

FLOAT, HALF, INT64 = "tensor(float)", "tensor(float16)", "tensor(int64)"
CACHE = ("batch", 3, "past", 64)


def config(**decoder: Any) -> dict[str, Any]:
    return {"model": {"decoder": {"filename": "model.onnx", "num_hidden_layers": 2} | decoder}}


def port(name: str, kind: str, *shape: object) -> Port:
    return Port(name=name, type=kind, shape=shape)


def inputs(kind: str = FLOAT) -> list[Port]:
    names = [f"past_key_values.{n}.{side}" for n in (0, 1) for side in ("key", "value")]
    caches = [port(name, kind, *CACHE) for name in names]
    mask = port("attention_mask", INT64, "batch", "total")
    return [port("input_ids", INT64, "batch", "tokens"), mask, *caches]


def outputs(kind: str = FLOAT) -> list[Port]:
    names = [f"present.{n}.{side}" for n in (0, 1) for side in ("key", "value")]
    logits = port("logits", FLOAT, "batch", "tokens", 500)
    return [logits, *(port(name, kind, *CACHE) for name in names)]


def two(operator: str) -> int:
    return 2 if operator == "GroupQueryAttention" else 0


def test_a_graph_of_our_converter_is_read():
    graph = read_graph(config(), inputs(), outputs(), two)

    assert graph.past == tuple(p.name for p in inputs()[2:])
    assert graph.present == tuple(p.name for p in outputs()[1:])
    assert (graph.heads, graph.head_size, graph.vocab) == (3, 64, 500)
    assert (graph.positions, graph.hidden, graph.last_only) == (None, None, False)
    assert graph.token_bytes == 2 * 2 * 3 * 64 * 4


def test_half_precision_takes_half_the_memory():
    whole = read_graph(config(), inputs(), outputs(), two)
    half = read_graph(config(), inputs(HALF), outputs(HALF), two)

    assert half.cache == "float16"
    assert half.token_bytes * 2 == whole.token_bytes


def test_names_of_the_config_count():
    named = {"inputs": {"input_ids": "ids", "past_key_names": "k%d", "past_value_names": "v%d"}}
    takes = inputs()
    takes[0] = replace(takes[0], name="ids")
    names = ("k0", "v0", "k1", "v1")
    takes[2:] = [replace(p, name=name) for p, name in zip(takes[2:], names, strict=True)]

    graph = read_graph(config(**named), takes, outputs(), two)

    assert (graph.ids, graph.past) == ("ids", names)


def test_logits_of_the_last_token_alone_are_noticed():
    gives = [port("logits", FLOAT, "batch", 1, 500), *outputs()[1:]]

    assert read_graph(config(), inputs(), gives, two).last_only


def test_an_extra_output_is_there_when_it_is_asked_for_by_name():
    gives = [*outputs(), port("hidden_state", FLOAT, "batch", "tokens", 32)]

    found = read_graph(config(), inputs(), gives, two, hidden="hidden_state")
    unasked = read_graph(config(), inputs(), gives, two)
    absent = read_graph(config(), inputs(), outputs(), two, hidden="hidden_state")

    assert (found.hidden, found.hidden_size) == ("hidden_state", 32)
    assert unasked.hidden is None
    assert absent.hidden is None


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        (FLOAT, ("batch", "tokens", "wide"), 32),
        (FLOAT, (), 32),
        (FLOAT, ("batch", "tokens", 64), 64),
        (HALF, ("batch", "tokens", 32), 0),
        (FLOAT, ("tokens", 32), 0),
    ],
)
def test_the_size_of_an_extra_output_is_the_graph_s_or_the_config_s(kind, shape, size):
    gives = [*outputs(), port("hidden_state", kind, *shape)]

    found = read_graph(config(hidden_size=32), inputs(), gives, two, hidden="hidden_state")
    untold = read_graph(config(), inputs(), gives, two, hidden="hidden_state")

    assert found.hidden_size == size
    assert (found.hidden is None) == (size == 0)
    assert untold.hidden_size == (64 if size == 64 else 0)


WRONG: dict[str, tuple[str, Callable[[], Any]]] = {
    "no decoder": ("describes no decoder", lambda: ({"model": {}}, inputs(), outputs(), two)),
    "no layers": (
        "how many layers",
        lambda: (config(num_hidden_layers=None), inputs(), outputs(), two),
    ),
    "window": (
        "sliding window",
        lambda: (config(sliding_window={"window_size": 512}), inputs(), outputs(), two),
    ),
    "other attention": (
        "not every layer's attention",
        lambda: (config(), inputs(), outputs(), lambda _: 1),
    ),
    "one input more": (
        "takes beam_width too",
        lambda: (config(), [*inputs(), port("beam_width", INT64, 1)], outputs(), two),
    ),
    "one cache less": (
        "does not take past_key_values.1.value",
        lambda: (config(), inputs()[:-1], outputs(), two),
    ),
    "no present": ("does not give present.0.key", lambda: (config(), inputs(), outputs()[:1], two)),
    "whole numbers": (
        "is tensor(int8)",
        lambda: (config(), inputs("tensor(int8)"), outputs(), two),
    ),
    "unlike sides": ("differ", lambda: (config(), inputs(HALF), outputs(FLOAT), two)),
    "narrow ids": (
        "input_ids is tensor(int32)",
        lambda: (
            config(),
            [port("input_ids", "tensor(int32)", 1, 1), *inputs()[1:]],
            outputs(),
            two,
        ),
    ),
    "no vocabulary": (
        "has no fixed size",
        lambda: (config(), inputs(), [port("logits", FLOAT, "b", "t", "v"), *outputs()[1:]], two),
    ),
    "pattern": (
        "no pattern",
        lambda: (config(inputs={"past_key_names": "key"}), inputs(), outputs(), two),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_graph_is_left_to_others_with_the_reason(case: str):
    reason, make = WRONG[case]

    with pytest.raises(Incapable) as said:
        read_graph(*make())

    assert "can't be run together" in str(said.value)
    assert reason in str(said.value)


def test_a_decoder_in_several_files_is_left_to_others():
    with pytest.raises(Incapable, match="no single decoder file"):
        model_file(config(filename=None))


def test_a_window_as_wide_as_any_row_is_none() -> None:
    wide = config(sliding_window={"window_size": 4096, "slide_key_value_cache": False})

    assert read_graph(wide, inputs(), outputs(), two, limit=4096).heads == 3
    with pytest.raises(Incapable, match="sliding window"):
        read_graph(wide, inputs(), outputs(), two, limit=4097)
    with pytest.raises(Incapable, match="sliding window"):
        read_graph(config(sliding_window={"layers": [0]}), inputs(), outputs(), two, limit=9)


def test_a_head_size_that_the_graph_leaves_open_is_the_config_s() -> None:
    def open_caches(ports: list[Port]) -> list[Port]:
        return [
            port(p.name, p.type, *p.shape[:3], "kv_cache_dim") if len(p.shape) == 4 else p
            for p in ports
        ]

    takes, gives = open_caches(inputs()), open_caches(outputs())

    assert read_graph(config(head_size=64), takes, gives, two).head_size == 64
    with pytest.raises(Incapable, match="has no fixed size"):
        read_graph(config(), takes, gives, two)
