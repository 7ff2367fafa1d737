from __future__ import annotations

import pytest

from router.device.pace import AIM_S, LARGEST, SMALLEST, Pace


def test_before_anything_is_known_a_chunk_is_the_smallest():
    assert Pace().chunk(10 * SMALLEST) == SMALLEST


def test_a_fast_model_reads_large_chunks_and_a_slow_one_small_ones():
    fast, slow = Pace(), Pace()
    for _ in range(8):
        fast.saw(64, 0.001)
        slow.saw(64, 60.0)

    assert fast.chunk(LARGEST) == LARGEST
    assert slow.chunk(10 * SMALLEST) == SMALLEST


def test_a_chunk_takes_about_the_time_aimed_at():
    pace = Pace()
    token_s = 0.001
    for _ in range(8):
        size = pace.chunk(4000)
        pace.saw(size, size * token_s)

    assert 0.6 * AIM_S <= pace.chunk(4000) * token_s <= AIM_S


def test_chunks_below_the_smallest_size_teach_it_too():
    pace = Pace()
    for _ in range(8):
        pace.saw(SMALLEST - 4, 0.001)

    assert pace.chunk(LARGEST) == LARGEST


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (33, [33]),
        (48, [48]),
        (49, [32, 17]),
        (112, [32, 32, 48]),
        (32, [32]),
        (453, [32] * 13 + [37]),
    ],
)
def test_no_chunk_of_a_few_tokens_is_left_for_the_end(prompt: int, expected: list[int]):
    pace = Pace()
    left, sizes = prompt, []
    while left:
        sizes.append(pace.chunk(left))
        left -= sizes[-1]

    assert sizes == expected


def test_a_handful_of_tokens_says_nothing_about_speed():
    pace = Pace()
    pace.saw(2, 0.000001)

    assert pace.chunk(SMALLEST) == SMALLEST


def test_the_whole_of_a_short_rest_is_read_at_once():
    assert Pace().chunk(3) == 3
