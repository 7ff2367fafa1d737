"""Rows on one session against the same tokens through the runtime's own `Generator`, bit by bit."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.other_graphs import (
    SWITCH,
    edited,
    gives_the_last_logits,
    half_precision,
    mixes_its_rows,
    shows_a_middle_layer,
    shows_its_positions,
    two_position_tables,
)

from router.device.engine import EngineOptions
from router.device.runtime import load_model, make_generator
from router.device.session import CHUNK, Rows, Slot
from router.device.slots import STEP, Prefix
from router.errors import Incapable, ModelError, Unavailable
from router.models import Store

Array = npt.NDArray[Any]

LENGTHS = (7, 21, 13, 80)
STEPS = 6
REAL = "smollm2-135m"


class Reference:
    """The runtime's own generator, one row at a time."""

    def __init__(self, folder: Path) -> None:
        self._model, _ = load_model(folder, EngineOptions(folder=str(folder), threads=1), None)

    def rows(self, prompt: list[int], then: list[int], most: int = 512) -> list[Array]:
        """Logits after the prompt, read in chunks of 64, and after each token then."""
        generator = make_generator(self._model, most)
        for at in range(0, len(prompt), 64):
            generator.append_tokens(np.array(prompt[at : at + 64], np.int32))
        found = [np.array(generator.get_logits(), np.float32).ravel()]
        for token in then:
            generator.append_tokens(np.array([token], np.int32))
            found.append(np.array(generator.get_logits(), np.float32).ravel())
        return found


class Model:
    """A folder, its reference, four prompts with what follows them, and what that gives alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reference = Reference(folder)
        vocab = opened(folder).vocab
        rng = np.random.default_rng(7)
        self.prompts = [rng.integers(3, vocab - 8, n).tolist() for n in LENGTHS]
        self.then = [rng.integers(3, vocab - 8, STEPS).tolist() for _ in LENGTHS]
        pairs = zip(self.prompts, self.then, strict=True)
        self.alone = [self.reference.rows(prompt, then) for prompt, then in pairs]


def opened(folder: Path, **how: Any) -> Rows:
    sizes = {"max_rows": 8, "ceiling_bytes": 1 << 30} | how
    limit = sizes.pop("context_limit", None)
    options = EngineOptions(folder=str(folder), threads=1, context_limit=limit)
    return Rows.open(options, **sizes)


@pytest.fixture(scope="module", params=["tiny", REAL])
def model(request: pytest.FixtureRequest, tiny: Path) -> Model:
    if request.param == "tiny":
        return Model(tiny)
    try:
        return Model(Store().path(REAL))
    except ModelError:
        pytest.skip(f"needs the model: firsthop models pull {REAL}")


@pytest.fixture(scope="module")
def one(model: Model) -> Rows:
    return opened(model.folder)


@pytest.fixture(scope="module")
def known(one: Rows, model: Model) -> list[Prefix]:
    """The prompts, read once."""
    found = []
    for prompt in model.prompts:
        slot = one.take(len(prompt))
        read(one, slot, prompt)
        found.append(one.keep(slot, len(prompt)))
        one.give_back(slot)
    return found


@pytest.fixture
def rows(one: Rows) -> Rows:
    """Rows with nobody in them."""
    assert one.kv_bytes == 0, "a test kept a slot"
    return one


@pytest.fixture
def taken(known: list[Prefix], rows: Rows) -> Iterator[list[Slot]]:
    """A slot for each prompt that holds it."""
    slots = [rows.take(200, prefix) for prefix in known]
    yield slots
    for slot in slots:
        if slot.place >= 0:
            rows.give_back(slot)


def read(rows: Rows, slot: Slot, ids: list[int]) -> Array:
    for at in range(0, len(ids), 64):
        row = rows.prefill(slot, ids[at : at + 64])
    return row.copy()


def poison(rows: Rows, slots: list[Slot]) -> None:
    """NaN wherever none of these slots has a token."""
    arena = rows._arena
    holders = {slot.place: slot.used for slot in slots}
    for side in arena.sides:
        for place in range(arena.places):
            side[place, :, holders.get(place, 0) :] = np.nan


def same(found: Array, wanted: Array) -> bool:
    return bool(np.array_equal(found, wanted))


def test_a_row_alone_has_the_logits_of_the_generator(rows, model):
    for prompt, then, alone in zip(model.prompts, model.then, model.alone, strict=True):
        slot = rows.take(200)
        found = [read(rows, slot, prompt), *(rows.step([(slot, t)])[0].copy() for t in then)]
        rows.give_back(slot)

        assert [same(a, b) for a, b in zip(found, alone, strict=True)] == [True] * (STEPS + 1)


def test_unequal_rows_together_have_the_logits_of_each_alone(rows, model, taken):
    for step in range(STEPS):
        logits = rows.step([(s, t[step]) for s, t in zip(taken, model.then, strict=True)])

        assert logits.shape == (4, rows.vocab)
        assert logits.dtype == np.float32
        assert [same(logits[n], model.alone[n][step + 1]) for n in range(4)] == [True] * 4


def test_rows_come_back_in_the_order_they_were_given(rows, model, taken):
    order = (2, 0, 3, 1)

    logits = rows.step([(taken[n], model.then[n][0]) for n in order])

    assert [same(logits[i], model.alone[n][1]) for i, n in enumerate(order)] == [True] * 4


def test_nothing_past_a_row_s_tokens_has_an_influence(rows, model, taken):
    poison(rows, taken)
    logits = rows.step([(s, t[0]) for s, t in zip(taken, model.then, strict=True)]).copy()
    poison(rows, taken)
    again = rows.prefill(taken[1], [model.then[1][1]])

    assert [same(logits[n], model.alone[n][1]) for n in range(4)] == [True] * 4
    assert same(again, model.alone[1][2])


def test_a_new_prompt_reads_nothing_of_who_had_the_place_before(rows, model, taken):
    rows._arena.fill(np.nan)
    rows.rewind(taken[2], 0)

    assert same(read(rows, taken[2], model.prompts[0]), model.alone[0][0])


def test_a_row_that_leaves_the_middle_is_not_missed(rows, model, taken):
    rows.step([(s, t[0]) for s, t in zip(taken, model.then, strict=True)])
    rows.give_back(taken[1])
    poison(rows, [taken[0], taken[2], taken[3]])
    left = (0, 2, 3)

    logits = rows.step([(taken[n], model.then[n][1]) for n in left])

    assert [same(logits[i], model.alone[n][2]) for i, n in enumerate(left)] == [True] * 3


def test_a_row_that_waits_is_as_it_was_when_its_turn_comes(rows, model, taken):
    """All four take turns in every way: moves and swaps change nobody's numbers."""
    done = [0] * 4
    for turn in ((0, 2), (1, 3), (0, 3), (2,), (1, 2, 3), (0, 1), (0, 1, 2, 3)):
        logits = rows.step([(taken[n], model.then[n][done[n]]) for n in turn])
        for i, n in enumerate(turn):
            done[n] += 1
            assert same(logits[i], model.alone[n][done[n]])


