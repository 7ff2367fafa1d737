"""Whether a model folder's graph is one whose key-value memory we can hold ourselves.

In go the folder's `genai_config.json`, the ports of its graph as the runtime lists them, and the
names of operators; out comes a `Graph`, the names and sizes a run needs, or `Incapable`, which says
what stands in the way. Such a graph takes token ids, a mask and a past key and value a layer; its
attention is `GroupQueryAttention`, which takes each row's length from the mask's sum and, when past
and present are the same memory, writes a token's key and value at the row's end and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import Incapable

Number = Literal["float32", "float16"]

ATTENTION = "GroupQueryAttention"

_NUMBERS: Mapping[str, Number] = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_INT64 = "tensor(int64)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output of a graph.

    Attributes:
        type: The runtime's word, such as ``"tensor(float)"``.
        shape: An int is fixed; anything else differs from run to run.
    """

    name: str
    type: str
    shape: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph that can be driven, and what driving it takes.

    Attributes:
        file: The model's file in its folder.
        ids, mask, logits: Names of the ports.
        positions: Port for each token's index in its row. None: the graph counts for itself.
        past, present: Names a layer and side: key of layer 0, value of layer 0, key of layer 1...
        heads, head_size: A token's key is (heads, head_size) numbers in each layer; so its value.
        cache: Their kind.
        logits_number: The kind of the logits' numbers.
        last_only: The logits are of a run's last token, (rows, 1, vocab). False: of every token.
        hidden: An output with a state a token, shape (rows, tokens, `hidden_size`). None: none.
    """

    file: str
    ids: str
    mask: str
    positions: str | None
    logits: str
    past: tuple[str, ...]
    present: tuple[str, ...]
    heads: int
    head_size: int
    vocab: int
    cache: Number
    logits_number: Number
    last_only: bool
    hidden: str | None
    hidden_size: int

    @property
    def token_bytes(self) -> int:
        """Key-value memory of one token."""
        size = 4 if self.cache == "float32" else 2
        return len(self.past) * self.heads * self.head_size * size


def model_file(config: Mapping[str, Any]) -> str:
    """The file in the folder that holds the decoder.

    Raises:
        Incapable: There is no such single file.
    """
    name = _decoder(config).get("filename")
    if not isinstance(name, str):
        raise _unfit("its genai_config.json names no single decoder file")
    return name


def read_graph(
    config: Mapping[str, Any],
    inputs: Iterable[Port],
    outputs: Iterable[Port],
    count: Callable[[str], int],
    hidden: str | None = None,
    *,
    limit: float = math.inf,
) -> Graph:
    """What it takes to drive this graph.

    Args:
        config: The folder's `genai_config.json`, parsed.
        inputs, outputs: As the runtime lists them.
        count: How many nodes of the graph have this operator.
        hidden: Name of an extra output that is wanted. A graph without it, or that gives it in
            other numbers than float32, is no error.
        limit: Most tokens a row will have. Attention with a window that wide looks at all of them.

    Raises:
        Incapable: It is another kind of graph; the message says what is different.
    """
    decoder = _decoder(config)
    takes, gives = {p.name: p for p in inputs}, {p.name: p for p in outputs}
    names = decoder.get("inputs", {}) | decoder.get("outputs", {})
    layers = _layers(decoder, count, limit)
    past = _sides(names, "past_key_names", "past_value_names", layers, "past_key_values")
    present = _sides(names, "present_key_names", "present_value_names", layers, "present")
    ids = str(names.get("input_ids", "input_ids"))
    mask = str(names.get("attention_mask", "attention_mask"))
    positions = str(names.get("position_ids", "position_ids"))
    _same(takes, {ids, mask, *past}, {positions})
    logits = str(names.get("logits", "logits"))
    if missing := {logits, *present} - gives.keys():
        raise _unfit(f"it does not give {min(missing)}")
    if wrong := [n for n in (ids, mask, positions) if n in takes and takes[n].type != _INT64]:
        raise _unfit(f"{wrong[0]} is {takes[wrong[0]].type}, not {_INT64}")
    caches = [*(takes[n] for n in past), *(gives[n] for n in present)]
    heads, head_size, cache = _cache(caches, decoder.get("head_size"))
    row = gives[logits]
    shown, size = _shown(gives.get(hidden or ""), decoder.get("hidden_size"))
    return Graph(
        file=model_file(config),
        ids=ids,
        mask=mask,
        positions=positions if positions in takes else None,
        logits=logits,
        past=past,
        present=present,
        heads=heads,
        head_size=head_size,
        vocab=_fixed(row, 3, 2),
        cache=cache,
        logits_number=_number(row),
        last_only=row.shape[1] == 1,
        hidden=shown,
        hidden_size=size,
    )


def _decoder(config: Mapping[str, Any]) -> dict[str, Any]:
    model = config.get("model")
    decoder = model.get("decoder") if isinstance(model, dict) else None
    if not isinstance(decoder, dict):
        raise _unfit("its genai_config.json describes no decoder")
    return decoder


def _layers(decoder: dict[str, Any], count: Callable[[str], int], limit: float) -> int:
    """How many there are, all of the attention that takes each row's length."""
    layers = decoder.get("num_hidden_layers")
    if not isinstance(layers, int) or layers < 1:
        raise _unfit("its genai_config.json does not say how many layers it has")
    if _window(decoder.get("sliding_window")) < limit:
        raise _unfit("its attention has a sliding window")
    if count(ATTENTION) < layers:
        raise _unfit(f"not every layer's attention is {ATTENTION}")
    return layers


