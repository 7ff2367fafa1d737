"""Opinions in a policy: what may be written, what is odd, and how cases and replays see them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.decide import open_opinions
from router.policy.explain import PolicyTrace
from router.policy.lint import Served, lint
from router.policy.replay import replay
from router.policy.rules import Policy
from router.policy.schema import json_schema
from router.policy.simulate import simulate
from router.recorded import Recorded, RecordedHop

HEAD = "policy: p\nsummary: s\ntiers: [device, cloud]\n"
AGREE = "accept:\n  - {id: agreed, on: [device], require: {draft.agreement: {gte: 0.6}}}\n"
THREE = "opinions:\n  - {on: [device], samples: 3}\n"


def policy(body: str) -> Policy:
    return build(parse_yaml(HEAD + body, "p.yaml", kind=PolicyError), "r")


def told(body: str, served: Served | None = None) -> list[str]:
    document = parse_yaml(HEAD + body, "p.yaml", kind=PolicyError)
    found = lint(document, build(document, "r"), served)
    return [f"{warning.field}: {warning.message}" for warning in found]


def test_every_field_is_read_and_what_is_not_written_has_its_default() -> None:
    full = "{on: [device], samples: 2, temperature: 1.0, second: true, p_true: always, max_s: 4}"
    (rule,) = policy(f"opinions:\n  - {full}\n").opinions
    (short,) = policy(THREE).opinions

    assert (rule.samples, rule.temperature, rule.second) == (2, 1.0, True)
    assert (rule.p_true, rule.max_s) == ("always", 4.0)
    assert (short.temperature, short.second, short.p_true, short.max_s) == (0.7, False, False, None)
    assert short.gives == {"draft.agreement", "draft.samples_agree"}


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("opinions:\n  - {on: [device]}\n", 5, "asks for nothing"),
        ("opinions:\n  - {on: [device], second: true, temperature: 1.0}\n", 5, "there are none"),
        (THREE + "  - {on: [device], second: true}\n", 6, "tier device has opinions already"),
        ("opinions:\n  - {on: [moon], samples: 1}\n", 5, "unknown tier"),
        ("opinions:\n  - {on: [device], samples: 17}\n", 5, "16"),
        ("opinions:\n  - {on: [device], samples: 1, temperature: 0}\n", 5, "more than 0"),
        ("opinions:\n  - {on: [device], samples: 1, max_s: 0}\n", 5, "more than 0"),
        ("opinions:\n  - {on: [device], p_true: sometimes}\n", 5, "p_true"),
        ("opinions:\n  - {on: [device], samples: 1, secnd: true}\n", 5, "second"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(body: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(body)

    assert caught.value.line == line
    assert says in str(caught.value)


def test_the_schema_for_editors_knows_them() -> None:
    schema = json_schema()

    assert "OpinionsPart" in schema["$defs"]
    assert "draft.agreement" in schema["$defs"]["DraftPredicate"]["properties"]
    assert "draft.agreement" not in schema["$defs"]["EarlyPredicate"]["properties"]


def test_an_opinion_cant_stand_where_a_draft_is_not_whole() -> None:
    with pytest.raises(PolicyError, match="known only of a whole draft"):
        policy("early:\n  - {on: [device], tokens: 8, require: {draft.agreement: {gte: 1}}}\n")


ONE_LARGE = Served(tiers={"device": ("d",), "cloud": ("c",)})
ONE_SMALL = replace(ONE_LARGE, small=frozenset({"d"}))
NO_DEVICE = Served(tiers={"cloud": ("c",)})
SAME = AGREE.replace("agreement: {gte: 0.6", "same_as_before: {is: true")
MOSTLY_CLOUD = "route:\n  - {id: r, when: {prompt.turns: {gte: 2}}, start: cloud}\n"
ALWAYS_CLOUD = "route:\n  - {id: r, when: {prompt.turns: {gte: 1}}, start: cloud}\n"
P_TRUE = "accept:\n  - {id: a, on: [device], require: {draft.p_true: {gte: 0.7}}}\n"


@pytest.mark.parametrize(
    ("body", "served", "says"),
    [
        (AGREE, None, "accept[0].require: draft.agreement stays unknown: `opinions` don't ask"),
        (AGREE + "opinions:\n  - {on: [device], p_true: true}\n", None, "draft.agreement stays"),
        (THREE, None, "no requirement on device asks for an opinion, so none is ever bought"),
        (AGREE + "opinions:\n  - {on: [device], samples: 1, p_true: true}\n", None, "asks for dra"),
        (THREE.replace("device", "cloud"), None, "cloud is the last tier"),
        (SAME, None, "comes before"),
        (SAME.replace("[device]", "[device, cloud]"), None, "unknown for device: no draft of a we"),
        (SAME.replace("[device]", "[cloud]"), NO_DEVICE, "unknown for cloud: no draft of a weaker"),
        (SAME.replace("[device]", "[cloud]") + ALWAYS_CLOUD, None, "unknown for cloud"),
        (AGREE + "opinions:\n  - {on: [device], second: true}\n", ONE_LARGE, "no second to ask"),
        (P_TRUE + "opinions:\n  - {on: [device], p_true: true}\n", ONE_SMALL, "is off for d"),
    ],
)
def test_what_is_odd_is_warned_of(body: str, served: Served | None, says: str) -> None:
    assert any(says in warning for warning in told(body, served)), told(body, served)


@pytest.mark.parametrize(
    ("body", "served"),
    [
        (AGREE + THREE, ONE_SMALL),
        (P_TRUE + "opinions:\n  - {on: [device], p_true: always}\n", ONE_SMALL),
        (P_TRUE + "opinions:\n  - {on: [device], p_true: true}\n", ONE_LARGE),
    ],
)
def test_what_can_work_is_not(body: str, served: Served) -> None:
    assert told(body, served) == []


@pytest.mark.parametrize(("more", "served"), [("", ONE_LARGE), ("", None), (MOSTLY_CLOUD, None)])
def test_a_draft_that_may_follow_a_weaker_tiers_can_be_held_against_it(
    more: str, served: Served | None
) -> None:
    found = told(SAME.replace("[device]", "[cloud]") + more, served)

    assert not any("same_as_before" in warning for warning in found), found


def test_near_the_budget_the_bar_that_stands_then_says_whether_one_is_wanted() -> None:
    paced = policy(
        "accept:\n  - id: a\n    on: [device]\n"
        "    require: {draft.mean_logprob: {gte: -0.2}, draft.agreement: {gte: 0.8}}\n"
        "    near_budget: {draft.mean_logprob: {gte: -1.0}, draft.agreement: {gte: 0.0}}\n"
        "limits: {day_usd: '1'}\n" + THREE
    )
    unsure = {"draft.mean_logprob": -0.5}

    assert open_opinions(paced, "device", {**unsure, "world.budget_used": 0.1}) == frozenset()
    assert open_opinions(paced, "device", {**unsure, "world.budget_used": 1.0}) == {
        "draft.agreement"
    }


CASES = """\
usual: {draft: {draft.mean_logprob: -0.1}}
cases:
  - {name: agreed, drafts: {device: {draft.agreement: 0.7}}, expect: {path: [device]}}
  - {name: not, drafts: {device: {draft.agreement: 0.3}, cloud: {}}, expect: {path: [cloud]}}
  - {name: late, drafts: {device: {}, cloud: {}}, expect: {path: [device, cloud]}}
