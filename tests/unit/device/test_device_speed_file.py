"""What was learned, kept in a file."""

from __future__ import annotations

import logging
import sys

import pytest

from router.device.learned import Learned
from router.device.speed_file import file_for, load, save


def learned():
    found = Learned(start_s=1.5)
    for n in range(30):
        found.costs.read(64 + n, 0, 0.1 + 0.001 * n, last=False)
        found.costs.wrote(100 + n, 0, 0.02)
    found.ended(1, 0.0, 100, 20, own_end=True)
    return found


def test_what_is_saved_comes_back_whole(tmp_path):
    path = tmp_path / "deep" / "in" / "a.json"
    kept = learned().keep()
    save(path, kept)

    assert load(path) == kept
    assert Learned(load(path)).costs.rates() == kept.costs().rates()
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_the_file_is_for_its_owner_s_eyes(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("older")
    path.chmod(0o644)
    save(path, learned().keep())

    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_nothing_to_speak_of(tmp_path, caplog):
    assert load(tmp_path / "none.json") is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:50],
        lambda text: "[]",
        lambda text: text.replace('"version":1', '"version":99'),
        lambda text: text.replace('"factor":1', '"factor":-1').replace('"factor":0', '"factor":-0'),
        lambda text: text.replace('"products":[', '"products":[1.0,', 1),
        lambda text: text.replace('"start_s":1.5', '"start_s":null'),
        lambda text: "\x00\xff" * 100,
    ],
)
def test_a_file_that_can_not_be_used_is_ignored_with_a_line_in_the_log(tmp_path, caplog, change):
    path = tmp_path / "a.json"
    save(path, learned().keep())
    path.write_text(change(path.read_text()), encoding="latin-1")

    with caplog.at_level(logging.WARNING, "firsthop"):
        assert load(path) is None
    assert str(path) in caplog.text


def test_a_place_that_can_not_be_written_costs_only_the_memory(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    save(tmp_path / "file" / "a.json", learned().keep())

    assert "can't be kept" in caplog.text


def test_the_file_lies_in_the_home_that_was_named_or_in_the_user_s_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTHOP_HOME", str(tmp_path))
    assert file_for("abc") == tmp_path / "speeds" / "abc.json"

    monkeypatch.delenv("FIRSTHOP_HOME")
    assert "firsthop" in str(file_for("abc"))
