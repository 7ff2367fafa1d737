"""The parts of an acceptance run that need no model: right answers, sane tokens, the report."""

from __future__ import annotations

import getpass
import json
import math
import platform
from pathlib import Path

import pytest

from router.acceptance.prompts import PROMPTS, Checkable
from router.acceptance.report import Acceptance, Check, Figures
from router.acceptance.run import CANCEL_S, _sane, cancel_bar_s
from router.device.wire import Token


@pytest.mark.parametrize(
    ("accepted", "answer", "right"),
    [
        (("brussels",), "It is Brussels.", True),
        (("ice",), "Frozen water is called ice, of course", True),
        (("ice",), "It is nice.", False),
        (("ice",), "It is iced tea.", False),
        (("5",), "The answer is 5.", True),
        (("5",), "It is 15", False),
        (("5",), "It is 50", False),
        (("5",), "It is 5.5", False),
        (("5",), "It is 0.5", False),
        (("5",), "2+3=5", True),
        (("24",), "24 hours.", True),
        (("bogota", "bogotá"), "BOGOTÁ!", True),
        (("mexico city",), "Mexico", False),
        (("dog",), "", False),
    ],
)
def test_an_answer_counts_as_a_whole_word_or_number_only(
    accepted: tuple[str, ...], answer: str, right: bool
) -> None:
    assert Checkable("?", accepted).right(answer) is right


def test_there_are_forty_questions_none_twice_and_none_that_tells_its_answer() -> None:
    assert len({p.question for p in PROMPTS}) == len(PROMPTS) == 40
    for prompt in PROMPTS:
        assert prompt.accepted == tuple(word.lower() for word in prompt.accepted)
        assert not prompt.right(prompt.question) or "Mexico" in prompt.question


def token(logprob: float, entropy: float | None, margin: float | None) -> Token:
    return Token(id=1, text="x", logprob=logprob, entropy=entropy, margin=margin)


@pytest.mark.parametrize(
    ("seen", "sane"),
    [
        (token(math.log(0.5), math.log(2), 0.0), True),
        (token(0.0, 0.0, 1.0), True),
        (token(math.log(0.6), 0.9, 0.3), True),
        (token(0.1, 0.2, 0.5), False),
        (token(math.log(0.5), 0.3, 0.0), False),
        (token(math.log(0.5), 1.0, 0.7), False),
        (token(math.log(0.5), 1.0, -0.1), False),
        (token(math.nan, 1.0, 0.1), False),
        (token(-math.inf, math.inf, 0.0), False),
        (token(-0.1, math.nan, 0.1), False),
        (token(-0.1, 0.5, math.nan), False),
        (token(-0.1, None, 0.1), False),
        (token(-0.1, 0.5, None), False),
    ],
)
def test_a_greedy_tokens_probabilities_bind_each_other(seen: Token, sane: bool) -> None:
    assert _sane(seen) is sane


def test_a_slow_machine_may_take_two_of_its_smallest_chunks_to_hear_a_cancel() -> None:
    assert cancel_bar_s(0.0001) == CANCEL_S
    assert cancel_bar_s(0.02) == pytest.approx(1.28)


def report(*checks: Check) -> Acceptance:
    return Acceptance(
        model="m",
        build="1",
        files={"model.onnx": "0" * 64},
        engine="e",
        device="cpu",
        machine="x86_64, 2 cores, Linux",
        firsthop="0.1.0",
        checks=checks,
        figures=Figures(
            load_s=1.0,
            prompt_tokens=400,
            first_token_s=0.5,
            prefill_tokens_per_s=800.0,
            decode_tokens_per_s=None,
            memory_bytes=None,
            right=20,
            asked=40,
        ),
    )


def test_a_report_is_not_ok_when_one_check_failed() -> None:
    assert report(Check("a", True, "")).ok
    failed = report(Check("a", True, ""), Check("b", False, "no"))

    assert failed.failed == ("b",)
    assert json.loads(failed.as_json())["ok"] is False


def test_what_was_not_measured_is_null_in_the_report() -> None:
    figures = json.loads(report().as_json())["figures"]

    assert figures["decode_tokens_per_s"] is None
    assert figures["memory_bytes"] is None


def assert_can_be_shared(text: str) -> None:
    """No user's name, home, host or path stands in it."""
    for secret in (getpass.getuser(), platform.node(), str(Path.home())):
        assert secret not in text.replace("/", " / ").split(), secret
        assert len(secret) < 6 or secret not in text, secret
    for value in _texts(json.loads(text)):
        assert not Path(value).is_absolute(), value


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in (k, *_texts(v))]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [value] if isinstance(value, str) else []


def test_a_report_has_no_user_path_or_host_name() -> None:
    assert_can_be_shared(report(Check("a", True, "12 tokens")).as_json())
