"""Whether two whole answers say the same, each kind by what matters in it."""

from __future__ import annotations

import pytest

from router.confidence.agreement import agrees

ALIKE = [
    ("42", "42.0"),
    ("42", "It is 42."),
    ("It is 42", "I say 42.0"),
    ("1,200", "1200"),
    ("B", "B) Paris"),
    ("(B)", "The answer is B"),
    ("Tokyo", "The capital of Japan is Tokyo."),
    ("Yes.", "yes"),
    ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}'),
    ('{"why": "short", "answer": 7}', '{"why": "said at length", "answer": "7"}'),
    ("```python\nx = 1\n```", "Here you are:\n```\nx  =  1\n```\nDone."),
    ("so many steps " * 20 + "\n#### 12", "#### 12.0"),
    ("the river flows to the sea " * 12, "the river flows to the sea " * 13),
]
UNLIKE = [
    ("42", "7"),
    ("42", "It is -42."),
    ("42", "6 of 7"),
    ("B", "C) Rome"),
    ("A", "A cat"),
    ("Tokyo", "The capital of Japan is Kyoto."),
    ("The capital of Japan is Tokyo.", "The capital of Japan is Kyoto."),
    ("3 apples and 4 pears", "5 apples and 4 pears"),
    ('{"a": 1}', '{"a": 2}'),
    ("[1, 2]", "[2, 1]"),
    ("```\nx = 1\n```", "```\nx = 2\n```"),
    ("#### 12", "#### 13"),
    ("the river flows to the sea " * 12, "a clock that nobody winds stands still " * 12),
    ("Tokyo", "the river flows to the sea " * 12),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_answers_that_say_the_same_agree_either_way(one: str, other: str) -> None:
    assert agrees(one, other)
    assert agrees(other, one)


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_answers_that_say_other_things_do_not(one: str, other: str) -> None:
    assert not agrees(one, other)
    assert not agrees(other, one)


def test_a_text_nested_too_deep_to_be_json_is_compared_as_text() -> None:
    deep = "[" * 100_000

    assert agrees(deep, deep)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No.", "There is no doubt: yes."),
        ("Yes", "Yes and no"),
        ("3 of 5", "5 of 3"),
    ],
)
def test_opposite_short_answers_do_not_agree(one: str, other: str) -> None:
    assert not agrees(one, other)
    assert not agrees(other, one)
