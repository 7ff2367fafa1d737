"""`on_filtered` in the document, its schema, the linter, the cases, and a replay of the ledger."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.lint import lint
from router.policy.replay import replay
from router.policy.rules import Policy
from router.policy.schema import json_schema
from router.policy.selftest import selftest
from router.recorded import Recorded, RecordedHop

POLICY = """\
policy: p
summary: s
tiers: [device, cloud-fast, cloud-strong]
route:
  - {id: long, when: {prompt.tokens: {gt: 100}}, start: cloud-fast}
accept:
  - {id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.3}}}
"""
CASES = """\
usual: {given: {prompt.tokens: 40}, draft: {draft.mean_logprob: -0.1, draft.finish: stop}}
cases:
  - name: a sure draft stays
    drafts: {device: {}}
    expect: {path: [device], flags: []}
  - name: a blocked prompt
    drafts: {device: {draft.mean_logprob: -0.9}, cloud-fast: {fails: filtered}, cloud-strong: {}}
    expect: BLOCKED
  - name: a cut answer
    drafts:
      device: {draft.mean_logprob: -0.9}
      cloud-fast: {draft.finish: content_filter}
      cloud-strong: {}
    expect: BLOCKED
  - name: without a draft
    given: {prompt.tokens: 500}
    drafts: {device: {draft.mean_logprob: -0.9}, cloud-fast: {fails: filtered}, cloud-strong: {}}
    expect: STARTED
  - name: shown before it was cut
    unserved: [cloud-strong]
    drafts: {device: {draft.mean_logprob: -0.9}, cloud-fast: {draft.finish: content_filter}}
    expect: {path: [device, cloud-fast], answer: cloud-fast, flags: [uncertain, filtered]}
"""
ENDS = {
    "next": (
        "{path: [device, cloud-fast, cloud-strong], answer: cloud-strong, flags: []}",
        "{path: [cloud-fast, cloud-strong], answer: cloud-strong, flags: []}",
    ),
    "draft": (
        "{path: [device, cloud-fast], answer: device, flags: [uncertain, filtered]}",
        "{path: [cloud-fast, device], answer: device, flags: [uncertain, filtered]}",
    ),
    "refuse": (
        "{path: [device, cloud-fast], answer: none, status: no_answer, flags: [filtered]}",
        "{path: [cloud-fast], answer: none, status: no_answer, flags: [filtered]}",
    ),
}


def policy(text: str) -> Policy:
    return build(parse_yaml(text, "p.yaml"), hashlib.sha256(text.encode()).hexdigest()[:12])


@pytest.mark.parametrize("rule", list(ENDS))
def test_cases_play_each_rule(rule: str) -> None:
    rules = policy(f"{POLICY}on_filtered: {rule}\n")
    blocked, started = ENDS[rule]
    written = CASES.replace("BLOCKED", blocked).replace("STARTED", started)

    report = selftest(rules, build_cases(parse_yaml(written, "p.test.yaml"), rules))

    assert [str(failure) for failure in report.failures] == []
    assert report.ok


def test_it_is_next_unless_it_says_otherwise() -> None:
    assert policy(POLICY).on_filtered == "next"


def test_another_word_is_refused_with_its_line() -> None:
    with pytest.raises(PolicyError) as caught:
        policy(f"{POLICY}on_filtered: local\n")

    assert (caught.value.line, caught.value.field) == (8, "on_filtered")


def test_editors_know_its_words() -> None:
    words: Any = json_schema()["properties"]["on_filtered"]

    assert words["enum"] == ["next", "draft", "refuse"]


def test_a_draft_that_can_never_be_there_is_told() -> None:
    one = "policy: p\nsummary: s\ntiers: [cloud]\non_filtered: draft\n"
    document = parse_yaml(one, "p.yaml")

    warnings = lint(document, policy(one), None)

    assert [(w.field, w.line) for w in warnings] == [("on_filtered", 4)]
    assert "ContentFiltered" in warnings[0].message


@pytest.mark.parametrize("why", ["error", "finish"])
def test_a_recorded_request_is_replayed_with_its_filter(why: str) -> None:
    def hop(tier: str, **more: Any) -> RecordedHop:
        return RecordedHop(target=tier, tier=tier, cause="start", seconds=1.0, **more)

    form = {"draft.refusal": False, "draft.json_valid": True, "draft.tool_calls_valid": True}
    unsure = {"draft.mean_logprob": -0.9, **form}
    stop: dict[str, Any] = (
        {"status": "failed", "error_kind": "filtered"}
        if why == "error"
        else {"status": "deferred", "finish": "content_filter", "output_tokens": 3}
    )
    hops = (
        hop("device", status="deferred", finish="stop", signals=unsure, output_tokens=9),
        hop("cloud-fast", **stop),
        hop("cloud-strong", status="answered", finish="stop", output_tokens=9),
    )
    recorded = Recorded(decision_id="d", signals={"prompt.tokens": 40}, hops=hops)
    rules = policy(POLICY)

    ends = {
        rule: replay(replace(rules, on_filtered=rule), recorded)  # type: ignore[arg-type]
        for rule in ENDS
    }

    assert ends["next"].path == ("device", "cloud-fast", "cloud-strong")
    assert (ends["draft"].path, ends["draft"].end) == (
        ("device", "cloud-fast"),
        "answered by device",
    )
    assert (ends["refuse"].path, ends["refuse"].end) == (("device", "cloud-fast"), "no answer")