def test_a_new_row_joins_between_two_steps(rows, model, taken):
    rows.step([(s, t[0]) for s, t in zip(taken, model.then, strict=True)])
    new = rows.take(400)  # more than the arena has: everybody moves
    row = read(rows, new, model.prompts[1])
    logits = rows.step(
        [(new, model.then[1][0]), *((taken[n], model.then[n][1]) for n in range(4))]
    ).copy()
    rows.give_back(new)

    assert same(row, model.alone[1][0])
    assert same(logits[0], model.alone[1][1])
    assert [same(logits[n + 1], model.alone[n][2]) for n in range(4)] == [True] * 4


def test_rows_are_moved_up_when_the_memory_grows_after_one_has_left(rows, model, taken):
    rows.give_back(taken[0])
    new = rows.take(400)
    poison(rows, taken[1:])
    logits = rows.step([(taken[n], model.then[n][0]) for n in (1, 2, 3)]).copy()
    rows.give_back(new)

    assert [slot.place for slot in taken[1:]] == [0, 1, 2]
    assert [same(logits[n - 1], model.alone[n][1]) for n in (1, 2, 3)] == [True] * 3


def test_a_rewound_row_goes_on_as_if_the_rest_had_never_been(rows, model, taken):
    rows.step([(taken[3], 5)])
    rows.rewind(taken[3], 64)
    read(rows, taken[3], [9, 9, 9])
    rows.rewind(taken[3], 64)
    poison(rows, taken)

    assert same(read(rows, taken[3], model.prompts[3][64:]), model.alone[3][0])
    assert taken[3].used == LENGTHS[3]