"""


def paths(rule: Policy) -> list[tuple[str, ...]]:
    cases = build_cases(parse_yaml(CASES, "p.test.yaml", kind=PolicyError), rule)
    return [simulate(rule, case.given).path for case in cases]


def test_a_case_says_what_came_of_them_and_unknown_keeps_nothing() -> None:
    assert paths(policy(AGREE + THREE)) == [("device",), ("device", "cloud"), ("device", "cloud")]


def test_a_case_of_a_policy_that_asks_for_none_has_none() -> None:
    assert paths(policy(AGREE)) == [("device", "cloud")] * 3


def test_a_dry_run_says_what_would_be_asked_for_and_only_where_it_would() -> None:
    both = (
        "accept:\n  - id: a\n    on: [device]\n    require: {any: [{draft.mean_logprob: {gte: B}}"
    )
    both += ", {draft.agreement: {gte: 0.6}}]}\n" + THREE

    def notes(bar: str) -> str:
        rule = policy(both.replace("B", bar))
        (case, *_) = build_cases(parse_yaml(CASES, "p.test.yaml", kind=PolicyError), rule)
        return "\n".join(PolicyTrace(simulate(rule, case.given).entries).lines(()))

    assert "opinions: asked for draft.agreement" in notes("0.0")
    assert "opinions" not in notes("-0.3")


def hop(target: str, status: str, cause: str = "start", **other: Any) -> RecordedHop:
    values: dict[str, Any] = {"cost_usd": Decimal(0), "seconds": 1.0, "tier": target}
    return RecordedHop(target=target, status=status, cause=cause, **(values | other))


def recorded(agreement: float | None, *more: RecordedHop) -> Recorded:
    draft = hop("device", "deferred", signals={"draft.agreement": agreement})
    asked = hop("device", "heard", "opinion", cost_usd=Decimal("0.25"), seconds=2.0)
    return Recorded(decision_id="d", hops=(draft, asked, *more))


def test_a_replay_takes_the_draft_for_the_draft_and_its_opinions_as_they_were_told() -> None:
    cloud = hop("cloud", "answered", "escalation", cost_usd=Decimal(1))
    kept = replay(policy(AGREE + THREE), recorded(0.9))
    sent_on = replay(policy(AGREE + THREE), recorded(0.2, cloud))

    assert (kept.path, kept.end, kept.usd) == (("device",), "answered by device", Decimal("0.25"))
    assert (sent_on.path, sent_on.usd) == (("device", "cloud"), Decimal("1.25"))


def test_a_replay_of_a_policy_that_buys_none_pays_for_none_and_knows_none() -> None:
    free = replay(policy(""), recorded(0.9))
    unknown = replay(policy(AGREE), recorded(0.9))

    assert (free.path, free.usd) == (("device",), Decimal(0))
    assert unknown.path == ("device", "cloud")


def test_a_replay_counts_their_seconds() -> None:
    limited = policy(AGREE + THREE + "limits: {deadline_s: 2.5}\n")
    late = recorded(0.2, hop("cloud", "answered", "escalation"))

    assert replay(limited, late).path == ("device",)
    assert replay(replace(limited, opinions=()), late).path == ("device", "cloud")


def test_where_none_was_bought_then_and_one_would_be_now_that_is_said() -> None:
    draft = hop("device", "answered", signals={"draft.mean_logprob": -0.1})
    found = replay(policy(AGREE + THREE), Recorded(decision_id="d", hops=(draft,)))

    assert found.missing == {"draft.agreement"}
