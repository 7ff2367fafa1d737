"""What stands in the store is found, checked, named and removed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from router.clock import ManualClock
from router.errors import ModelError
from router.models import Store, default_root
from router.models.placing import Site, held
from tests.support.wheels import QuickConverter


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", convert=QuickConverter(), clock=ManualClock())


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF" + b"weights" * 100)
    return file


def test_a_model_that_is_not_here_says_which_command_brings_it(store: Store) -> None:
    with pytest.raises(ModelError, match=r"Run: firsthop models pull phi-3\.5-mini") as caught:
        store.path("phi-3.5-mini")
    assert caught.value.model == "phi-3.5-mini"
    with pytest.raises(ModelError, match="did you mean smollm2-135m"):
        store.path("smollm-135m")
    with pytest.raises(ModelError, match=r"did you mean phi-3\.5-mini"):
        store.pull("phi3.5")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "A", "nul", "com1.x", "x.", "ä"])
def test_a_name_that_could_lead_out_of_the_store_is_refused(store: Store, name: str) -> None:
    for ask in (store.path, store.verify, store.rm, store.pull):
        with pytest.raises(ModelError, match="can't be a model's name"):
            ask(name)


def test_models_are_listed_by_name_with_their_size(store: Store, gguf: Path) -> None:
    assert store.list() == []
    for name in ("two", "one"):
        store.pull(name, from_file=gguf)

    listed = store.list()

    assert [one.name for one in listed] == ["one", "two"]
    assert listed[0].size_bytes == sum(
        file.stat().st_size for file in listed[0].path.iterdir() if file.name != "firsthop.json"
    )


def test_verify_finds_what_changed_and_what_is_missing_and_a_pull_mends_it(
    store: Store, gguf: Path
) -> None:
    path = store.pull("mine", from_file=gguf).path
    assert store.verify("mine").ok
    weights = path / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")  # The same size: only reading tells.

    report = store.verify("mine")

    states = {check.path: check.state for check in report.files}
    assert states == {"genai_config.json": "ok", "model.onnx": "changed"}
    with pytest.raises(ModelError, match="the last check of its files found a fault"):
        store.path("mine")
    assert len(store.damaged()) == 1
    store.pull("mine", from_file=gguf)
    assert store.verify("mine").ok

    (store.path("mine") / "model.onnx").unlink()
    report = store.verify("mine")
    assert {check.path: check.state for check in report.files}["model.onnx"] == "missing"


def test_a_file_of_another_size_is_seen_without_reading_it(store: Store, gguf: Path) -> None:
    path = store.pull("mine", from_file=gguf).path
    (path / "model.onnx").write_bytes(b"short")

    with pytest.raises(ModelError, match=r"has 5 bytes.*firsthop models pull mine --from"):
        store.path("mine")


def test_verify_notes_when_it_found_all_well(tmp_path: Path, gguf: Path) -> None:
    clock = ManualClock()
    store = Store(tmp_path / "m", convert=QuickConverter(), clock=clock)
    placed = store.pull("mine", from_file=gguf).manifest
    clock.advance(3600)

    store.verify("mine")

    later = store.list()[0].manifest
    assert later.created == placed.created == placed.verified_at
    assert later.verified_at is not None
    assert later.verified_at > placed.created


def test_a_manifest_nobody_can_read_hides_no_other_model_and_says_how_to_mend_it(
    store: Store, gguf: Path
) -> None:
    for name in ("bad", "good", "newer"):
        store.pull(name, from_file=gguf)
    (store.path("bad") / "firsthop.json").write_text("{")
    file = store.path("newer") / "firsthop.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))

    assert [one.name for one in store.list()] == ["good"]
    words = [str(error) for error in store.damaged()]
    assert "firsthop models rm bad" in words[0]
    assert "format 2, this version knows 1" in words[1]
    store.pull("bad", from_file=gguf)
    store.rm("newer")

    assert [one.name for one in store.list()] == ["bad", "good"]


def test_of_two_builds_that_a_kill_left_the_newer_one_is_the_model(
    store: Store, gguf: Path
) -> None:
    newer = store.pull("mine", from_file=gguf).path
    older = newer.with_name("z-older")
    shutil.copytree(newer, older)
    paper = json.loads((older / "firsthop.json").read_text())
    (older / "firsthop.json").write_text(json.dumps(paper | {"created": "2001-01-01T00:00:00"}))

    assert store.path("mine") == newer
    assert [one.path for one in store.list()] == [newer]
    last = store.pull("mine", from_file=gguf, again=True).path
    assert list(last.parent.iterdir()) == [last]


def test_a_damaged_model_of_the_users_own_asks_for_its_file(store: Store, gguf: Path) -> None:
    (store.pull("mine", from_file=gguf).path / "model.onnx").unlink()

    with pytest.raises(ModelError, match=r"was made from a file.*pull mine --from FILE\.gguf"):
        store.ensure("mine")


def test_rm_gives_back_the_room_and_takes_half_pulled_files_with_it(
    store: Store, gguf: Path
) -> None:
    path = store.pull("mine", from_file=gguf).path
    half = store.root / ".staging" / "mine" / "half"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * 1000)
    expected = 1000 + sum(file.stat().st_size for file in path.iterdir())

    assert store.rm("mine") == expected
    assert store.list() == []
    assert not half.exists()
    with pytest.raises(ModelError, match="no model is called 'mine'"):
        store.rm("mine")


def test_rm_does_not_wait_for_a_pull_that_is_going_on(store: Store, gguf: Path) -> None:
    store.pull("mine", from_file=gguf)

    with (
        held(Site(store.root), "mine", meter=None),
        pytest.raises(ModelError, match="another process"),
    ):
        store.rm("mine")
    assert store.rm("mine") > 0


def test_find_takes_a_name_a_folder_or_neither(store: Store, gguf: Path, tmp_path: Path) -> None:
    installed = store.pull("mine", from_file=gguf)
    phi = tmp_path / "phi"
    phi.mkdir()
    config = {"model": {"type": "phi3", "context_length": 131072}}
    (phi / "genai_config.json").write_text(json.dumps(config))

    by_name, by_path = store.find("mine"), store.find(phi)

    assert (by_name.path, by_name.context_limit) == (installed.path, 2048)
    assert by_name.manifest == installed.manifest
    assert (by_path.name, by_path.path, by_path.manifest) == ("phi", phi.resolve(), None)
    assert by_path.context_limit == 4096
    with pytest.raises(ModelError, match="did you mean mine"):
        store.find("mime")
    with pytest.raises(ModelError, match="isn't a model"):
        store.find(tmp_path)
    with pytest.raises(ModelError, match="Run: firsthop models pull smollm2-135m"):
        store.find("smollm2-135m")


def test_a_name_wins_over_a_folder_of_that_name_and_a_dot_decides(
    store: Store, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = store.pull("mine", from_file=gguf)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "genai_config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)

    assert store.find("mine").path == installed.path
    assert store.find(f".{os.sep}mine").path == folder.resolve()
    assert store.find(f".{os.sep}mine").context_limit is None


def test_the_root_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTHOP_MODELS", str(tmp_path))
    assert Store().root == default_root() == tmp_path
    monkeypatch.delenv("FIRSTHOP_MODELS")
    assert default_root().parts[-1] == "models"
    assert "firsthop" in str(default_root())


def test_threads_that_pull_at_once_convert_once(tmp_path: Path, gguf: Path) -> None:
    convert = QuickConverter()
    store = Store(tmp_path / "m", convert=convert)
    start = threading.Barrier(4)
    paths: list[Path] = []

    def pull() -> None:
        start.wait()
        paths.append(store.pull("mine", from_file=gguf).path)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(convert.calls) == 1
    assert len(paths) == 4
    assert len(set(paths)) == 1


def test_a_pull_of_what_nobody_has_leaves_no_trace(store: Store) -> None:
    with pytest.raises(ModelError):
        store.pull("nothing")

    assert not store.root.exists()


def test_what_the_system_forbids_comes_in_our_words(tmp_path: Path, gguf: Path) -> None:
    def denied(_: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/models")

    store = Store(tmp_path / "m", convert=QuickConverter(), free_bytes=denied)

    with pytest.raises(ModelError, match=r"not allowed to use /models.*FIRSTHOP_MODELS"):
        store.pull("mine", from_file=gguf)


def test_a_root_that_can_not_be_made_says_where_to_go(tmp_path: Path, gguf: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ModelError, match="the disk refused"):
        Store(tmp_path / "file" / "models", convert=QuickConverter()).pull("mine", from_file=gguf)


def test_what_the_listener_raises_stops_the_pull_as_it_is(store: Store, gguf: Path) -> None:
    def gone(_: object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        store.pull("mine", from_file=gguf, on_progress=gone)
    assert store.list() == []
