"""Labelled drafts in a file: what a row is made of, and a work file that was torn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.calibration.parts import part
from router.calibration.prompts import read_prompts
from router.calibration.tracefile import read_labelled
from router.calibration.workfile import WorkFile
from router.errors import ConfigError
from router.signals.prompt import prompt_language
from router.types import Message, Request

GOOD = {"prompt": "How much is 2 + 3?", "draft": "2 + 3 = 5", "right": True}


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "labels.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def test_a_row_has_what_its_line_says(tmp_path: Path) -> None:
    line = GOOD | {
        "logprobs": [-0.1, -0.3],
        "margins": [0.9, 0.5],
        "entropies": [0.2, 0.4],
        "strong_right": 0,
        "task": "sums",
        "language": "en",
        "cost": 0.002,
    }

    (row,) = read_labelled(written(tmp_path, line)).rows

    assert (row.good, row.strong_right, row.task, row.language) == (1.0, 0.0, "sums", "en")
    assert (row.cost_usd, row.logprobs) == (0.002, (-0.1, -0.3))
    assert row.signals["tokens.mean_logprob"] == pytest.approx(-0.2)
    assert row.signals["tokens.first_margin"] == 0.9
    assert row.signals["draft.sums_right"] == 1.0


def test_task_and_language_are_guessed_as_on_the_street(tmp_path: Path) -> None:
    line = GOOD | {"prompt": "Wie viel Geld haben wir, wenn wir 12 und 30 Euro zusammenlegen?"}

    (row,) = read_labelled(written(tmp_path, line)).rows

    assert (row.task, row.language) == ("mathematics", "de")


def test_of_a_conversation_the_last_thing_the_user_said_is_read(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "How much is 2 + 3?"},
    ]

    (row,) = read_labelled(written(tmp_path, {"messages": turns, "draft": "5", "score": 0.7})).rows

    assert row.prompt == "How much is 2 + 3?"
    assert row.right == 0.7


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"draft": "5", "right": 1}, "prompt: is missing, and so is messages"),
        ({"prompt": "?", "right": 1}, "draft: is missing"),
        ({"prompt": "?", "draft": "5"}, "right: is missing"),
    ],
)
def test_a_line_without_prompt_draft_or_label_is_told(tmp_path: Path, line: Any, says: str) -> None:
    path = written(tmp_path, GOOD, "", line, GOOD)

    found = read_labelled(path)

    assert len(found.rows) == 2
    assert found.bad[0].startswith(f"{path}:3: {says}")


def test_a_token_nobody_knows_of_leaves_the_figures_unknown(tmp_path: Path) -> None:
    (row,) = read_labelled(written(tmp_path, GOOD | {"logprobs": [-0.1, None]})).rows

    assert row.logprobs == ()
    assert row.signals["tokens.mean_logprob"] != row.signals["tokens.mean_logprob"]


def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path: Path) -> None:
    file = WorkFile(tmp_path / "work.jsonl")
    assert file.rows() == []
    file.add({"prompt": "a"})
    file.add({"prompt": "b"})
    whole = file.path.read_bytes()
    file.path.write_bytes(whole + b'{"prompt": "c", "dra')

    assert [row["prompt"] for row in file.rows()] == ["a", "b"]
    file.add({"prompt": "d"})
    assert [row["prompt"] for row in file.rows()] == ["a", "b", "d"]


def test_a_work_file_that_was_never_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "work.jsonl"
    path.write_text("not mine\n")

    with pytest.raises(ConfigError) as caught:
        WorkFile(path).rows()

    assert caught.value.line == 1


def test_prompts_are_lines_or_objects(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("What is 2 + 3?\n\nAnd  4?\nand 4?\n", encoding="utf-8")
    found = read_prompts(plain)
    assert [p.text for p in found.prompts] == ["What is 2 + 3?", "And  4?"]
    assert found.repeated == 1

    objects = tmp_path / "objects.jsonl"
    objects.write_text(
        '{"prompt": "a", "reference": "1", "label": "pii"}\n{"prompt": 7}\n'
        '{"prompt": "b", "label": "hush"}\n'
    )
    found = read_prompts(objects)
    assert [(p.text, p.reference, p.label) for p in found.prompts] == [("a", "1", "pii")]
    assert found.bad[0].startswith(f"{objects}:2: prompt: has to be text")
    assert found.bad[1].startswith(f"{objects}:3: label: is 'hush'")


def test_a_conversation_is_in_the_language_that_the_street_would_tell(tmp_path: Path) -> None:
    """The last turn tells none, so the one before it does."""
    said = ["Wie heißt die Hauptstadt von Frankreich, und warum ist sie so bekannt?", "12 * 7?"]
    turns = [{"role": "user", "content": text} for text in said]
    path = written(tmp_path, {"messages": turns, "draft": "84", "right": True})

    street = prompt_language(Request(messages=tuple(Message(**turn) for turn in turns)))  # type: ignore[arg-type]

    assert street == "de"
    assert read_labelled(path).rows[0].language == street


def test_half_a_character_is_no_reason_to_fall_over(tmp_path: Path) -> None:
    path = tmp_path / "half.jsonl"
    path.write_text('{"prompt": "hi \\ud83d", "draft": "x", "right": 1}\n')

    rows = read_labelled(path).rows

    assert len(part(rows).fit) + len(part(rows).test) == 1
