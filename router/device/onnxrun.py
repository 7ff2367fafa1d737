"""One run of a graph over rows of an arena. The one file that imports ONNX Runtime itself.

In go token ids and the rows' lengths, out come logits; keys and values are written into the arena
in place. No row is padded: rows of unequal length differ in their mask alone.

A value that is no output of the graph can be read too: in this loaded copy it becomes one, and
costs nothing in runs that don't ask for it.

The runtime lets go of the interpreter's lock while it computes, so another thread of the process
hears its mail meanwhile. A `Runner` itself belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

# Read by the runtime as it is imported: otherwise it reports usage to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from ..errors import Unavailable
from .buffers import Bound, Buffer
from .folder import CONFIG_FILE, ModelFolder, cannot_load
from .graph import Port, model_file, read_graph
from .middle import Middle, contents_of, middle_of, output_of
from .slots import Arena, Array

NAME = f"onnxruntime {onnxruntime.__version__}"

FAILURES: tuple[type[Exception], ...] = (
    RuntimeError,
    *(k for k in vars(_state).values() if isinstance(k, type) and issubclass(k, Exception)),
)
"""What the runtime raises; its own kinds share no root but `Exception`."""

_LOADING: tuple[type[Exception], ...] = (*FAILURES, OSError, ValueError, msgspec.DecodeError)

_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_MOST_BYTES = 128 << 20
"""Of a graph's file that is held in memory while it is loaded. Larger ones hold the weights too."""


class Interrupted(Exception):
    """A run was broken off because it was asked to be. Never leaves the engine."""


