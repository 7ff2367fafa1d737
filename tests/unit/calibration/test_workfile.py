"""A work file is written line by line, so it is never a gzipped one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from router.calibration.workfile import WorkFile
from router.errors import ConfigError


def test_a_gzipped_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt": "a"}\n' * 100))
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="name it"):
        WorkFile(path).rows()
    with pytest.raises(ConfigError, match="name it"), WorkFile(path).alone():
        pass
    assert path.read_bytes() == before