def test_a_fork_goes_its_own_way(rows, model, taken):
    other = rows.fork(taken[3], 64, 200)
    row = read(rows, other, model.prompts[3][64:])
    logits = rows.step([(other, model.then[3][0]), (taken[3], model.then[3][0])]).copy()
    rows.step([(other, 5)])
    last = rows.step([(taken[3], model.then[3][1])])[0].copy()
    rows.give_back(other)

    assert same(row, model.alone[3][0])
    assert same(logits[0], model.alone[3][1])
    assert same(logits[1], model.alone[3][1])
    assert same(last, model.alone[3][2])


def test_a_prefix_outlives_its_row(rows, model):
    first = rows.take(200)
    read(rows, first, model.prompts[3])
    kept = rows.keep(first, 70)
    rows.give_back(first)
    second = rows.take(200, kept, 64)
    poison(rows, [second])
    row = read(rows, second, model.prompts[3][64:])
    rows.give_back(second)

    assert kept.tokens == 70
    assert kept.bytes == 70 * rows.token_bytes
    assert same(row, model.alone[3][0])


def test_a_row_grows_past_what_it_asked_for(rows, model):
    prompt = (model.prompts[3] * 4)[: STEP - 2]
    slot, beside = rows.take(10), rows.take(10)
    read(rows, beside, model.prompts[0])
    found = [read(rows, slot, prompt)]
    before = rows.kv_bytes
    for token in model.then[0]:
        found.append(rows.step([(slot, token)])[0].copy())
    other = rows.step([(beside, model.then[0][0])])[0].copy()
    after = rows.kv_bytes
    for each in (slot, beside):
        rows.give_back(each)
    alone = model.reference.rows(prompt, model.then[0])

    assert (before, after) == (2 * STEP * rows.token_bytes, 4 * STEP * rows.token_bytes)
    assert [same(a, b) for a, b in zip(found, alone, strict=True)] == [True] * (STEPS + 1)
    assert same(other, model.alone[0][1])


def test_a_long_piece_is_read_in_several_runs(rows, model):
    prompt = (model.prompts[3] * 4)[: CHUNK + 30]
    slot = rows.take(400)
    row = rows.prefill(slot, prompt).copy()
    rows.rewind(slot, 0)
    rows.prefill(slot, prompt[:CHUNK])
    again = rows.prefill(slot, prompt[CHUNK:]).copy()
    rows.give_back(slot)

    assert same(row, again)


def test_memory_is_what_the_rows_need_and_goes_with_the_last(rows):
    one, two = rows.take(100), rows.take(STEP + 1)
    both = rows.kv_bytes
    rows.give_back(two)
    rows.give_back(one)

    assert both == 2 * 2 * STEP * rows.token_bytes
    assert rows.kv_bytes == 0


def test_memory_that_was_given_up_is_held_by_nobody(tiny):
    rows = opened(tiny)
    slot = rows.take(10)
    rows.prefill(slot, [5])
    rows.step([(slot, 6)])
    buffers = [weakref.ref(side) for side in rows._arena.sides]
    rows.give_back(slot)

    assert [buffer() for buffer in buffers] == [None] * len(buffers)


def test_nobody_is_let_in_past_the_ceiling(tiny):
    rows = opened(tiny, ceiling_bytes=3 * STEP * 1024)
    assert rows.token_bytes == 1024
    slots = [rows.take(STEP) for _ in range(3)]

    assert not rows.fits(1)
    with pytest.raises(Unavailable, match="is taken") as said:
        rows.take(1)
    assert said.value.retryable
    rows.prefill(slots[0], [5] * STEP)
    with pytest.raises(Unavailable):
        rows.step([(slots[1], 5), (slots[0], 5)])
    assert [slot.used for slot in slots] == [STEP, 0, 0]
    assert slots[0].capacity == STEP

    rows.give_back(slots[2])
    rows.give_back(slots[1])
    assert rows.fits(STEP)
    assert rows.step([(slots[0], 5)]).shape == (1, rows.vocab)
    assert rows.kv_bytes == 2 * STEP * 1024


