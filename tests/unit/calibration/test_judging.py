"""Whether a draft is good: by another answer, or by a judge's word."""

from __future__ import annotations

import pytest

from router.calibration.judging import agrees, question_of, verdict_of

F = "def f(a):\n" + "    a = step(a)\n" * 20 + "    return a{}\n\nassert f(0) == 20\n"
LONG = ". ".join(f"Here stands word {number}" for number in range(60))


@pytest.mark.parametrize(
    ("draft", "other", "same"),
    [
        ("So it is 1,200 in all.", "The answer is \\boxed{1200}", True),
        ("So it is 1,300 in all.", "The answer is \\boxed{1200}", False),
        ("There is none.", "7", False),
        ("#### 1,200", "The answer is \\boxed{1200}", True),
        ("The answer is (C).", "C", True),
        ("The answer is (C).", "The answer is (B).", False),
        ("Paris", "paris", True),
        ("The capital of France is Paris.", "Paris", True),
        ("Paris", "Paris is the capital.", True),
        ("The capital of France is Lyon.", "Paris", False),
        ("It is not Paris but Lyon", "Paris", False),
        ("The capital is certainly not Paris.", "Paris", False),
        ("(B)", "A or (B)", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        ('```json\n{"a": 1, "b": 2}\n```', '{"b": 2, "a": 1}', True),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 3}', False),
        (f"```python\n{F.format('')}\n```", f"```python\n\n{F.format('  # so')}\n```", True),
        (f"```python\n{F.format('')}\n```", f"```python\n{F.format(' + a')}\n```", False),
        ("```python\nif a:\n  b()\nc()\n```", "```python\nif a:\n  b()\n  c()\n```", False),
        ("not 5", "5", False),
        ("It isn't 5.", "5", False),
        ("It can\u2019t be 5", "5", False),
        ("5 is not right", "5", False),
        ("Anything but 5", "5", False),
        ("It is 5 (not rounded)", "5", True),
        ("It is **5**, not counting me", "5", True),
        (f"{LONG}. So it is 5%.", "5", True),
        ("It is neither 4 nor 5", "5", False),
        ("Es ist nicht 5", "5", False),
        ("The answer is not \\boxed{5}.", "5", False),
        (f"{LONG}. So the answer is not 5.", "5", False),
        (f"{LONG}. So the answer is 5.", "5", True),
        ("not 6 but 5", "5", True),
        ("not 5 but 6", "5", False),
        ("She doesn't eat 3 of the 8, so 5 are left.", "5", True),
        ("not 5", "not 5", True),
        ("It is -5", "5", False),
        ("It is minus 5", "5", False),
        ("It is minus 5", "-5", True),
        ("It is 5 %", "5", True),
        ("It is 20240101.", "20240102", False),
        ("It is 3:2.", "2", False),
        ("It is 3:2.", "3:2", True),
        (f"{LONG}. So it is 1/2.", "2", False),
        (f"{LONG}. So it is 1/2.", "1/2", True),
        (LONG, LONG.replace("word 40", "term 40"), True),
        ("one two " * 40, "three four " * 40, False),
    ],
)
def test_answers_are_compared_by_what_they_say_in_the_end(
    draft: str, other: str, same: bool
) -> None:
    assert agrees(draft, other) is same


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("Yes.", True),
        ("**no**, it isn't", False),
        ("  YES", True),
        ("Incorrect", False),
        ("Maybe", None),
        ("", None),
        ("42", None),
    ],
)
def test_a_judges_first_word_counts(said: str, means: bool | None) -> None:
    assert verdict_of(said) is means


def test_a_judge_is_shown_question_and_answer_as_they_are() -> None:
    (message,) = question_of("What is {x}?", "{answer} 5")

    assert "What is {x}?" in message.content
    assert message.content.endswith("{answer} 5")
