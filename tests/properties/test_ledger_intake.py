"""However a journal was cut and however it is taken in, the rows are the same."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.booking import (
    attempt,
    began,
    begin_line,
    close_line,
    closed,
    end_line,
    hop,
    label_line,
)
from support.effort import times

from router.clock import ManualClock
from router.ledger.intake import Intake

RUN = "4242-0123abcd"
ONE_GO = 1 << 20

Step = tuple[str, str, int]
"""What, of which request, in which hop."""


@st.composite
def walks(draw: st.DrawFn) -> list[Step]:
    """A few requests, each in its own order, their steps mixed as they are in a busy process."""
    queues: list[list[Step]] = []
    for number in range(draw(st.integers(1, 4))):
        name = f"d{number}"
        steps: list[Step] = []
        for index in range(draw(st.integers(0, 3))):
            steps += [("begin", name, index), ("end", name, index)]
        steps.append(("close", name, 0))
        if draw(st.booleans()):
            steps.append(("label", name, 0))
        queues.append(steps[: draw(st.integers(1, len(steps)))])
    mixed: list[Step] = []
    while queues:
        queue = draw(st.sampled_from(queues))
        mixed.append(queue.pop(0))
        queues = [q for q in queues if q]
    return mixed


def line_of(step: Step, steps: Sequence[Step]) -> bytes:
    what, name, index = step
    if what == "begin":
        return begin_line(began(name, index))
    if what == "end":
        return end_line(name, index, attempt(name, index), keep_text=False)
    if what == "label":
        return label_line(
            name, label_id=f"l-{name}", at=1.0, good=True, score=None, note=None, source="me"
        )
    tried = [i for w, n, i in steps if (w, n) == ("begin", name)]
    hops = [hop(name, i, status="answered" if i == tried[-1] else "deferred") for i in tried]
    return close_line(closed(name, *hops), keep_text=False)


def tables(intake: Intake) -> dict[str, list[tuple[Any, ...]]]:
    names = ("requests", "hops", "attempts", "labels", "texts")
    found = {n: intake.db.execute(f"SELECT * FROM {n} ORDER BY 1, 2").fetchall() for n in names}
    torn = intake.db.execute("SELECT bytes FROM torn ORDER BY journal, offset").fetchall()
    assert intake.db.execute("SELECT * FROM journals").fetchall() == []
    assert list(intake.journals.iterdir()) == []
    return found | {"torn": torn}


def opened(folder: Path, batch_bytes: int) -> Intake:
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    return Intake.open(folder, clock=ManualClock(), batch_bytes=batch_bytes)


def taken_in(folder: Path, pieces: Sequence[bytes], batch_bytes: int) -> Any:
    """A dead run's files, finished by whoever comes next."""
    intake = opened(folder, batch_bytes)
    for number, piece in enumerate(pieces, start=1):
        (intake.journals / f"{RUN}-{number:06d}.jsonl").write_bytes(piece)
    intake.catch_up()
    found = tables(intake)
    intake.close()
    return found


def expected(steps: Sequence[Step]) -> dict[str, Any]:
    """What a person would say of those steps, without any journal."""
    over = {name for what, name, _ in steps if what == "close"}
    attempts = {}
    for what, name, index in steps:
        if what in ("begin", "end"):
            attempts[f"{name}-{index}-1"] = "finished" if what == "end" else "interrupted"
    return {
        "requests": {
            name: "answered" if name in over else "interrupted"
            for what, name, _ in steps
            if what != "label"
        },
        "attempts": attempts,
        "labels": sum(what == "label" for what, _, _ in steps),
    }