def _sides(names: dict[str, Any], key: str, value: str, layers: int, usual: str) -> tuple[str, ...]:
    """Names of all layers' keys and values, by the config's patterns."""
    patterns = (names.get(key, f"{usual}.%d.key"), names.get(value, f"{usual}.%d.value"))
    if not all(isinstance(p, str) and p.count("%d") == 1 for p in patterns):
        raise _unfit(f"{key} in its genai_config.json is no pattern with one %d")
    return tuple(p.replace("%d", str(layer)) for layer in range(layers) for p in patterns)


def _shown(port: Port | None, said: object) -> tuple[str | None, int]:
    """Name and size of an extra output, if it can be read."""
    if port is None or _NUMBERS.get(port.type) != "float32" or len(port.shape) not in (0, 3):
        return None, 0
    last = port.shape[2] if port.shape else None
    size = last if isinstance(last, int) else said  # inferred types leave sizes open
    return (port.name, size) if isinstance(size, int) and size > 0 else (None, 0)


def _same(takes: Mapping[str, Port], needed: set[str], optional: set[str]) -> None:
    if missing := needed - takes.keys():
        raise _unfit(f"it does not take {min(missing)}")
    if more := takes.keys() - needed - optional:
        raise _unfit(f"it takes {min(more)} too, which we have no value for")


def _cache(ports: list[Port], head_size: object) -> tuple[int, int, Number]:
    """Heads, head size and kind of number that all caches share.

    Args:
        head_size: As the config says it, for graphs that leave it open, as Phi-3.5's does.
    """
    said = head_size if isinstance(head_size, int) and head_size > 0 else None
    kinds = {(_fixed(port, 4, 1), _fixed(port, 4, 3, said), _number(port)) for port in ports}
    if len(kinds) > 1:
        raise _unfit("its layers' key-value caches differ from one another")
    return kinds.pop()


def _fixed(port: Port, rank: int, axis: int, where_open: int | None = None) -> int:
    size = port.shape[axis] if len(port.shape) == rank else None
    size = where_open if isinstance(size, str) or (size is None and where_open) else size
    if not isinstance(size, int) or size < 1:
        raise _unfit(f"axis {axis} of {port.name}, of shape {list(port.shape)}, has no fixed size")
    return size


def _number(port: Port) -> Number:
    if port.type not in _NUMBERS:
        raise _unfit(f"{port.name} is {port.type}, not float32 or float16")
    return _NUMBERS[port.type]


def _unfit(why: str) -> Incapable:
    return Incapable(f"this model's rows can't be run together: {why}")


def _window(said: object) -> float:
    """How many tokens back attention looks, as the config says it; infinity: at all of them."""
    size = said.get("window_size") if isinstance(said, Mapping) else said
    if said is None or said is False:
        return math.inf
    return size if isinstance(size, int) and size > 0 else 0
