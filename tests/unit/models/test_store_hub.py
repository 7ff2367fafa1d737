"""A ready-made model comes from a hub: the right folder, whole, checked, over bad lines too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from router.errors import ModelError
from router.models import HubSource, Model, Progress, Store, disk
from tests.support.hub import COMMIT, CPU, REPO, LoopbackHub, loopback_hub

NAMES = (
    "genai_config.json",
    "tiny.onnx",
    "tiny.onnx.data",
    "tokenizer.json",
    "tokenizer_config.json",
)
WEIGHTS = f"{CPU}/tiny.onnx.data"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub() as server:
        yield server


def a_model(
    repo: str = REPO, revision: str = "main", sha256: Mapping[str, str] | None = None
) -> Model:
    folder = "cpu_and_mobile/"
    return Model(
        name="tiny",
        source=HubSource(repo=repo, revision=revision, folder=folder, sha256=sha256 or {}),
        licence="MIT",
        context_limit=4096,
        download_bytes=None,
        summary="for tests",
    )


def a_store(
    root: Path,
    hub: LoopbackHub,
    *,
    model: Model | None = None,
    endpoint: str | None = None,
    sleep: Callable[[float], None] = lambda _: None,
    free_bytes: Callable[[Path], int] = disk.free_bytes,
) -> Store:
    return Store(
        root,
        catalogue={"tiny": model or a_model()},
        endpoint=endpoint or hub.endpoint,
        sleep=sleep,
        free_bytes=free_bytes,
    )


def test_the_folder_for_cpus_is_taken_whole_and_nothing_else(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    installed = a_store(tmp_path, hub).pull("tiny")

    assert sorted(p.name for p in installed.path.iterdir()) == sorted([*NAMES, "firsthop.json"])
    for name in NAMES:
        assert (installed.path / name).read_bytes() == hub.files[f"{CPU}/{name}"]


def test_the_manifest_says_which_commit_it_was_and_what_was_checked(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    installed = a_store(tmp_path, hub).pull("tiny")
    paper = installed.manifest

    assert (paper.source, paper.revision, paper.licence) == (f"hub:{REPO}", COMMIT, "MIT")
    assert paper.context_limit == 4096
    checked = {entry.path: entry.checked for entry in paper.files}
    assert checked["tiny.onnx.data"] == "hub sha256"
    assert checked["tokenizer.json"] == "hub git sha1"
    for entry in paper.files:
        content = (installed.path / entry.path).read_bytes()
        assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert json.loads((installed.path / "firsthop.json").read_text())["revision"] == COMMIT


def test_a_dropped_connection_is_taken_up_where_it_broke(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.mishaps.drop_after = [10**9, 100_000, 50_000]

    installed = a_store(tmp_path, hub).pull("tiny")

    assert (installed.path / "tiny.onnx.data").read_bytes() == hub.files[WEIGHTS]
    ranges = [one.range for one in hub.downloads() if one.path == f"/{WEIGHTS}"]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.drop_after = [10**9, 100_000]
    hub.mishaps.ignore_ranges = True
    told: list[Progress] = []

    installed = a_store(tmp_path, hub).pull("tiny", on_progress=told.append)

    assert (installed.path / "tiny.onnx.data").read_bytes() == hub.files[WEIGHTS]
    downloads = [p for p in told if p.phase == "download"]
    assert downloads[-1].bytes_done == downloads[-1].bytes_total


def test_a_busy_hub_is_asked_again_after_longer_and_longer_waits(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.statuses = [503]
    hub.mishaps.cdn_statuses = [503, 429]
    waits: list[float] = []

    a_store(tmp_path, hub, sleep=waits.append).pull("tiny")

    assert waits == [1.0, 1.0, 2.0]


def test_a_line_that_brings_nothing_ends_in_an_error_and_the_next_pull_goes_on(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.drop_after = [10**9, 120_000, *[0] * 5]
    store = a_store(tmp_path, hub)

    with pytest.raises(ModelError, match="pull again to go on"):
        store.pull("tiny")
    with pytest.raises(ModelError, match="firsthop models pull tiny"):
        store.path("tiny")
    hub.seen.clear()
    installed = store.pull("tiny")

    assert (installed.path / "tiny.onnx.data").read_bytes() == hub.files[WEIGHTS]
    assert [one.range for one in hub.downloads()] == ["bytes=120000-"]


def test_a_wrong_checksum_installs_nothing_and_leaves_nothing_wrong_behind(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.corrupt = {WEIGHTS}
    store = a_store(tmp_path, hub)

    with pytest.raises(ModelError, match="what the hub says"):
        store.pull("tiny")
    assert store.list() == []
    hub.mishaps.corrupt = set()

    assert store.verify(store.pull("tiny").name).ok


def test_a_small_file_is_held_to_its_git_checksum(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.mishaps.corrupt = {f"{CPU}/tokenizer.json"}

    with pytest.raises(ModelError, match="git sha1"):
        a_store(tmp_path, hub).pull("tiny")


def test_what_lay_there_half_and_wrong_is_fetched_once_more_from_the_start(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    half = tmp_path / ".staging" / "tiny" / COMMIT[:12] / "tiny.onnx.data"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"\0" * 200_000)

    installed = a_store(tmp_path, hub).pull("tiny")

    assert (installed.path / "tiny.onnx.data").read_bytes() == hub.files[WEIGHTS]
    ranges = [one.range for one in hub.downloads() if one.path == f"/{WEIGHTS}"]
    assert ranges == ["bytes=200000-", None]


def test_a_file_of_our_own_pin_is_held_to_it_whatever_the_hub_says(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    right = hashlib.sha256(hub.files[WEIGHTS]).hexdigest()
    pinned = a_model(sha256={"tiny.onnx.data": right})
    other = a_model(sha256={"tiny.onnx.data": "0" * 64})

    installed = a_store(tmp_path / "a", hub, model=pinned).pull("tiny")
    with pytest.raises(ModelError, match="is pinned"):
        a_store(tmp_path / "b", hub, model=other).pull("tiny")

    entry = next(e for e in installed.manifest.files if e.path == "tiny.onnx.data")
    assert entry.checked == "pinned sha256"


def test_a_pinned_commit_is_asked_for_by_its_hash(hub: LoopbackHub, tmp_path: Path) -> None:
    pinned = a_model(revision=COMMIT)
    gone = a_model(revision="f" * 40)

    assert a_store(tmp_path, hub, model=pinned).pull("tiny").manifest.revision == COMMIT
    with pytest.raises(ModelError, match="not the revision"):
        a_store(tmp_path / "b", hub, model=gone).pull("tiny")


def test_a_mirror_without_checksums_in_its_listing_is_asked_file_by_file(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.bare_listing = True

    installed = a_store(tmp_path, hub).pull("tiny")

    assert {e.checked for e in installed.manifest.files} == {"hub sha256", "hub git sha1"}


def test_a_hub_that_gives_no_checksum_at_all_is_not_trusted(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.mishaps.bare_listing = True
    hub.mishaps.no_etag = True

    with pytest.raises(ModelError, match="no checksum"):
        a_store(tmp_path, hub).pull("tiny")


def test_a_full_disk_is_seen_before_the_weights_are_fetched(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    store = a_store(tmp_path, hub, free_bytes=lambda _: 64_000_000)

    with pytest.raises(ModelError, match=r"needs 67 MB of free disk.*FIRSTHOP_MODELS"):
        store.pull("tiny")

    assert hub.downloads() == []


def test_a_second_pull_asks_nobody_and_a_fresh_one_is_placed_before_the_old_goes(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    store = a_store(tmp_path, hub)
    first = store.pull("tiny")
    hub.seen.clear()

    assert store.pull("tiny") == first
    assert hub.seen == []
    fresh = store.pull("tiny", again=True)

    assert fresh.path != first.path
    assert not first.path.exists()
    assert store.path("tiny") == fresh.path


def test_the_token_goes_to_the_hub_and_never_to_the_cdn(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    a_store(tmp_path, hub).pull("tiny")

    assert {one.authorization for one in hub.seen if one.port == "hub"} == {"Bearer hf_secret"}
    assert {one.authorization for one in hub.downloads()} == {None}


def test_progress_counts_bytes_from_where_an_earlier_pull_broke(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    store = a_store(tmp_path, hub)
    hub.mishaps.drop_after = [10**9, 120_000, *[0] * 5]
    with pytest.raises(ModelError):
        store.pull("tiny")
    told: list[Progress] = []

    store.pull("tiny", on_progress=told.append)

    phases = list(dict.fromkeys(p.phase for p in told))
    assert phases == ["look", "download", "check", "place", "done"]
    begin = next(p for p in told if p.phase == "download" and (p.bytes_total or 0) > 1000)
    assert begin.bytes_done is not None
    assert begin.bytes_done >= 120_000


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda files: files.pop(f"{CPU}/tiny.onnx"), r"names tiny\.onnx, which"),
        (lambda files: files.update({f"{CPU}/genai_config.json": b"<html>"}), "isn't JSON"),
        (lambda files: files.update({f"{CPU}/genai_config.json": b"{}"}), "names no model file"),
        (
            lambda files: [files.pop(p) for p in list(files) if p.endswith("genai_config.json")],
            "no genai_config",
        ),
    ],
)
def test_a_repository_without_a_model_in_it_is_refused(
    hub: LoopbackHub, tmp_path: Path, break_it: object, words: str
) -> None:
    assert callable(break_it)
    break_it(hub.files)

    with pytest.raises(ModelError, match=words):
        a_store(tmp_path, hub).pull("tiny")


def test_an_unknown_repository_a_dead_hub_and_no_hub_at_all_each_say_so(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    elsewhere = a_model(repo="acme/other")
    with pytest.raises(ModelError, match="shows us no acme/other"):
        a_store(tmp_path, hub, model=elsewhere).pull("tiny")
    with pytest.raises(ModelError, match="HTTPS_PROXY"):
        a_store(tmp_path, hub, endpoint="http://127.0.0.1:9").pull("tiny")
    with pytest.raises(ModelError, match="has to begin with https://"):
        a_store(tmp_path, hub, endpoint="huggingface.co").pull("tiny")
    for page in (f"{CPU}/tokenizer.json", "README.md"):
        with pytest.raises(ModelError, match="doesn't answer like a Hugging Face hub"):
            a_store(tmp_path, hub, endpoint=f"{hub.cdn}/{page}?").pull("tiny")


def test_a_hub_can_not_choose_where_on_this_disk_files_go(hub: LoopbackHub, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "models"
    for name in ("..", "..\\evil.json", "C:evil.json", "sub/evil.json"):
        hub.files[f"{CPU}/{name}"] = b"{}"

    installed = a_store(root, hub).pull("tiny")
    hub.mishaps.commit = "../../../evil"
    with pytest.raises(ModelError, match=r"its commit is '\.\./"):
        a_store(root / "b", hub).pull("tiny")

    assert {entry.path for entry in installed.manifest.files} == set(NAMES)
    assert not list(tmp_path.rglob("*evil*"))


def test_a_ready_made_model_can_not_be_given_another_precision(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="ready-made"):
        a_store(tmp_path, hub).pull("tiny", precision="int8")


def test_the_size_of_a_pull_is_asked_for_before_it(tmp_path: Path, hub: LoopbackHub) -> None:
    store = a_store(tmp_path, hub)
    size = store.pull_bytes("tiny")
    pulled = store.pull("tiny")

    assert size is not None
    assert pulled.size_bytes * 0.9 < size < pulled.size_bytes * 1.1
    with pytest.raises(ModelError, match="no model is called 'tny'"):
        store.pull_bytes("tny")
    assert Store(tmp_path).pull_bytes("smollm2-135m") == 92_871_040
