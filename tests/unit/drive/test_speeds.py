"""How quick targets have been, and what is said before anything is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.clock import ManualClock
from router.drive.speeds import KEPT, LEAST_FITTED, STALE_S, Line, Speeds
from router.hops import Attempt
from router.types import Usage


def call(first: float | None, total: float, tokens: int | None = None, **more: object) -> Attempt:
    attempt = Attempt(
        attempt_id="a",
        number=1,
        started_at=0,
        ttft_s=first,
        total_s=total,
        usage=Usage(input_tokens=tokens),
        finish="stop",
    )
    return replace(attempt, **more)  # type: ignore[arg-type]


def test_nothing_is_known_of_a_target_never_seen() -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("other", call(0.1, 1))

    assert speeds.first_token_s("device", None) is None
    assert speeds.first_token_s("device", 100) is None
    assert speeds.end_s("device", None) is None
    assert speeds.end_s("device", 100) is None


def test_one_call_is_what_is_expected_of_the_next() -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("device", call(0.5, 3.0, tokens=10))

    assert speeds.first_token_s("device", None) == 0.5
    assert speeds.end_s("device", None) == 3.0
    assert (speeds.first_token_s("device", 900), speeds.end_s("device", 900)) == (0.5, 3.0)


def test_the_mean_of_the_first_calls_is_weighted_and_whole() -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("device", call(None, 1.0))
    speeds.saw("device", call(None, 2.0))

    assert speeds.end_s("device", None) == pytest.approx((KEPT * 1 + 2) / (KEPT + 1))


def test_a_target_that_changed_is_half_believed_after_seven_calls() -> None:
    speeds = Speeds(ManualClock())
    for _ in range(100):
        speeds.saw("cloud", call(1.0, 1.0))
    for _ in range(7):
        speeds.saw("cloud", call(3.0, 3.0))

    first = speeds.first_token_s("cloud", None)
    assert first is not None
    assert 2.0 < first < 2.2


@pytest.mark.parametrize("kind", ["timed_out", "unavailable", "cancelled", "refused"])
def test_a_call_that_failed_fast_does_not_look_fast(kind: str) -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("cloud", call(None, 0.001, error_kind=kind))
    assert speeds.end_s("cloud", None) is None
    assert speeds.first_token_s("cloud", None) is None

    speeds.saw("cloud", call(0.5, 4.0))
    speeds.saw("cloud", call(None, 0.001, error_kind=kind))
    assert (speeds.first_token_s("cloud", None), speeds.end_s("cloud", None)) == (0.5, 4.0)


def test_an_answer_a_filter_stopped_says_nothing_of_how_long_answers_take() -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("cloud", call(0.2, 0.3, finish="content_filter"))

    assert speeds.end_s("cloud", None) is None
    assert speeds.first_token_s("cloud", None) == 0.2


def test_a_first_token_counts_even_if_the_call_failed_later() -> None:
    speeds = Speeds(ManualClock())
    speeds.saw("cloud", call(0.7, 2.0, error_kind="bad_wire"))

    assert speeds.first_token_s("cloud", None) == 0.7
    assert speeds.end_s("cloud", None) is None


def test_the_first_token_follows_the_length_of_the_prompt() -> None:
    speeds = Speeds(ManualClock())
    for tokens in (100, 300, 500, 900):
        first = 0.2 + 0.01 * tokens
        speeds.saw("device", call(first, first + 3, tokens=tokens))

    assert speeds.first_token_s("device", 700) == pytest.approx(7.2)
    assert speeds.end_s("device", 700) == pytest.approx(10.2)
    assert speeds.first_token_s("device", None) == pytest.approx(speeds_mean((100, 300, 500, 900)))


def speeds_mean(tokens: tuple[int, ...]) -> float:
    weights = KEPT ** np.arange(len(tokens))[::-1]
    return float(np.average([0.2 + 0.01 * n for n in tokens], weights=weights))


def test_prompts_too_alike_give_no_line() -> None:
    speeds = Speeds(ManualClock())
    for number in range(20):
        speeds.saw("device", call(1.0 + number % 2, 5.0, tokens=1000 + number % 3))

    assert speeds.first_token_s("device", 4000) == speeds.first_token_s("device", None)


def test_too_few_calls_give_no_line() -> None:
    speeds = Speeds(ManualClock())
    for number in range(LEAST_FITTED - 1):
        speeds.saw("device", call(1.0 + number, 5.0, tokens=1000 * number))

    assert speeds.first_token_s("device", 9000) == speeds.first_token_s("device", None)


def test_tokens_read_from_a_cache_take_no_time() -> None:
    speeds = Speeds(ManualClock())
    for tokens in (100, 300, 500, 900):
        usage = Usage(input_tokens=tokens + 1000, cached_input_tokens=1000)
        speeds.saw("device", replace(call(0.01 * tokens, 20), usage=usage))

    assert speeds.first_token_s("device", 700) == pytest.approx(7.0)


def test_longer_prompts_are_never_expected_to_be_quicker() -> None:
    line = Line()
    for x, y in ((100, 9), (400, 5), (700, 3), (1000, 1)):
        line.saw(x, y)

    assert line.at(0) == line.at(5000) == line.y


def test_the_fixed_part_is_never_negative() -> None:
    line = Line()
    for x, y in ((100, 0.0), (400, 1.0), (700, 6.0), (1000, 20.0)):
        line.saw(x, y)

    assert line.at(0) == 0
    fitted = line.at(1000)
    assert fitted is not None
    assert 10 < fitted < 20


POINTS = st.lists(st.tuples(st.integers(0, 100_000), st.floats(0, 1000)), min_size=4, max_size=40)


@given(POINTS, st.integers(0, 100_000))
def test_the_line_is_the_weighted_least_squares_line(
    points: list[tuple[int, float]], at: int
) -> None:
    line = Line()
    for x, y in points:
        line.saw(x, y)
    found = line.at(at)
    if found is None:
        return
    assert found >= 0
    weights = KEPT ** np.arange(len(points))[::-1]
    xs, ys = np.array(points, dtype=float).T
    columns = np.stack([np.ones_like(xs), xs], axis=1) * np.sqrt(weights)[:, None]
    (fixed, slope), *_ = np.linalg.lstsq(columns, ys * np.sqrt(weights), rcond=None)
    if fixed >= 0 and slope >= 0:
        assert found == pytest.approx(fixed + slope * at, rel=1e-4, abs=1e-6)


def test_what_was_seen_long_ago_is_not_believed() -> None:
    clock = ManualClock()
    speeds = Speeds(clock)
    speeds.saw("device", call(30.0, 40.0))
    clock.advance(STALE_S)
    assert speeds.end_s("device", None) == 40.0
    clock.advance(1)
    assert speeds.end_s("device", None) is None
    assert speeds.first_token_s("device", None) is None

    speeds.saw("device", call(1.0, 2.0))
    assert speeds.end_s("device", None) == 2.0


# How late is late


def test_nothing_is_called_late_before_twenty_first_tokens_were_seen() -> None:
    speeds = Speeds(ManualClock())
    for _ in range(19):
        speeds.saw("cloud", call(0.5, 10.0))
    assert speeds.first_token_p95_s("cloud") is None

    speeds.saw("cloud", call(0.5, 10.0))
    assert speeds.first_token_p95_s("cloud") == 0.5


def test_nineteen_of_twenty_first_tokens_come_sooner() -> None:
    speeds = Speeds(ManualClock())
    for ms in range(1, 41):
        speeds.saw("cloud", call(ms / 1000, 10.0))

    assert speeds.first_token_p95_s("cloud") == 0.038


def test_only_the_last_first_tokens_count() -> None:
    speeds = Speeds(ManualClock())
    for ttft_s in [9.0] * 50 + [0.2] * 64:
        speeds.saw("cloud", call(ttft_s, 10.0))

    assert speeds.first_token_p95_s("cloud") == 0.2


def test_a_call_that_was_overtaken_before_its_first_token_took_at_least_so_long() -> None:
    speeds = Speeds(ManualClock())
    for _ in range(20):
        speeds.saw("cloud", call(0.2, 10.0))
    for _ in range(4):
        speeds.saw("cloud", call(None, 3.0, error_kind="cancelled"), overtaken=True)

    assert speeds.first_token_p95_s("cloud") == 3.0
    assert speeds.first_token_s("cloud", None) == 0.2
