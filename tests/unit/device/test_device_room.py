"""Whether a model finds room before it is loaded: what it takes, what is free, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from router.device.engine import EngineOptions
from router.device.free import available_bytes, cgroup_free_bytes, free_bytes
from router.device.room import (
    OVERHEAD_BYTES,
    Need,
    gigabytes,
    need_of,
    no_room,
    refusal,
    rows_bytes,
    within,
)
from router.errors import Unavailable

PHI = Need(
    model="phi-3.5-mini",
    weights_bytes=2_420_000_000,
    token_bytes=2 * 4 * 32 * 32 * 96,
    context_limit=4096,
)


def folder(path: Path, **decoder: object) -> Path:
    path.mkdir()
    shape = {"num_hidden_layers": 30, "num_key_value_heads": 3, "head_size": 64, **decoder}
    model = {"type": "llama", "context_length": 1000, "decoder": shape}
    (path / "genai_config.json").write_text(json.dumps({"model": model}))
    (path / "model.onnx").write_bytes(b"x" * 10)
    (path / "model.onnx.data").write_bytes(b"x" * 90)
    (path / "tokenizer.json").write_bytes(b"x" * 5000)
    return path


def test_weights_are_the_files_of_the_graph_and_the_cache_follows_from_the_shape(
    tmp_path: Path,
) -> None:
    need = need_of(folder(tmp_path / "m"), None)

    assert (need.weights_bytes, need.token_bytes) == (100, 2 * 4 * 30 * 3 * 64)
    assert need.at(10) == 100 + OVERHEAD_BYTES + 10 * 46080
    assert need.at(5000) == need.at(1000)


def test_a_lower_context_limit_needs_less(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")

    assert need_of(path, 100).at(4096) < need_of(path, None).at(4096)


def test_a_cache_of_unknown_shape_is_left_out(tmp_path: Path) -> None:
    need = need_of(folder(tmp_path / "m", head_size=None), None)

    assert need.token_bytes is None
    assert need.at(1000) == need.at(1)


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no such folder"):
        need_of(tmp_path / "none", None)


def test_too_little_free_memory_is_told_with_both_figures_and_what_to_try() -> None:
    said = no_room(PHI, free=1_900_000_000, limit=None)

    assert said == (
        "phi-3.5-mini needs 3.0 GB, 1.9 GB free: close something, or take a smaller model: "
        "firsthop models list"
    )


def test_enough_is_enough_and_unknown_refuses_nothing() -> None:
    assert no_room(PHI, free=PHI.at(512), limit=None) is None
    assert no_room(PHI, free=PHI.at(512) - 1, limit=None) is not None
    assert no_room(PHI, free=None, limit=None) is None


def test_a_limit_is_held_against_the_longest_request() -> None:
    said = no_room(PHI, free=None, limit=4_000_000_000) or ""

    assert said.startswith("phi-3.5-mini needs up to 5.8 GB with a request of 4,096 tokens")
    assert "memory_limit is 4.0 GB: lower context_limit, raise memory_limit" in said
    assert no_room(PHI, free=None, limit=6_000_000_000) is None


def test_rows_and_what_is_kept_share_what_a_limit_leaves_beside_one_request() -> None:
    six = 6_000_000_000

    assert no_room(PHI, free=None, limit=six) is None
    longest = PHI.at(PHI.context_limit) - PHI.at(0)
    assert longest < rows_bytes(PHI, 4, free=None, limit=six) == six - PHI.at(0) < 2 * longest


def test_caches_are_kept_within_the_limit(tmp_path: Path) -> None:
    options = EngineOptions(folder=str(folder(tmp_path / "m")), keep_bytes=10**9)

    assert within(options, None) == options
    assert within(options, 10**10) == options
    need = need_of(tmp_path / "m", None)
    assert within(options, need.at(need.context_limit) + 5000).keep_bytes == 5000
    assert within(options, 100).keep_bytes == 0


def test_memory_that_a_leaving_worker_holds_is_waited_for(tmp_path: Path) -> None:
    options = EngineOptions(folder=str(folder(tmp_path / "m")))
    free = iter([0, 0, 10**12])
    comes = iter([True, True, False])
    assert refusal(options, None, free=lambda: next(free), more_comes=lambda: next(comes)) is None

    free, comes = iter([0, 0, 10**12]), iter([True, False])
    error = refusal(options, None, free=lambda: next(free), more_comes=lambda: next(comes))
    assert error is not None
    assert error.code == "no_memory"


def test_a_limit_that_is_too_low_is_told_without_waiting(tmp_path: Path) -> None:
    options = EngineOptions(folder=str(folder(tmp_path / "m")))

    assert refusal(options, 1, free=lambda: 0, more_comes=lambda: True) is not None


def test_a_limit_below_the_weights_does_not_advise_a_shorter_context() -> None:
    assert "lower context_limit" not in (no_room(PHI, free=None, limit=1_000_000_000) or "")


def test_the_refusal_is_an_error_that_no_retry_helps(tmp_path: Path) -> None:
    options = EngineOptions(folder=str(folder(tmp_path / "m")))
    error = refusal(options, 1_000_000)

    assert isinstance(error, Unavailable)
    assert (error.retryable, error.code) == (False, "no_memory")
    assert refusal(options, None) is None


def test_a_model_on_an_accelerator_is_not_judged(tmp_path: Path) -> None:
    options = EngineOptions(folder=str(folder(tmp_path / "m")), accelerator="cuda")

    assert refusal(options, 1) is None


def test_bytes_are_told_as_people_say_them() -> None:
    assert [gigabytes(n) for n in (2_420_000_000, 134_000_000, 99_999_999)] == [
        "2.4 GB", "0.1 GB", "100 MB",
    ]  # fmt: skip


def test_this_machine_says_what_is_free() -> None:
    free, available = free_bytes(), available_bytes()

    assert free is not None
    assert available is not None
    assert 0 < free <= available * 1.5  # it moves between the two looks


def group(path: Path, **files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text + "\n")


def own(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "own"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_the_tightest_group_from_ours_to_the_root_counts(tmp_path: Path) -> None:
    tree = tmp_path / "cgroup"
    group(tree / "app" / "worker", memory__max="max", memory__current="10")
    group(tree / "app", memory__max="1000", memory__current="400", memory__stat="inactive_file 50")
    group(tree, memory__max="9000", memory__current="100")

    assert cgroup_free_bytes(own(tmp_path, "0::/app/worker"), tree) == 650


def test_a_tree_that_begins_at_our_own_group_is_read_too(tmp_path: Path) -> None:
    tree = tmp_path / "cgroup"
    group(tree, memory__max="1000", memory__current="1200")

    assert cgroup_free_bytes(own(tmp_path, "0::/docker/abc"), tree) == 0


def test_version_1_has_other_names_and_writes_no_limit_as_a_large_number(tmp_path: Path) -> None:
    tree = tmp_path / "cgroup"
    lines = own(tmp_path, "4:memory:/app", "2:cpuacct,cpu:/app", "9:name=systemd:/")
    group(
        tree / "memory" / "app",
        memory__limit_in_bytes="1000",
        memory__usage_in_bytes="600",
        memory__stat="cache 9\ntotal_inactive_file 100",
    )
    group(tree / "memory", memory__limit_in_bytes=str(2**63 - 4096), memory__usage_in_bytes="1")

    assert cgroup_free_bytes(lines, tree) == 500


@pytest.mark.parametrize("text", ["", "what is this", "0::/", "0::/../.."])
def test_where_no_group_says_a_limit_there_is_none(tmp_path: Path, text: str) -> None:
    assert cgroup_free_bytes(own(tmp_path, text), tmp_path / "cgroup") is None
    assert cgroup_free_bytes(tmp_path / "missing", tmp_path) is None


def test_rows_have_the_memory_of_all_at_their_longest_where_there_is_so_much():
    need = Need(model="m", weights_bytes=10**9, token_bytes=1000, context_limit=4096)
    one = (4096 + 256) * 1000

    assert rows_bytes(need, 4, free=None, limit=None) == 4 * one
    assert rows_bytes(need, 4, free=need.at(0) + 2 * one, limit=None) == 2 * one
    assert rows_bytes(need, 4, free=need.at(0) + 3 * one, limit=need.at(0) + one) == one
    assert rows_bytes(need, 4, free=0, limit=None) == one


def test_rows_of_a_model_that_does_not_say_what_they_take_are_not_bounded():
    need = Need(model="m", weights_bytes=10**9, token_bytes=None, context_limit=4096)

    assert rows_bytes(need, 4, free=10**6, limit=10**6) > 10**15
