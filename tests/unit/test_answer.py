"""An answer as text and as JSON: nothing unknown turns into a number."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from support.street import Fixed, Street, ask, says

from router.answer import Answer, explain, outcome_json
from router.document import parse_yaml
from router.hops import Outcome
from router.policy.build import build

POLICY = build(
    parse_yaml(
        """
policy: two
summary: A draft first.
tiers: [device, cloud]
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
""",
        "<test>",
    ),
    "0" * 12,
)


def outcome(usd_per_token: Decimal | None) -> Outcome:
    """An unsure draft, then a cloud's answer at that price."""
    street = Street()
    street.add("home", "device", says("perhaps so", logprob=-2.0))
    street.add("far", "cloud", says("it is so", logprob=None), meter=Fixed(usd_per_token))
    return street.run(POLICY, ask()).answer


def test_an_answer_says_who_gave_it_and_what_it_cost() -> None:
    answer = Answer("it is so", outcome(Decimal("0.0000001")))

    assert str(answer) == "it is so"
    assert (answer.answered_by, answer.finish, answer.flags) == ("far", "stop", ())
    assert answer.cost_usd == Decimal("0.0000003")
    assert "answered by far after 2 hops" in answer.explain()


def test_dollars_in_json_are_plain_digits() -> None:
    found = json.loads(json.dumps(Answer("it is so", outcome(Decimal("0.0000001"))).as_json()))

    assert found["cost_usd"] == "0.0000003"
    assert [hop["cost_usd"] for hop in found["hops"]] == ["0", "0.0000003"]
    assert found["hops"][0]["signals"]["draft.mean_logprob"] == -2.0


def test_an_unknown_cost_is_null_and_unknown_and_never_zero() -> None:
    answer = Answer("it is so", outcome(None))
    found = answer.as_json()

    assert answer.cost_usd is None
    assert found["cost_usd"] is None
    assert found["hops"][1]["cost_usd"] is None
    assert answer.explain().splitlines()[-1].endswith("unknown")


def test_an_outcome_without_an_answer_is_told_by_its_status() -> None:
    none = replace(outcome(Decimal(0)), answered_by=None, status="no_answer", flags=("cut",))

    assert " no answer after 2 hops" in explain(none)
    assert "[cut]" in explain(none)
    assert outcome_json(none)["answered_by"] is None
