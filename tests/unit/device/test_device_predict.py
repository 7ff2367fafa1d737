"""What steps cost, how long answers get, and when an answer ends."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.device.costs import Costs, Rates
from router.device.expected import Expected, tenant_mark
from router.device.familiar import Familiar
from router.device.learned import Learned
from router.device.lengths import Lengths
from router.device.predict import Load, Outlook, forecast

RATES = Rates(reading=(0.0, 0.01, 0.0), writing=(0.1, 0.0, 0.0), chunk=100)
"""A token read costs 10 ms, one that is written 100 ms."""
LENGTHS = ((10, True),) * 8


def taught(chunk_s=lambda n, before: 0.02 + 0.001 * n + 1e-6 * n * before, noise=0.0, prompts=30):
    costs, draw = Costs(), random.Random(1)
    for _ in range(prompts):
        left, before = draw.randint(20, 900), 0
        while left:
            n = min(left, 128)
            left -= n
            took = chunk_s(n, before + n / 2) * (1 + draw.uniform(-noise, noise))
            costs.read(n, before, took, last=left == 0)
            before += n
        for token in range(20):
            costs.wrote(before + token, 1, 0.01 * (1 + draw.uniform(-noise, noise)))
    return costs


def test_nothing_is_known_before_something_was_seen():
    rates = Costs().rates()

    assert rates.read_s(100, 0) is None
    assert rates.token_s(100) is None
    assert forecast(Outlook(), Load(unread=100, left=5)).end_s is None


def test_the_fixed_part_the_tokens_and_their_place_are_told_apart():
    rates = taught().rates()

    for tokens, before in [(128, 0), (128, 512), (32, 256)]:
        expected = 0.02 + 0.001 * tokens + 1e-6 * tokens * (before + tokens / 2)
        assert rates.read_s(tokens, before) == pytest.approx(expected, rel=0.05)
    assert rates.token_s(100) == pytest.approx(0.01, rel=0.05)


def test_noise_of_a_third_leaves_the_lines_within_a_tenth():
    rates = taught(noise=0.33).rates()

    assert rates.read_s(128, 256) == pytest.approx(0.02 + 0.128 + 1e-6 * 128 * 320, rel=0.1)


def test_one_pause_of_the_machine_does_not_bend_the_lines():
    costs = taught()
    before = costs.rates().token_s(100)
    costs.wrote(100, 1, 30.0)

    assert costs.rates().token_s(100) < 1.2 * before


def test_a_machine_that_became_slow_is_followed_within_seconds():
    costs = taught()
    for _ in range(500):
        costs.wrote(100, 1, 0.03)

    assert costs.rates().token_s(100) == pytest.approx(0.03, rel=0.1)
    assert costs.rates().read_s(128, 0) > 2 * (0.02 + 0.128)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(0, 4000), st.floats(1e-6, 5)), max_size=40)
)
def test_no_cost_is_ever_below_zero(chunks):
    costs = Costs()
    for tokens, before, seconds in chunks:
        costs.read(tokens, before, seconds, last=False)
        costs.wrote(before, tokens % 4, seconds)
    rates = costs.rates()

    assert (rates.read_s(50, 10, 2) or 0) >= 0
    assert (rates.token_s(50, 1) or 0) >= 0


def test_what_a_round_costs_is_told_apart_from_what_each_writer_adds():
    costs = Costs()
    for n in range(400):
        writers = 1 + n % 4
        costs.wrote(100 + n, writers, (0.012 + 0.002 * writers) / writers)
    rates = costs.rates()

    assert rates.token_s(200, 1) == pytest.approx(0.014, rel=0.05)
    assert 4 * rates.token_s(200, 4) == pytest.approx(0.020, rel=0.05)


def test_a_job_alone_lets_nobody_expect_that_company_is_cheap():
    costs = Costs()
    for n in range(40):
        costs.wrote(100 + n, 1, 0.01)

    assert costs.rates().token_s(100, 4) == pytest.approx(0.01, rel=0.1)


def test_lengths_count_answers_that_were_cut_until_they_were_cut():
    lengths = Lengths()
    assert lengths.expected(50) is None
    for tokens, ended in [(10, True), (10, True), (20, False), (20, False)]:
        lengths.saw(tokens, ended=ended)

    assert lengths.expected(10) == 10
    assert lengths.expected(30) == pytest.approx(0.5 * 10 + 0.5 * 30)
    assert lengths.expected(30, written=15) == pytest.approx(15)
    assert lengths.short(30) == 10


def test_answers_that_all_met_their_cap_promise_the_next_will_too():
    lengths = Lengths([(20, False)] * 5)

    assert lengths.expected(100, 40) == 60
    assert lengths.short(100) == 100


@given(
    st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=64),
    st.integers(1, 300),
    st.integers(0, 299),
)
def test_what_is_expected_lies_between_nothing_and_the_cap(seen, cap, written):
    lengths = Lengths(seen)

    assert 0 <= lengths.expected(cap, written) <= max(0, cap - written)
    assert 0 <= lengths.short(cap, written) <= max(0, cap - written)


def outlook(*running, waiting=(), at_once=4, **rest):
    return Outlook(
        rates=RATES, lengths=LENGTHS, running=running, waiting=waiting, at_once=at_once, **rest
    )


def test_alone_a_request_costs_its_own_reading_and_writing():
    found = forecast(outlook(), Load(unread=200, left=11))

    assert (found.queue, found.first_token_s, found.end_s) == (
        0,
        pytest.approx(2.0),
        pytest.approx(3.0),
    )


def test_behind_a_job_it_waits_for_what_is_left_of_that_and_no_more():
    ahead = Load(unread=0, before=100, left=20)
    found = forecast(outlook(ahead, at_once=1), Load(unread=200, left=11))

    assert found.queue == 1
    assert found.first_token_s == pytest.approx(2.0 + 2.0)
    assert found.end_s == pytest.approx(5.0)


def test_beside_a_writer_each_chunk_waits_for_one_token_and_tokens_take_turns():
    beside = Load(unread=0, before=100, left=1000)
    found = forecast(outlook(beside), Load(unread=200, left=11))

    assert found.first_token_s == pytest.approx(2.0 + 1 * 0.1)  # the first chunk waits for nobody
    assert found.end_s == pytest.approx(2.1 + 10 * 0.2)


def test_a_short_rest_goes_along_with_the_last_chunk_and_waits_for_nobody():
    beside = Load(unread=0, before=100, left=1000)

    def first(tokens):
        return forecast(outlook(beside), Load(unread=tokens, left=11)).first_token_s

    assert first(110) == pytest.approx(1.1)
    assert first(117) == pytest.approx(1.17 + 0.1)
    assert first(215) == pytest.approx(2.15 + 0.1)


def test_what_passed_since_the_outlook_is_taken_off():
    ahead = Load(unread=0, before=100, left=20)
    found = forecast(outlook(ahead, at_once=1), Load(unread=200, left=11), elapsed_s=1.5)
    later = forecast(outlook(ahead, at_once=1), Load(unread=200, left=11), elapsed_s=60)

    assert found.first_token_s == pytest.approx(0.5 + 2.0)
    assert (later.queue, later.first_token_s) == (0, pytest.approx(2.0))


def test_a_line_of_others_is_waited_for_by_its_own_rules():
    waiting = tuple(Load(tenant="greedy", client=1, unread=100, left=1) for _ in range(10))
    mine = Load(tenant="modest", client=2, unread=100, left=1)
    behind = Load(tenant="greedy", client=1, due_s=99, unread=100, left=1)
    running = Load(tenant="greedy", client=1, unread=100, left=1)
    found = outlook(running, waiting=waiting, served=(("greedy", 1),), at_once=1)

    assert forecast(found, mine).first_token_s == pytest.approx(2.0)
    assert forecast(found, behind).first_token_s == pytest.approx(12.0)


def test_jobs_whose_length_nobody_knows_make_the_wait_unknown():
    endless = Load(unread=0, before=100, left=float("inf"))

    assert forecast(outlook(endless, at_once=1), Load(unread=10, left=2)).end_s is None
    assert forecast(outlook(endless, at_once=2), Load(unread=10, left=2)).end_s is not None


def test_clients_that_come_back_at_once_are_expected_to_do_so_again():
    beside, usual = Load(unread=0, left=5), Load(unread=300, left=10)
    once = forecast(outlook(beside, returns=0.1, usual=usual), Load(unread=100, left=41)).end_s
    again = forecast(outlook(beside, returns=0.9, usual=usual), Load(unread=100, left=41)).end_s

    assert again > once + 3.0


def test_a_forecast_over_a_full_line_takes_little_time():
    import time

    waiting = tuple(Load(client=n, unread=500, left=100) for n in range(256))
    began = time.perf_counter()
    found = forecast(outlook(*waiting[:4], waiting=waiting), Load(client=999, unread=9, left=9))

    assert found.queue == 260
    assert time.perf_counter() - began < 2.0


def test_a_request_of_unknown_size_is_taken_for_a_usual_one():
    usual = Load(unread=200, left=10)
    known = outlook(usual=usual)

    assert Expected(input_tokens=None, cap=50).warm(known, 0.0).first_token_s == pytest.approx(2.0)
    assert Expected(input_tokens=None, cap=50).warm(outlook(), 0.0).first_token_s is None


def test_an_answer_is_taken_to_be_as_long_as_answers_get_unless_its_length_is_said():
    assert Expected(input_tokens=100, cap=50).warm(outlook(), 0).end_s == pytest.approx(1.9)
    said = Expected(input_tokens=100, cap=50, output_tokens=21).warm(outlook(), 0)
    assert said.end_s == pytest.approx(3.0)


def test_with_no_worker_up_its_start_is_in_front_and_without_memory_nothing_is_known():
    learned = Learned(start_s=4.0)
    learned.costs = taught()
    learned.ended(1, 0.0, 100, 10, own_end=True)
    ask = Expected(input_tokens=100, cap=50)
    warm = ask.warm(learned.outlook(running=(), waiting=(), at_once=1), 0.0)
    cold = ask.cold(learned.keep())

    assert not cold.loaded
    assert cold.queue == 0
    assert cold.first_token_s == pytest.approx(4.0 + warm.first_token_s)
    assert ask.cold(None).first_token_s is None


def test_what_needs_not_be_read_again_is_expected_to_be_as_much_as_usual():
    learned = Learned()
    for _ in range(30):
        learned.ended(1, 0.0, 25, 10, own_end=True, reused=75)
    assert learned.familiar.share == pytest.approx(0.75, abs=0.01)

    known = outlook(known=0.75)
    assert Expected(input_tokens=400, cap=5).warm(known, 0).first_token_s == pytest.approx(1.0)


def test_a_client_that_comes_back_at_once_is_noticed_and_one_that_leaves_too():
    learned = Learned()
    for n in range(20):
        learned.came(1, n + 0.1)
        learned.ended(1, n + 1.0, 10, 10, own_end=True)
    assert learned.outlook(running=(), waiting=(), at_once=1).returns > 0.9

    for n in range(20):
        learned.ended(n + 2, 100.0, 10, 10, own_end=True)
        learned.left(n + 2)
    assert learned.outlook(running=(), waiting=(), at_once=1).returns < 0.1


def test_a_tenant_s_name_is_not_told_to_others():
    assert tenant_mark("app", None) == tenant_mark("app", "")
    marks = {tenant_mark(app, name) for app in ("a", "b") for name in (None, "acme", "other")}
    assert len(marks) == 6
    assert not any("acme" in mark for mark in marks)


def test_prompts_with_a_beginning_in_common_share_tokens_and_conversations_a_share():
    template, talk = Familiar(), Familiar()
    for number in range(40):
        template.saw(40 + 90 * (number % 8), 25)
        length = 100 * (1 + number % 8)
        talk.saw(length, round(0.9 * length))

    assert (template.share, template.tokens) == (0.0, pytest.approx(25, abs=0.5))
    assert (talk.share, talk.tokens) == (pytest.approx(0.9, abs=0.01), 0.0)
    assert outlook(known_tokens=template.tokens).unread(800) == pytest.approx(775, abs=1)
    assert outlook(known_tokens=25.0).unread(10) == 1


def test_with_several_rounds_between_two_chunks_reading_and_writing_share_the_time():
    reading, writing = Load(unread=640, left=1), Load(unread=0, before=100, left=400)

    one, four = (
        forecast(outlook(writing, rounds=rounds), reading).first_token_s for rounds in (1, 4)
    )
    alone = forecast(outlook(), reading).first_token_s

    token_s = RATES.token_s(120, 1)
    chunks = math.ceil(640 / RATES.chunk)
    assert one - alone == pytest.approx((chunks - 1) * token_s, rel=0.05)
    assert four - alone == pytest.approx(4 * (chunks - 1) * token_s, rel=0.2)