@settings(max_examples=times(30), deadline=None)
@given(walks(), st.data())
def test_a_journal_cut_at_any_byte_gives_the_rows_of_its_whole_lines(
    steps: list[Step], data: st.DataObject
) -> None:
    lines = [line_of(step, steps) for step in steps]
    journal = b"".join(lines)
    cut = data.draw(st.integers(0, len(journal)), label="cut")
    batch = data.draw(st.integers(1, 1500), label="batch")
    whole = [n for n in range(len(lines)) if sum(map(len, lines[: n + 1])) <= cut]
    rotated = data.draw(st.integers(0, len(whole)), label="rotated")
    at = sum(map(len, lines[:rotated]))

    with tempfile.TemporaryDirectory() as temporary:
        one_go = taken_in(Path(temporary, "a"), [journal[:cut]], ONE_GO)
        batches = taken_in(Path(temporary, "b"), [journal[:at], journal[at:cut]], batch)

    assert batches == one_go
    wanted = expected([steps[n] for n in whole])
    assert {row[0]: row[3] for row in one_go["requests"]} == wanted["requests"]
    assert {row[0]: row[4] for row in one_go["attempts"]} == wanted["attempts"]
    assert all(row[13] is None for row in one_go["attempts"] if row[4] == "interrupted")
    assert len(one_go["labels"]) == wanted["labels"]
    left = cut - sum(len(lines[n]) for n in whole)
    assert one_go["torn"] == ([(left,)] if left else [])


@settings(max_examples=times(20), deadline=None)
@given(walks(), st.data())
def test_readers_that_take_turns_while_it_grows_give_the_same_rows(
    steps: list[Step], data: st.DataObject
) -> None:
    journal = b"".join(line_of(step, steps) for step in steps)
    stops = data.draw(st.lists(st.integers(0, len(journal)), max_size=6), label="stops")
    batch = data.draw(st.integers(1, 1500), label="batch")

    with tempfile.TemporaryDirectory() as temporary:
        one_go = taken_in(Path(temporary, "a"), [journal], ONE_GO)
        folder = Path(temporary, "b")
        readers = [opened(folder, batch), opened(folder, ONE_GO)]
        file = readers[0].journals / f"{RUN}-000001.jsonl"
        with file.open("ab", buffering=0) as growing:
            written = 0
            for turn, stop in enumerate(sorted(stops)):
                growing.write(journal[written:stop])
                written = max(written, stop)
                readers[turn % 2].take_living(RUN)
            growing.write(journal[written:])
        readers[0].catch_up()
        readers[1].catch_up()
        grown = tables(readers[1])
        for reader in readers:
            reader.close()

    assert grown == one_go


@settings(max_examples=times(20), deadline=None)
@given(walks(), st.data())
def test_a_file_that_comes_back_after_a_power_cut_changes_no_row(
    steps: list[Step], data: st.DataObject
) -> None:
    """Its removal had not reached the disk, while the tables' word that it was done had."""
    journal = b"".join(line_of(step, steps) for step in steps)
    cut = data.draw(st.integers(0, len(journal)), label="cut")
    batch = data.draw(st.integers(1, 1500), label="batch")

    with tempfile.TemporaryDirectory() as temporary:
        once = taken_in(Path(temporary), [journal[:cut]], ONE_GO)
        twice = taken_in(Path(temporary), [journal[:cut]], batch)

    assert twice == once


@settings(max_examples=times(20), deadline=None)
@given(walks(), st.data())
def test_a_line_that_is_damaged_costs_itself_and_no_other(
    steps: list[Step], data: st.DataObject
) -> None:
    lines = [line_of(step, steps) for step in steps]
    spoiled = data.draw(st.integers(0, len(lines) - 1), label="spoiled")
    garbage = data.draw(st.binary(min_size=1, max_size=40), label="garbage")
    garbage = garbage.replace(b"\n", b"\x00").replace(b"\r", b"\x00").strip() or b"\x00"
    damaged = [*lines[:spoiled], garbage + lines[spoiled], *lines[spoiled + 1 :]]
    kept = [*lines[:spoiled], *lines[spoiled + 1 :]]

    with tempfile.TemporaryDirectory() as temporary:
        found = taken_in(Path(temporary, "a"), [b"".join(damaged)], ONE_GO)
        wanted = taken_in(Path(temporary, "b"), [b"".join(kept)], ONE_GO)

    assert found.pop("torn") == [(len(garbage + lines[spoiled]),)]
    assert wanted.pop("torn") == []
    assert found == wanted
