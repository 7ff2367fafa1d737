from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from router.device.engine import EngineOptions
from router.device.place import place_for
from router.errors import Unavailable

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners are POSIX's")


@pytest.fixture
def options(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "genai_config.json").write_text("{}")
    return EngineOptions(folder=str(model))


@pytest.fixture
def runtime(tmp_path):
    return tmp_path / "run"


def test_the_same_wish_leads_to_the_same_place(options, runtime):
    assert place_for(options, folder=runtime) == place_for(options, folder=runtime)


@pytest.mark.parametrize("change", [{"threads": 1}, {"spinning": True}, {"accelerator": "cuda"}])
def test_other_options_lead_to_another_worker(options, runtime, change):
    other = replace(options, **change)

    assert place_for(options, folder=runtime) != place_for(other, folder=runtime)


def test_a_changed_model_leads_to_another_worker(options, runtime):
    before = place_for(options, folder=runtime)
    Path(options.folder, "genai_config.json").write_text('{"changed": 1}')

    assert place_for(options, folder=runtime) != before


@posix
def test_the_folder_is_made_for_the_user_alone(options, runtime):
    place_for(options, folder=runtime)

    assert runtime.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_may_enter_is_refused(options, runtime, mode):
    runtime.mkdir()
    runtime.chmod(mode)

    with pytest.raises(Unavailable, match="XDG_RUNTIME_DIR") as caught:
        place_for(options, folder=runtime)
    assert not caught.value.retryable


@posix
def test_a_link_to_a_folder_is_refused(options, runtime, tmp_path):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    runtime.symlink_to(real)

    with pytest.raises(Unavailable):
        place_for(options, folder=runtime)


@posix
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give away")
def test_a_folder_of_another_user_is_refused(options, runtime):
    runtime.mkdir(mode=0o700)
    os.chown(runtime, 65534, 65534)

    with pytest.raises(Unavailable):
        place_for(options, folder=runtime)


def test_a_folder_that_can_not_be_made_is_named(options, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="file"):
        place_for(options, folder=tmp_path / "file" / "run")


@posix
def test_the_user_s_runtime_folder_is_used_where_there_is_one(options, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="fh") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        assert place_for(options).folder == f"{short}/firsthop"


@posix
def test_a_runtime_folder_that_others_may_enter_is_passed_over(options, monkeypatch, tmp_path):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert not place_for(options).folder.startswith(str(tmp_path))


@posix
def test_a_path_too_long_for_a_socket_is_passed_over(options, monkeypatch, tmp_path):
    long = tmp_path / ("x" * 90)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    assert len(os.fsencode(place_for(options).socket)) <= 100
