"""A policy held against its cases: failures, and rules that no case has touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.rules import Policy
from router.policy.selftest import Cover, Report, selftest, selftest_beside

POLICIES = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(p for p in POLICIES.glob("*.yaml") if not p.stem.endswith(".test"))

POLICY = """\
policy: p
summary: s
tiers: [device, cloud]
guards:
  - {id: home, when: {prompt.tokens: {gt: 100}}, forbid: [cloud]}
route:
  - {id: first, when: {request.tools: {gt: 0}}, start: cloud}
  - {id: second, when: {prompt.images: {gt: 0}}, start: cloud}
accept:
  - {id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.3}}}
early:
  - {on: [device], tokens: 8, require: {draft.mean_logprob: {gte: -0.1}}}
"""


def policy() -> Policy:
    return build(parse_yaml(POLICY, "p.yaml", kind=PolicyError), "r")


def report_of(*cases: str) -> Report:
    text = "cases:\n" + "".join(f"  - {{name: case {i}, {c}}}\n" for i, c in enumerate(cases))
    return selftest(policy(), build_cases(parse_yaml(text, "t.yaml", kind=PolicyError), policy()))


SURE = "given: {prompt.tokens: 9}, drafts: {device: {draft.mean_logprob: -0.2}}"
EXPECTED = "expect: {path: [device], answer: device, status: answered, flags: [], limit: none}"
ALL = (
    f"{SURE}, {EXPECTED}",
    "given: {prompt.tokens: 9}, drafts: {device: {draft.mean_logprob: -0.9}, cloud: {}}, "
    "expect: {path: [device, cloud]}",
    "given: {prompt.tokens: 9}, drafts: {device: {draft.mean_logprob: -0.05}}, "
    "expect: {path: [device]}",
    "given: {prompt.tokens: 900}, drafts: {device: {}}, expect: {path: [device]}",
    "given: {prompt.tokens: 9, request.tools: 1}, drafts: {cloud: {}}, expect: {path: [cloud]}",
    "given: {prompt.tokens: 9, prompt.images: 1}, drafts: {cloud: {}}, expect: {path: [cloud]}",
)


def test_cases_that_come_out_and_touch_every_rule_both_ways_are_all_right() -> None:
    report = report_of(*ALL)

    assert report.ok
    assert (report.policy, report.revision, report.cases) == ("p", "r", 6)
    assert (report.failures, report.uncovered) == ((), ())


def test_what_comes_out_otherwise_is_told_with_its_trace() -> None:
    report = report_of(f"{SURE}, expect: {{path: [device, cloud], answer: cloud, flags: []}}")

    first, second = report.failures
    assert str(first) == "case 0, line 2: path is [device], not [device, cloud]"
    assert (second.field, second.expected, second.came) == ("answer", "cloud", "device")
    assert not report.ok
    assert first.lines == (
        " guard  home                     no       prompt.tokens 9 > 100",
        " route  first                    no       request.tools 0 > 0",
        " route  second                   no       prompt.images 0 > 0",
        " hop 1  device                   start      the first tier",
        " early  device                   fails    draft.mean_logprob -0.2 >= -0.1"
        "   -> held to its end",
        " accept sure                     holds    draft.mean_logprob -0.2 >= -0.3",
    )


def test_a_draft_that_is_asked_for_and_not_given_is_told() -> None:
    (failure,) = report_of(
        "given: {prompt.tokens: 9}, drafts: {device: {draft.mean_logprob: -0.9}}, "
        "expect: {path: [device, cloud]}"
    ).failures

    assert str(failure) == "case 0, line 2: draft is missing, not one of cloud, which is asked"


def test_the_order_of_flags_means_nothing_and_nothing_is_none() -> None:
    report = report_of(
        "given: {prompt.tokens: 9}, drafts: {device: {fails: gone}, cloud: {fails: gone}}, "
        "expect: {path: [device, cloud], answer: device}"
    )

    (failure,) = report.failures
    assert (failure.expected, failure.came) == ("device", "none")


def test_a_rule_that_no_case_saw_both_ways_is_told() -> None:
    report = report_of(ALL[4])

    assert not report.failures
    assert not report.ok
    assert report.coverage == (
        Cover("guard", "home", 0, 1),
        Cover("route", "first", 1, 0),
        Cover("route", "second", 0, 0),
        Cover("accept", "sure", 0, 0),
        Cover("early", "device", 0, 0),
    )
    assert report.uncovered == (
        "guard home was never seen forbidding",
        "route first was never seen not matching",
        "route second was never seen matching",
        "route second was never seen not matching",
        "accept sure was never seen holding",
        "accept sure was never seen failing",
        "early device was never seen committing",
        "early device was never seen holding back",
    )


def test_a_requirement_on_an_answer_that_is_shown_anyway_counts_as_seen() -> None:
    """On the last permitted tier it only flags; that is failing all the same."""
    report = report_of(
        "given: {prompt.tokens: 900}, drafts: {device: {draft.mean_logprob: -2}}, "
        "expect: {path: [device], flags: [uncertain]}"
    )

    assert Cover("accept", "sure", 0, 1) in report.coverage
    assert report.failures == ()


def test_unknown_is_not_firing_but_in_a_guard_it_is_neither() -> None:
    report = report_of("drafts: {device: {}}, expect: {path: [device], flags: [uncertain]}")
    seen = {cover.id: (cover.fired, cover.rested) for cover in report.coverage}

    assert seen["home"] == (0, 0)
    assert seen["sure"] == (0, 1)


# Files


def test_a_policy_without_cases_has_no_report(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY, encoding="utf-8")

    assert selftest_beside(path) is None


def test_the_cases_beside_a_policy_are_played(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY, encoding="utf-8")
    (tmp_path / "p.test.yaml").write_text(
        f"cases: [{{name: a, {SURE}, {EXPECTED}}}]", encoding="utf-8"
    )

    report = selftest_beside(path)

    assert report is not None
    assert (report.cases, report.failures, report.ok) == (1, (), False)
    assert selftest_beside(path, policy()) is not None


def test_a_broken_file_of_cases_is_told_by_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY, encoding="utf-8")
    (tmp_path / "p.test.yaml").write_text("cases: []", encoding="utf-8")

    with pytest.raises(PolicyError, match=r"p\.test\.yaml:1:1: cases: has to have at least 1"):
        selftest_beside(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_rule_of_every_shipped_policy_is_seen_firing_and_not_firing(path: Path) -> None:
    report = selftest_beside(path)

    assert report is not None, "a shipped policy has cases"
    assert [str(failure) for failure in report.failures] == []
    assert report.uncovered == ()
