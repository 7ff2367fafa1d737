"""The primary engine: ONNX Runtime GenAI's `Generator`, driven token by token.

In goes a model folder, then jobs; out come steps. Blocks, and holds the interpreter's lock while
the runtime computes, so only the worker process imports this file.

Log-probability, entropy and margin are of the model's raw distribution: temperature and penalties
change what is chosen, not what is reported. The end token counts as an output token and has its
statistics too: they say how sure the model was that it had said everything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Read by the runtime as it is imported: it would report usage to its maker otherwise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import msgspec
import numpy as np
import onnxruntime_genai as og

from ..errors import Incapable, Refused, Unavailable
from ..types import Finish, Message
from .detokenize import Detokenizer, FromPieces, FromRuntime, pieces_tell_the_text
from .engine import EngineInfo, EngineOptions, Job, Step
from .folder import ModelFolder, read_folder
from .logits import RowReader
from .memory import resident_bytes
from .pace import Pace
from .prompt import PromptWriter
from .stop import StopStrings
from .vocabulary import read_vocabulary

_WARM_UP = Job(
    messages=(Message(role="user", content="The first request must not be the slow one. " * 6),),
    max_output_tokens=2,
)


class OnnxGenAI:
    """A loaded model. See `Engine`.

    Raises (when made):
        Unavailable: Not retryable: the folder is missing or can't be loaded.
    """

    def __init__(self, options: EngineOptions) -> None:
        began = time.perf_counter()
        og.disable_telemetry_events()
        self._folder = read_folder(Path(options.folder))
        self._limit = self._folder.limit(options.context_limit)
        try:
            self._model, self._device, self._fallback = _load(self._folder.path, options)
            self._tokenizer = og.Tokenizer(self._model)
            self._vocabulary = read_vocabulary(self._folder.path)
        except (RuntimeError, OSError, msgspec.DecodeError) as exc:
            raise _unloadable(self._folder, exc) from exc
        self._from_pieces = pieces_tell_the_text(self._vocabulary, self._encode)
        self._prompt = PromptWriter(
            self._render, self._encode, self._decode, self._vocabulary.special
        )
        self._pace = Pace()
        self._read_row = RowReader()
        self._warm()
        self._info = EngineInfo(
            model=self._folder.model,
            engine=f"onnxruntime-genai {og.__version__}",
            device=self._device,
            fallback=self._fallback,
            context_limit=self._limit,
            load_s=time.perf_counter() - began,
            memory_bytes=resident_bytes(),
        )
