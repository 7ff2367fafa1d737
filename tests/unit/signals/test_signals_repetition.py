"""Circles are told from text that only says a thing twice."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.repetition import repetition

SENTENCE = "The capital of Australia is Canberra and it lies inland. "
STRAIGHT = {
    "prose": (
        "Rice sticks because its grains are covered in starch. Wash it until the water is clear, "
        "then cook one cup of it in one and a half cups of water. Bring it to a boil, turn the "
        "heat down, and put a lid on the pot. After twelve minutes take it off the stove and "
        "wait for ten more. Do not stir while it cooks: stirring breaks the grains."
    ),
    "code": (
        "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\n"
        "def mul(a, b):\n    return a * b\n\n\nfor i in range(10):\n    for j in range(10):\n"
        "        print(add(i, j), sub(i, j), mul(i, j))\n    }\n  }\n}\n}\n"
    ),
    "table": "| month | rain | sun |\n|---|---|---|\n"
    + "".join(f"| {m} | {i * 7 % 50} | {i * 11 % 90} |\n" for i, m in enumerate("abcdefghijkl")),
    "empty table": "| day | done |\n|---|---|\n" + "| | |\n" * 9,
    "list": "".join(
        f"{i}. {w}: buy some at the market.\n"
        for i, w in enumerate(("Rice", "Salt", "Bread", "Tea", "Milk", "Eggs", "Beans", "Oil"))
    ),
    "poem": "\n".join(
        f"{first}\nand the river runs on to the sea,\n{third}\nand the river runs on to the sea.\n"
        for first, third in (
            ("The morning is grey on the hill,", "a heron stands up to its knee,"),
            ("The miller has long gone to bed,", "his wheel turns for nobody's fee,"),
            ("The children have left for the town,", "the swing hangs alone from the tree,"),
        )
    ),
    "said twice": "Yes, yes, yes! It is in Canberra, as I said: Canberra, the capital, not Sydney, "
    "which is larger, and not Melbourne, which was the seat of government before.",
    "Japanese": "海が青く見えるのは、水が赤い光を吸収し、青い光を散乱させるためです。深い場所ほど"
    "青く見え、浅い場所では砂や藻の色が混ざります。",
    "numbers": "12 40 7 9 81 3 3 3 14 15 92 65 35 89 79 32 38 46 26 43 38 32 79 50",
}
CIRCLES = {
    "sentence": SENTENCE * 20,
    "sentence cut": (SENTENCE * 20)[:-17],
    "after a start": STRAIGHT["prose"] + " " + "And that is all there is to say of it. " * 60,
    "phrase": "and then and then and then " * 30,
    "word": "the " * 100,
    "word with a start": "The answer to this is " + "no " * 100,
    "letter": "!" * 400,
    "letters": "ha" * 300,
    "Japanese": "海は青いです。" * 40,
    "Thai": "ทะเลเป็นสีฟ้า" * 40,
    "paragraph": (STRAIGHT["prose"] + "\n\n") * 4,
    "numbered": "".join(f"{i}. Buy some rice at the market.\n" for i in range(40)),
    "inner circle": "row row row your boat gently down the stream " * 20,
}


@pytest.mark.parametrize("kind", STRAIGHT)
def test_what_goes_straight_on_stays_low(kind: str) -> None:
    assert repetition(STRAIGHT[kind]) < 0.3


@pytest.mark.parametrize("kind", CIRCLES)
def test_what_goes_in_circles_is_high(kind: str) -> None:
    assert repetition(CIRCLES[kind]) > 0.6


def test_a_short_answer_has_none() -> None:
    assert repetition("") == repetition("no no no") == repetition("Canberra.") == 0.0


def test_more_circles_are_never_less() -> None:
    found = [repetition(STRAIGHT["prose"] + SENTENCE * times) for times in range(1, 12)]

    assert found == sorted(found)


@given(st.text(max_size=300), st.text(min_size=1, max_size=20), st.integers(0, 60))
def test_it_is_a_share(start: str, piece: str, times: int) -> None:
    assert 0.0 <= repetition(start + piece * times) <= 1.0


@pytest.mark.parametrize(
    "text", ["a b " * 250_000, "ab" * 500_000, "\n" * 10**6, SENTENCE * 20_000]
)
def test_work_is_bounded(text: str) -> None:
    begun = time.perf_counter()

    repetition(text)

    assert time.perf_counter() - begun < 0.3
