"""Which engine runs a model: rows on one session where they can be had, else the runtime's own way.

In go options and what the worker may take, out comes a loaded engine.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import Incapable
from .engine import Engine, EngineOptions
from .free import free_bytes
from .room import need_of, rows_bytes


def open_engine(options: EngineOptions, memory_bytes: int | None = None) -> Engine:
    """Load the folder's model.

    Args:
        memory_bytes: Most the worker may take. None: what is free.

    Raises:
        Unavailable: Not retryable. The folder is missing, or can't be loaded.
    """
    if (options.accelerator or "cpu").lower() == "cpu":
        from .rows_engine import RowsEngine

        need = need_of(Path(options.folder), options.context_limit)
        ceiling = rows_bytes(need, options.at_once, free=free_bytes(), limit=memory_bytes)
        try:
            return RowsEngine(options, ceiling)
        except Incapable:  # a graph of another kind: the runtime knows how to feed it
            pass
    from .onnx_genai import OnnxGenAI

    return OnnxGenAI(options)