def test_there_are_no_more_rows_than_were_said(tiny):
    rows = opened(tiny, max_rows=2)
    slots = [rows.take(10), rows.take(10)]

    assert not rows.fits(10)
    with pytest.raises(Unavailable, match="all 2 rows"):
        rows.take(10)
    rows.give_back(slots[0])
    assert rows.fits(10)


def test_no_row_passes_the_limit(tiny):
    rows = opened(tiny, context_limit=100)
    slot = rows.take(100)
    rows.prefill(slot, [5] * 99)
    rows.step([(slot, 6)])

    assert not rows.fits(101)
    for attempt in (
        lambda: rows.take(101),
        lambda: rows.step([(slot, 7)]),
        lambda: rows.prefill(slot, [7]),
    ):
        with pytest.raises(Incapable, match="this model takes 100"):
            attempt()
    assert slot.used == 100


def test_two_position_tables_agree_up_to_the_switch_and_no_row_crosses_it(tiny, tmp_path):
    folder = edited(tiny, tmp_path / "long", two_position_tables)
    config = folder / "genai_config.json"
    config.write_text(config.read_text().replace("4096", str(2 * SWITCH)))
    rng = np.random.default_rng(3)
    prompt, then = rng.integers(3, 590, SWITCH - 4).tolist(), [5, 6, 7, 8]
    reference = Reference(folder)
    alone = reference.rows(prompt, then, most=SWITCH)
    short = reference.rows(prompt[:20], then)
    rows = opened(folder)
    slot, beside = rows.take(SWITCH), rows.take(50)
    found = [(read(rows, slot, prompt), read(rows, beside, prompt[:20]))]
    for token in then:
        logits = rows.step([(slot, token), (beside, token)]).copy()
        found.append((logits[0], logits[1]))

    assert rows.limit == SWITCH
    assert [same(long, wanted) for (long, _), wanted in zip(found, alone, strict=True)] == [
        True
    ] * 5
    assert [same(row, wanted) for (_, row), wanted in zip(found, short, strict=True)] == [True] * 5
    with pytest.raises(Incapable):
        rows.step([(slot, 5), (beside, 5)])
    # What the limit is for: one token more, and the short row beside it would be wrong too.
    unbound = Rows(rows._runner, limit=2 * SWITCH, max_rows=2, ceiling_bytes=1 << 30)
    slot, beside = unbound.take(SWITCH + 1), unbound.take(50)
    read(unbound, slot, prompt + then)
    read(unbound, beside, prompt[:20])
    crossed = unbound.step([(slot, 5), (beside, 5)])
    assert not np.allclose(crossed[1], short[1], atol=0.01)


@pytest.mark.parametrize("listed", [True, False], ids=["an output", "in the graph"])
def test_the_extra_value_comes_in_the_order_of_the_rows(tiny, tmp_path, listed):
    folder = edited(tiny, tmp_path / "shown", shows_a_middle_layer) if listed else tiny
    rows = opened(folder, hidden="blk.1.residual")
    one, two = rows.take(10), rows.take(10)
    rows.prefill(one, [5, 6], shown=True)
    assert rows.hidden.shape == (1, 2, 64)
    rows.step([(one, 7)], shown=True)
    alone = rows.hidden[0, 0].copy()
    rows.rewind(one, 2)
    rows.prefill(two, [9])
    rows.step([(two, 9), (one, 7)], shown=True)

    assert rows.hidden.shape == (2, 1, 64)
    assert same(rows.hidden[1, 0], alone)
    assert not same(rows.hidden[0, 0], alone)


def test_without_an_extra_value_none_is_shown(tiny):
    rows = opened(tiny, hidden="blk.7.residual")
    rows.prefill(rows.take(10), [5, 6], shown=True)

    assert rows.hidden is None
    assert rows.hidden_size == 0


def test_an_extra_value_is_shown_to_who_asks_alone(tiny):
    rows = opened(tiny, hidden="blk.1.residual")
    slot = rows.take(10)
    seen = []
    for shown in (True, False, True):
        rows.prefill(slot, [5, 6], shown=shown)
        seen.append(rows.hidden is not None)
        rows.step([(slot, 7)], shown=shown)
        seen.append(rows.hidden is not None)

    assert seen == [True, True, False, False, True, True]