class Runner:
    """A loaded graph.

    Attributes:
        hidden: The extra value of the tokens of the last run, shape (rows, tokens, size); a view
            until the next run. None: that run was not to show it, or there is none.

    Raises, when it is made:
        Incapable: This kind of graph can't be driven.
        Unavailable: Not retryable. It can't be loaded.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        threads: int | None,
        spinning: bool,
        hidden: str | None,
        limit: int,
    ) -> None:
        """`limit`: most tokens that a row will have; the rest as in `Rows.open`."""
        onnxruntime.disable_telemetry_events()
        settings = onnxruntime.SessionOptions()
        settings.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        settings.log_severity_level = 3
        if threads is not None:
            settings.intra_op_num_threads = threads
        try:
            path = folder.path
            config = _config(path)
            file = path / model_file(config)
            with file.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as text:
                self._session = _opened(file, text, settings, hidden)
                self.graph = read_graph(
                    config,
                    _ports(self._session.get_inputs()),
                    _ports(self._session.get_outputs()),
                    lambda operator: _count(text, operator),
                    hidden,
                    limit=limit,
                )
        except _LOADING as exc:
            raise cannot_load(folder, exc) from exc
        self.hidden: Array | None = None
        self._under_way: Any = None
        self._options = onnxruntime.RunOptions()
        self._bindings: dict[tuple[int, int, bool], Bound] = {}
        self._bound_to: weakref.ref[Array] | None = None
        kinds = {"logits": self.graph.logits_number, "hidden": "float32"}
        self._buffers = {name: Buffer(kind) for name, kind in kinds.items()}
        self._buffers |= {name: Buffer(np.int64) for name in ("ids", "positions", "mask")}
        self._ones = Buffer(np.int64, fill=1)

    def run(
        self,
        arena: Arena,
        first: int,
        ids: Array,
        lengths: Array,
        *,
        shown: bool = False,
        breakable: bool = False,
    ) -> Array:
        """Append tokens to rows that lie side by side.

        Args:
            first: The place of the first of them.
            ids: int64, shape (rows, tokens). More than one token: of one row only.
            lengths: int64, shape (rows,): what each row holds when these are appended.
            shown: Whether `hidden` is wanted of these tokens.
            breakable: Whether `interrupt` may break it off.

        Returns:
            Logits of each row's last token, float32, shape (rows, vocab): a view of a buffer that
            the next run writes to again.

        Raises:
            Interrupted: `interrupt` was called meanwhile. Rows are as long as before, and whole.
            Unavailable: The runtime failed. The same holds for them.
        """
        graph, buffers = self.graph, self._buffers
        rows, tokens = ids.shape
        shown = shown and graph.hidden is not None
        bound = self._bound(arena, first, rows, shown)
        buffers["ids"].shaped(ids.shape)[:] = ids
        bound.give(graph.ids, buffers["ids"])
        bound.give(graph.mask, self._mask(lengths))
        if graph.positions is not None:
            at = buffers["positions"].shaped(ids.shape)
            np.add(lengths[:, None] - tokens, np.arange(tokens), out=at)
            bound.give(graph.positions, buffers["positions"])
        shape = (rows, 1 if graph.last_only else tokens, graph.vocab)
        logits = buffers["logits"].shaped(shape)
        bound.take(graph.logits, buffers["logits"])
        self.hidden = None
        if shown and graph.hidden is not None:
            self.hidden = buffers["hidden"].shaped((rows, tokens, graph.hidden_size))
            bound.take(graph.hidden, buffers["hidden"])
        options = onnxruntime.RunOptions() if breakable else self._options
        self._under_way = options if breakable else None
        try:
            self._session.run_with_iobinding(bound.binding, options)
        except FAILURES as exc:
            if options.terminate:
                raise Interrupted from exc
            raise Unavailable(f"the runtime failed: {exc}", retryable=False) from exc
        finally:
            self._under_way = None
        last: Array = logits[:, -1]
        return last if graph.logits_number == "float32" else last.astype(np.float32)

    def interrupt(self) -> None:
        """Break off the run that is under way, if that may be. From any thread."""
        options = self._under_way
        if options is not None:
            options.terminate = True

    def _mask(self, lengths: Array) -> Buffer:
        """What each row may see: of a row alone all there is, for it has no neighbour to fill up
        to."""
        rows, longest = len(lengths), max(lengths.tolist())
        if rows == 1:
            self._ones.shaped((1, longest))
            return self._ones
        mask = self._buffers["mask"]
        np.less(np.arange(longest), lengths[:, None], out=mask.shaped((rows, longest)))
        return mask

    def _bound(self, arena: Arena, first: int, rows: int, shown: bool) -> Bound:
        """Past and present of these rows, bound to the same memory; made once an arena's shape.

        What is bound stays so, so those that show more have bindings of their own.
        """
        bound_to = None if self._bound_to is None else self._bound_to()
        if bound_to is not arena.sides[0]:
            self._bindings.clear()
            self._bound_to = weakref.ref(arena.sides[0])  # memory that is given up is not held
        found = self._bindings.get((first, rows, shown))
        if found is None:
            binding = self._session.io_binding()
            names = zip(self.graph.past, self.graph.present, arena.sides, strict=True)
            for past, present, side in names:
                part = side[first : first + rows]
                kind, at = part.dtype.type, part.ctypes.data
                binding.bind_input(past, "cpu", 0, kind, part.shape, at)
                binding.bind_output(present, "cpu", 0, kind, part.shape, at)
            found = self._bindings[first, rows, shown] = Bound(binding)
        return found


def find_middle(folder: ModelFolder) -> Middle | None:
    """The layer whose state can be read of this folder's model. None: none, or none is known.

    Raises:
        Incapable: There is no single decoder file.
        Unavailable: Not retryable. A file is missing or can't be read.
    """
    try:
        config = _config(folder.path)
        with (
            (folder.path / model_file(config)).open("rb") as f,
            mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as text,
            memoryview(text) as view,
        ):
            return middle_of(config, contents_of(view))
    except _LOADING as exc:
        raise cannot_load(folder, exc) from exc


def _config(path: Path) -> dict[str, Any]:
    return msgspec.json.decode((path / CONFIG_FILE).read_bytes(), type=dict[str, Any])


def _opened(file: Path, text: mmap.mmap, settings: Any, hidden: str | None) -> Any:
    """A session on a model's file, with one output more if a node gives it."""
    providers = ["CPUExecutionProvider"]
    if hidden is not None and len(text) <= _MOST_BYTES:
        with memoryview(text) as view:
            found = contents_of(view)
        if hidden in found.made - found.outputs:
            settings.add_session_config_entry(_WEIGHTS_FOLDER, str(file.parent))
            with contextlib.suppress(*FAILURES):  # then without it, or the failure is another's
                session = onnxruntime.InferenceSession(
                    b"".join((text, output_of(hidden))), settings, providers=providers
                )
                session._model_bytes = None  # else the file's bytes stay for as long as it lives
                return session
    return onnxruntime.InferenceSession(str(file), settings, providers=providers)


def _ports(listed: Any) -> list[Port]:
    return [Port(name=p.name, type=p.type, shape=tuple(p.shape)) for p in listed]


def _count(model: mmap.mmap, operator: str) -> int:
    """How many nodes have it: `op_type` is field 4 of a node, a tag, a length and the name."""
    name = operator.encode()
    node, found, at = bytes((4 << 3 | 2, len(name))) + name, 0, -1
    while (at := model.find(node, at + 1)) >= 0:
        found += 1
    return found
