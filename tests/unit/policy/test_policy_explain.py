"""A trace as people read it and as machines do."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from router.hops import Attempt, Cause, Hop
from router.policy import PolicyTrace
from router.policy.explain import plain, predicate_text, seconds, show, usd
from router.policy.predicates import All, AnyOf, Not, Predicate
from router.policy.predicates import Test as OneTest
from router.policy.trace import Check, Note, Taken
from router.signals.catalogue import AtMost, Value


def hop(index: int, target: str, cause: Cause, *, attempts: int = 1) -> Hop:
    one = Attempt(attempt_id="a", number=1, started_at=0, total_s=1.5, ttft_s=0.21, tpot_s=0.043)
    return Hop(
        index=index,
        target=target,
        tier=target,
        provider="p",
        model="m",
        cause=cause,
        because="why",
        status="answered",
        left="answered",
        attempts=(one,) * attempts,
        total_s=1.5,
        cost_usd=Decimal("0.000092"),
    )


SIGNALS: dict[str, Value] = {"draft.mean_logprob": -0.48, "request.label": "public"}
BAR = OneTest("draft.mean_logprob", "gte", -0.3)
LABEL = OneTest("request.label", "in", ("pii", "secret"))
ENTRIES = (
    Check("guard", "stays-home", False, "", LABEL, SIGNALS),
    Note("tier cloud-strong skipped: no target serves it"),
    Taken(0, "start", "the first tier"),
    Check("accept", "sure", False, "not kept", BAR, SIGNALS),
    Taken(1, "escalation", "sure does not hold"),
    Check("accept", "done", None, "not kept", OneTest("draft.finish", "is", "stop"), {}),
)


def test_a_trace_is_a_line_a_step_with_hops_woven_in() -> None:
    hops = (hop(0, "device", "start"), hop(1, "cloud", "escalation", attempts=3))

    assert PolicyTrace(ENTRIES).lines(hops) == [
        " guard  stays-home               no       request.label public in [pii, secret]",
        " note   tier cloud-strong skipped: no target serves it",
        " hop 1  device                   start      ttft 0.21 s  tpot 0.0430 s  total 1.50 s"
        "  $0.000092",
        " accept sure                     fails    draft.mean_logprob -0.48 >= -0.3   -> not kept",
        " hop 2  cloud                    escalation ttft 0.21 s  tpot 0.0430 s  total 1.50 s"
        "  $0.000092  2 retries",
        " accept done                     unknown  draft.finish unknown is stop   -> not kept",
    ]


def test_a_hop_that_never_came_to_be_has_no_line() -> None:
    assert PolicyTrace((Taken(0, "start", "x"),)).lines(()) == []


def test_a_trace_is_plain_json() -> None:
    trace = PolicyTrace(ENTRIES).as_json()

    assert json.loads(json.dumps(trace, allow_nan=False)) == [
        {
            "kind": "guard",
            "id": "stays-home",
            "truth": False,
            "effect": "",
            "tests": [
                {
                    "signal": "request.label",
                    "op": "in",
                    "bound": ["pii", "secret"],
                    "value": "public",
                    "truth": False,
                }
            ],
        },
        {"kind": "note", "text": "tier cloud-strong skipped: no target serves it"},
        {"kind": "hop", "hop": 0, "cause": "start", "because": "the first tier"},
        {
            "kind": "accept",
            "id": "sure",
            "truth": False,
            "effect": "not kept",
            "tests": [
                {
                    "signal": "draft.mean_logprob",
                    "op": "gte",
                    "bound": -0.3,
                    "value": -0.48,
                    "truth": False,
                }
            ],
        },
        {"kind": "hop", "hop": 1, "cause": "escalation", "because": "sure does not hold"},
        {
            "kind": "accept",
            "id": "done",
            "truth": None,
            "effect": "not kept",
            "tests": [
                {
                    "signal": "draft.finish",
                    "op": "is",
                    "bound": "stop",
                    "value": None,
                    "truth": None,
                }
            ],
        },
    ]


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (All((BAR, LABEL)), "BAR, LABEL"),
        (AnyOf((BAR, LABEL)), "BAR or LABEL"),
        (Not(BAR), "not (BAR)"),
        (Not(AnyOf((BAR, Not(LABEL)))), "not (BAR or not (LABEL))"),
        (AnyOf((All((BAR, LABEL)), BAR)), "(BAR, LABEL) or (BAR)"),
    ],
)
def test_a_predicate_is_shown_as_it_is_built(predicate: Predicate, text: str) -> None:
    bar, label = (
        "draft.mean_logprob -0.48 >= -0.3",
        "request.label public in [pii, secret]",
    )

    assert predicate_text(predicate, SIGNALS) == text.replace("BAR", bar).replace("LABEL", label)


def test_two_numbers_that_differ_never_look_the_same() -> None:
    near = {"draft.mean_logprob": -0.300001}

    assert predicate_text(BAR, near) == "draft.mean_logprob -0.300001 >= -0.3"
    assert predicate_text(BAR, {"draft.mean_logprob": -0.3}) == "draft.mean_logprob -0.3 >= -0.3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (41, "41"),
        (35000.0, "35000"),
        (3500.5, "3500.5"),
        (-0.48123, "-0.4812"),
        (0.00001234, "1.234e-05"),
        (AtMost(350), "at most 350"),
        (AtMost(12345678), "at most 12345678"),
        ("stop", "stop"),
        (True, "true"),
        ("", "(empty)"),
    ],
)
def test_values_are_shown_short(value: Value, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "cost unknown"),
        (Decimal(0), "$0"),
        (Decimal("0E-12"), "$0"),
        (Decimal("0.000092"), "$0.000092"),
        (Decimal("0.0000925"), "$0.0000925"),
        (Decimal("0.000000000001"), "$0.000000000001"),
        (Decimal("1E-9"), "$0.000000001"),
        (Decimal("12.5"), "$12.500000"),
        (Decimal(3), "$3.000000"),
        (Decimal("1E+2"), "$100.000000"),
        (Decimal("0.010000000000"), "$0.010000"),
    ],
)
def test_dollars_are_shown_to_the_last_place(amount: Decimal | None, text: str) -> None:
    assert usd(amount) == text


def test_seconds_are_shown_with_the_places_that_say_something() -> None:
    assert [seconds(s) for s in (None, 12.3, 0.1, 0.0123)] == [
        "unknown",
        "12.30 s",
        "0.10 s",
        "0.0123 s",
    ]


def test_a_bound_says_in_json_that_it_is_one() -> None:
    assert plain(AtMost(350)) == {"at_most": 350}
    assert plain(350) == 350
