from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny_phi3 import build_tiny_phi3


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Phi-3 that ONNX Runtime GenAI loads; only read from."""
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")