def test_positions_are_told_to_a_graph_that_asks_for_them(tiny, tmp_path):
    rows = opened(edited(tiny, tmp_path / "asks", shows_its_positions), hidden="positions")
    one, two = rows.take(10), rows.take(10)
    rows.prefill(one, [5, 6, 7], shown=True)
    first = rows.hidden.ravel().tolist()
    rows.prefill(one, [8, 9], shown=True)
    second = rows.hidden.ravel().tolist()
    rows.prefill(two, [5])
    rows.step([(one, 5), (two, 6)], shown=True)

    assert (first, second) == ([0, 1, 2], [3, 4])
    assert rows.hidden.ravel().tolist() == [5, 1]


def test_a_graph_with_the_last_logits_alone_gives_the_same(tiny, tmp_path):
    whole, last = opened(tiny), opened(edited(tiny, tmp_path / "last", gives_the_last_logits))

    found = []
    for rows in (whole, last):
        one, two = rows.take(80), rows.take(10)
        found.append([rows.prefill(one, list(range(3, 73))).copy()])
        rows.prefill(two, [5])
        found[-1] += list(rows.step([(one, 5), (two, 6)]).copy())

    assert last._runner.graph.last_only
    assert [same(a, b) for a, b in zip(*found, strict=True)] == [True] * 3


def test_a_graph_in_half_precision_takes_half_the_memory_and_is_as_right(tiny, tmp_path):
    folder = edited(tiny, tmp_path / "half", half_precision)
    alone = [Reference(folder).rows(prompt, [7]) for prompt in ([5, 6, 7, 8], [9])]
    rows = opened(folder)
    one, two = rows.take(10), rows.take(10)
    read(rows, one, [5, 6, 7, 8])
    read(rows, two, [9])
    logits = rows.step([(one, 7), (two, 7)])

    assert rows.token_bytes == opened(tiny).token_bytes / 2
    assert logits.dtype == np.float32
    assert [same(row, found[1]) for row, found in zip(logits, alone, strict=True)] == [True] * 2


def test_eight_rows_together_have_the_logits_of_each_alone(rows, model):
    slots = [rows.take(100) for _ in range(8)]
    for n, slot in enumerate(slots):
        read(rows, slot, model.prompts[n % 3])
    logits = rows.step([(slot, model.then[n % 3][0]) for n, slot in enumerate(slots)])
    found = [same(logits[n], model.alone[n % 3][1]) for n in range(8)]
    for slot in slots:
        rows.give_back(slot)

    assert found == [True] * 8


def test_a_graph_that_does_not_keep_rows_apart_is_found_out_at_load(tiny, tmp_path):
    folder = edited(tiny, tmp_path / "mixed", mixes_its_rows)

    with pytest.raises(Incapable, match="not kept apart"):
        opened(folder)


def test_a_damaged_model_can_not_be_loaded(tiny, tmp_path):
    def damaged(graph: Any) -> None:
        graph.node[0].op_type = "NoSuchThing"

    with pytest.raises(Unavailable, match="can't be loaded") as said:
        opened(edited(tiny, tmp_path / "broken", damaged))
    assert not said.value.retryable


def test_rows_are_of_the_cpu_alone(tiny):
    with pytest.raises(Incapable, match="CPU alone"):
        Rows.open(
            EngineOptions(folder=str(tiny), accelerator="cuda"), max_rows=1, ceiling_bytes=1 << 20
        )


def test_mistakes_of_the_caller_are_told_and_change_nothing(tiny):
    rows, others = opened(tiny), opened(tiny)
    slot = rows.take(10)
    rows.prefill(slot, [5, 6])
    gone = rows.take(10)
    rows.give_back(gone)
    foreign = others.take(10)

    for mistake in (
        lambda: rows.prefill(slot, []),
        lambda: rows.step([]),
        lambda: rows.prefill(slot, [rows.vocab]),
        lambda: rows.step([(slot, -1)]),
        lambda: rows.step([(slot, 5), (slot, 6)]),
        lambda: rows.rewind(slot, 3),
        lambda: rows.keep(slot, 3),
        lambda: rows.fork(slot, 3, 10),
        lambda: rows.take(10, rows.keep(slot, 2), 3),
        lambda: rows.give_back(gone),
        lambda: rows.step([(gone, 5)]),
        lambda: rows.prefill(foreign, [5]),
    ):
        with pytest.raises(ValueError, match=r"token|slot|prefix"):
            mistake()
    assert slot.used == 2
    assert rows.fits(10)
