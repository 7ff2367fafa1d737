"""The questions put to the real device model, their checkers, and the drafts that are kept."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith("device_")]:
        del sys.modules[name]


def asked(bench: Any, how: str, *accepted: str, rivals: tuple[str, ...] = (), q: str = "?") -> Any:
    return bench("device_set").Question(
        id="x-0", kind="x", subject="x", question=q, how=how, accepted=accepted, rivals=rivals
    )


@pytest.mark.parametrize(
    ("draft", "right"),
    [
        ("Bogota", True),
        ("The capital is Bogotá.", True),
        ("\n\nbogotá", True),
        ("Bogotanos", False),
        ("Medellín\nBogotá", False),
        ("", False),
    ],
)
def test_words_stand_whole_in_the_first_line(bench: Any, draft: str, right: bool) -> None:
    assert asked(bench, "words", "Bogotá").right(draft) is right


@pytest.mark.parametrize(
    ("draft", "right"),
    [
        ("60", True),
        ("3 x 20 = 60", True),
        ("There are 60 in 3.", True),
        ("sixty", False),
        ("60.5", False),
        ("160", False),
        ("60 or 61", False),
        ("3", False),
        ("none", False),
    ],
)
def test_a_number_is_the_last_that_the_question_did_not_give(
    bench: Any, draft: str, right: bool
) -> None:
    assert asked(bench, "number", "60", q="How much is 3 x 20?").right(draft) is right


def test_a_number_may_be_spelled_and_may_stand_in_the_question(bench: Any) -> None:
    assert asked(bench, "number", "12").right("Twelve")
    assert asked(bench, "number", "1200").right("1,200")
    assert asked(bench, "number", "4", q="How much is 4 x 1?").right("4")
    assert not asked(bench, "number", "4", q="How much is 4 x 1?").right("1")


def test_letters_count_as_they_are_written(bench: Any) -> None:
    symbol = asked(bench, "letters", "Co")

    assert symbol.right("Co")
    assert symbol.right("The symbol is Co.")
    assert not symbol.right("CO")
    assert not symbol.right("Cobalt")


def test_a_list_is_all_its_numbers_in_order(bench: Any) -> None:
    sort = asked(bench, "list", "17", "41", "88")

    assert sort.right("17, 41, 88")
    assert sort.right("17 < 41 < 88")
    assert not sort.right("17, 88, 41")
    assert not sort.right("17, 41")


def test_a_choice_is_what_is_named_first(bench: Any) -> None:
    choice = asked(bench, "choice", "Chad", rivals=("Niger",))

    assert choice.right("Chad")
    assert choice.right("Chad is larger than Niger")
    assert not choice.right("Niger is smaller than Chad")
    assert not choice.right("Nigeria")


def test_the_set_is_as_large_and_as_mixed_as_is_said(bench: Any) -> None:
    questions = bench("device_set").read()
    counted = Counter(question.kind for question in questions)

    assert len(questions) >= 1300
    assert len(counted) >= 10
    assert min(counted.values()) >= 60
    assert len({question.id for question in questions}) == len(questions)
    assert len({question.question for question in questions}) == len(questions)


def test_no_question_is_answered_by_its_own_words(bench: Any) -> None:
    questions = bench("device_set").read()

    told = [q.question for q in questions if q.how == "words" and q.right(q.question)]

    assert told == []


def test_what_is_made_by_rule_is_what_is_kept(bench: Any) -> None:
    kept = {question.id: question for question in bench("device_set").read()}
    again = [question for question in bench("device_made").made() if question.id in kept]

    assert len(again) > 300
    assert all(kept[question.id] == question for question in again)


def test_every_source_is_named_with_its_licence(bench: Any) -> None:
    told = (BENCHMARKS / "data" / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in told.splitlines() if line.startswith("|")]
    kinds = {kind.strip() for row in rows for kind in row[-2].split(",")}

    assert all(row[2].strip() for row in rows)
    assert {question.kind for question in bench("device_set").read()} <= kinds


def test_each_kind_is_neither_always_right_nor_always_wrong(bench: Any) -> None:
    questions = bench("device_set").read()
    drafts = bench("device_cache").unpack(bench("device_cache").kept_here(), questions)
    right: dict[str, list[bool]] = {}
    for question, draft in zip(questions, drafts.each, strict=True):
        right.setdefault(question.kind, []).append(draft.right)

    shares = {kind: float(np.mean(said)) for kind, said in right.items()}

    assert all(0.15 <= share <= 0.85 for share in shares.values()), shares


def test_what_is_kept_as_right_is_what_the_checkers_say(bench: Any) -> None:
    questions = bench("device_set").read()
    drafts = bench("device_cache").unpack(bench("device_cache").kept_here(), questions)

    assert [d.right for d in drafts.each] == [
        q.right(d.text) for q, d in zip(questions, drafts.each, strict=True)
    ]


def kept(bench: Any, folder: Path) -> tuple[Path, Any, Any]:
    """A small file of drafts, its questions, and what is in it."""
    cache, stat = bench("device_cache"), importlib.import_module("router.types").TokenStat
    questions = [replace(asked(bench, "words", "a"), id=f"x-{at}") for at in range(3)]
    state = np.array([0.5, -2.0], np.float32)
    stats = (stat(-0.5, 1.0, 0.25), stat(-1.0, None, None))
    each = tuple(
        cache.Draft(text=f"a {at}", right=True, finish="stop", stats=stats[: at + 1], state=state)
        for at in range(2)
    )
    cut = cache.Draft(text="b", right=False, finish="length", stats=stats[:1], state=None)
    drafts = cache.Drafts(model="ab" * 32, name="tiny", layer=1, each=(*each, cut))
    place = cache.place_of(drafts.model, folder)
    cache.pack(place, drafts, questions)
    return place, questions, drafts


def test_drafts_come_back_as_they_were_kept(bench: Any, tmp_path: Path) -> None:
    place, questions, drafts = kept(bench, tmp_path)

    again = bench("device_cache").unpack(place, questions)

    assert [(d.text, d.right, d.finish, d.stats) for d in again.each] == [
        (d.text, d.right, d.finish, d.stats) for d in drafts.each
    ]
    assert np.array_equal(again.states(), drafts.states(), equal_nan=True)
    assert bench("device_cache").kept_here(tmp_path) == place


def test_drafts_of_another_model_are_refused(bench: Any, tmp_path: Path) -> None:
    place, questions, _ = kept(bench, tmp_path)
    cache = bench("device_cache")
    other = place.rename(cache.place_of("cd" * 32, tmp_path))

    with pytest.raises(cache.NotTheseDrafts, match="drafts of the model abab"):
        cache.unpack(other, questions)


def test_drafts_of_other_questions_are_refused(bench: Any, tmp_path: Path) -> None:
    place, questions, _ = kept(bench, tmp_path)
    cache = bench("device_cache")

    with pytest.raises(cache.NotTheseDrafts, match="other questions"):
        cache.unpack(place, [replace(questions[0], accepted=("b",)), *questions[1:]])


def test_several_files_of_drafts_are_refused(bench: Any, tmp_path: Path) -> None:
    place, _, _ = kept(bench, tmp_path)
    cache = bench("device_cache")
    cache.place_of("cd" * 32, tmp_path).write_bytes(place.read_bytes())

    with pytest.raises(cache.NotTheseDrafts, match="2 files"):
        cache.kept_here(tmp_path)
