from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tiny_phi3 import build_tiny_phi3

from router.device.engine import Engine, EngineOptions
from router.device.onnx_genai import OnnxGenAI
from router.device.rows_engine import RowsEngine
from router.device.runtime import load_model

ROWS_BYTES = 1 << 28


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Phi-3 that ONNX Runtime GenAI loads; only read from."""
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture(scope="session", params=["rows", "generator"])
def make_engine(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    """Each kind of engine that there is, on one thread."""
    kind = request.param

    def make(folder: Path, **wishes: Any) -> Engine:
        options = EngineOptions(folder=str(folder), threads=1, **wishes)
        return RowsEngine(options, ROWS_BYTES) if kind == "rows" else OnnxGenAI(options)

    make.kind = kind  # type: ignore[attr-defined]
    return make


@pytest.fixture(scope="session")
def bare_model(tiny: Path) -> Any:
    """The tiny model as the runtime itself loads it, to compare with."""
    return load_model(tiny, EngineOptions(folder=str(tiny), threads=1), None)[0]
