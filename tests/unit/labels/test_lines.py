"""One reader of labelled files: `calibrate` and `eval` take the same lines and refuse the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from router.calibration.tracefile import read_labelled
from router.errors import ConfigError
from router.evaluation.readfile import read

GOOD: dict[str, Any] = {
    "prompt": "How much is 2 + 3?",
    "draft": "2 + 3 = 5",
    "logprobs": [-0.1, -0.3],
    "right": True,
    "strong_right": 1,
}
PAIR: dict[str, Any] = {
    "id": "a-1",
    "dataset": "gsm8k",
    "prompt": "How much is 2 + 3?",
    "weak_model": "small",
    "weak_output": "2 + 3 = 5",
    "weak_answer": 5,
    "weak_correct": 0,
    "strong_correct": 1,
    "strong_cost": 0.01,
    "peers": {"mini": {"correct": 1, "cost": 0.0005}},
}

BAD: list[tuple[Any, str]] = [
    ("{", "is no JSON"),
    ("[" * 100_000, "is no JSON"),
    ([1], "has to be an object, not list"),
    (GOOD | {"right": None}, "right: is missing"),
    (GOOD | {"right": "yes"}, 'right: has to be a number from 0, not "yes"'),
    (GOOD | {"right": 2}, "right: is 2, and has to be from 0 to 1"),
    (GOOD | {"right": float("nan")}, "right: has to be a number"),
    (GOOD | {"right": 10**400}, "right: has to be a number"),
    (GOOD | {"strong_right": -1}, "strong_right: has to be a number from 0, not -1"),
    (GOOD | {"confidence": 1.5}, "confidence: is 1.5, and has to be from 0 to 1"),
    (GOOD | {"draft": 5}, "draft: has to be text, not 5"),
    (GOOD | {"prompt": " "}, "prompt: is empty"),
    (GOOD | {"messages": "hello"}, "messages: has to be a list"),
    (GOOD | {"messages": []}, "messages: the user's last content has to be text, not nothing"),
    (GOOD | {"messages": [{"role": "user", "content": 7}]}, "messages: the user's last content"),
    (GOOD | {"task": 3}, "task: has to be text"),
    (GOOD | {"language": 3}, "language: has to be text"),
    (GOOD | {"model": 3}, "model: has to be text"),
    (GOOD | {"logprobs": "x"}, "logprobs: has to be a list of numbers"),
    (GOOD | {"logprobs": [-1, 0.5]}, "logprobs[1]: has to be a number from -1e+06 to 0, not 0.5"),
    (GOOD | {"logprobs": [-1e308, -1e308]}, "logprobs[0]: has to be a number"),
    (GOOD | {"margins": [1]}, "margins: has 1 numbers, and logprobs 2"),
    (GOOD | {"entropies": [1, -1]}, "entropies[1]: has to be a number from 0, not -1"),
    (GOOD | {"state": "AAA="}, "state: has to be an object with layer and mean"),
    (GOOD | {"state": {"mean": "AAA="}}, "state: layer has to be a whole number from 0"),
    (GOOD | {"state": {"layer": "1", "mean": "AAA="}}, "state: layer has to be a whole number"),
    (GOOD | {"state": {"layer": 1, "mean": "AA="}}, "state: mean is no base64 of float16"),
    (GOOD | {"cost": -1}, "cost: has to be a number from 0, not -1"),
    (PAIR | {"weak_correct": 8}, "weak_correct: is 8, and has to be from 0 to 1"),
    (PAIR | {"weak_cost": "free"}, "weak_cost: has to be a number from 0"),
    (PAIR | {"weak_output": 3}, "weak_output: has to be text"),
    (PAIR | {"weak_samples": [1]}, "weak_samples[0]: has to be text, not 1"),
    (PAIR | {"weak_logits": [1, 2]}, "weak_logits: has to be a score for each of three"),
    (PAIR | {"peers": [1]}, "peers: has to be an object of objects"),
    (PAIR | {"peers": {"m": {}}}, "peers.m.correct: is missing"),
    (PAIR | {"peers": {"m": {"correct": 2}}}, "peers.m.correct: is 2, and has to be from 0 to 1"),
    (PAIR | {"peers": {"m": {"correct": 1, "cost": -1}}}, "peers.m.cost: has to be a number"),
]


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "labels.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("line", "says"), BAD)
def test_a_bad_line_is_told_by_file_line_and_field_whoever_reads_it(
    tmp_path: Path, line: Any, says: str
) -> None:
    path = written(tmp_path, GOOD, "", line, GOOD)

    labels = read_labelled(path)
    with pytest.raises(ConfigError) as refused:
        read(path)

    (bad,) = labels.bad
    assert bad.startswith(f"{path}:3: {says}")
    assert len(labels.rows) == 2
    assert str(refused.value) == bad
    assert (refused.value.file, refused.value.line) == (str(path), 3)


def test_both_shapes_of_row_plain_and_gzipped_are_read_by_both(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, PAIR)
    packed = tmp_path / "labels.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    for one in (path, packed):
        labels, columns = read_labelled(one), read(one)
        assert labels.bad == ()
        assert [row.good for row in labels.rows] == columns.device.right.tolist() == [1, 0]
        assert [row.task for row in labels.rows] == list(columns.tasks)
        assert [row.prompt for row in labels.rows] == list(columns.prompts)
        assert labels.rows[1].cost_usd == 0.01
        sums = columns.signal("draft.sums_right")
        assert sums is not None
        assert [row.signals["draft.sums_right"] for row in labels.rows] == sums.tolist()


def test_prompts_that_failed_in_a_work_file_are_passed_over_by_both(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, {"failed": "2 + 4?", "spent_usd": "0.01"})

    assert len(read_labelled(path).rows) == len(read(path).prompts) == 1
    assert read_labelled(path).bad == ()


def test_turns_that_are_no_text_are_passed_over_by_both(tmp_path: Path) -> None:
    picture = {"role": "user", "content": [{"type": "image_url"}]}
    turns = [picture, {"content": "no role"}, {"role": "user", "content": "How much is 2 + 3?"}]
    path = written(tmp_path, {"messages": turns, "draft": "5", "right": 1})

    assert read_labelled(path).rows[0].prompt == "How much is 2 + 3?"
    assert read(path).prompts == ("How much is 2 + 3?",)


@pytest.mark.parametrize("name", ["none.jsonl", "cut.jsonl.gz", "plain.jsonl.gz"])
def test_a_file_that_is_not_there_or_cut_off_is_refused_by_both(tmp_path: Path, name: str) -> None:
    packed = gzip.compress(json.dumps(GOOD).encode() * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-20])
    (tmp_path / "plain.jsonl.gz").write_text(json.dumps(GOOD))

    for reader in (read_labelled, read):
        with pytest.raises(ConfigError, match="cannot be read"):
            reader(tmp_path / name)
