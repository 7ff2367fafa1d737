"""A file of cases: what a good one becomes, and what a bad one is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.cases import Case, build_cases, load_cases, policy_of
from router.policy.load import cases_beside
from router.policy.rules import Policy
from router.signals.catalogue import AtMost

POLICY = """\
policy: p
summary: s
tiers: [device, cloud-fast]
default_label: internal
guards:
  - {id: home, when: {request.label: {is: secret}}, forbid: [cloud-fast]}
route:
  - {id: late, when: {device.in_time: {is: false}, prompt.tokens: {gt: 5}}, start: cloud-fast}
accept:
  - {id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.3}}}
  - {id: form, on: [device], require: {draft.json_valid: {is: true}}}
"""
GOOD = """\
prices: {cloud-fast: "0.002"}
seconds: {cloud-fast: 1.5}
usual:
  given: {prompt.tokens: 40}
  draft: {draft.mean_logprob: -0.1}
cases:
  - name: an unsure draft goes on
    given: {request.label: public, prompt.tokens: {at_most: 400}}
    drafts:
      device: {draft.mean_logprob: null, draft.finish: length, seconds: 2, usd: "0"}
      cloud-fast: {fails: unavailable}
    expect: {path: [device, cloud-fast], answer: device, flags: [uncertain], limit: none}
  - name: nothing is left
    given: {request.label: secret}
    unserved: [device]
    stay: cloud-fast
    expect: {status: forbidden}
"""


def policy(more: str = "") -> Policy:
    return build(parse_yaml(POLICY + more, "p.yaml", kind=PolicyError), "r")


def read(text: str, more: str = "") -> tuple[Case, ...]:
    return build_cases(parse_yaml(text, "p.test.yaml", kind=PolicyError), policy(more))


def test_a_case_becomes_plain_values() -> None:
    first, second = read(GOOD)

    assert (first.name, first.line) == ("an unsure draft goes on", 7)
    assert first.given.signals == {
        "request.label": "public",
        "prompt.tokens": AtMost(400),
        "device.in_time": True,
    }
    device, cloud = first.given.replies["device"], first.given.replies["cloud-fast"]
    assert device.signals == {
        "draft.refusal": False,
        "draft.mean_logprob": None,
        "draft.finish": "length",
        "draft.json_valid": True,
    }
    assert (device.seconds, device.usd, device.fails) == (2, Decimal(0), None)
    assert cloud.fails == "unavailable"
    assert cloud.signals["draft.mean_logprob"] == -0.1
    assert first.given.prices == {"device": Decimal(0), "cloud-fast": Decimal("0.002")}
    assert first.given.seconds == {"cloud-fast": 1.5}
    assert first.expect == {
        "path": ("device", "cloud-fast"),
        "answer": "device",
        "flags": ("uncertain",),
        "limit": None,
    }
    assert second.given.unserved == {"device"}
    assert second.given.stay == "cloud-fast"
    assert second.expect == {"status": "forbidden"}


def test_a_label_that_is_not_given_is_the_policys_default() -> None:
    (case,) = read("cases: [{name: a, expect: {path: []}}]")

    assert case.given.signals["request.label"] == "internal"
    assert "prompt.tokens" not in case.given.signals  # unknown: the catalogue declares no absence


@pytest.mark.parametrize(
    ("draft", "returnable", "presentable", "refusal"),
    [
        ("{}", True, True, False),
        ("{says: nothing}", False, True, False),
        ("{says: refusal}", True, False, True),
        ("{draft.refusal: true}", True, False, True),
        ("{draft.json_valid: false}", True, False, False),
        ("{draft.tool_calls_valid: false}", True, False, False),
        ("{draft.finish: content_filter}", False, True, False),
    ],
)
def test_what_a_draft_says_decides_whether_it_may_be_shown(
    draft: str, returnable: bool, presentable: bool, refusal: bool
) -> None:
    (case,) = read(f"cases: [{{name: a, drafts: {{device: {draft}}}, expect: {{path: []}}}}]")
    reply = case.given.replies["device"]

    assert (reply.returnable, reply.presentable) == (returnable, presentable)
    assert reply.signals["draft.refusal"] is refusal


def test_a_refusal_in_a_case_goes_before_what_is_usual() -> None:
    (case,) = read(
        "usual: {draft: {draft.refusal: false}}\n"
        "cases: [{name: a, drafts: {device: {says: refusal}}, expect: {path: []}}]"
    )

    assert case.given.replies["device"].signals["draft.refusal"] is True


def test_a_policy_with_a_dollar_limit_needs_prices_of_all_but_the_device() -> None:
    text = "cases: [{name: a, expect: {path: []}}]"

    with pytest.raises(PolicyError, match="has no price of cloud-fast") as caught:
        read(text, 'limits: {cost_usd: "1"}\n')
    assert caught.value.line == 1
    (case,) = read(f"prices: {{cloud-fast: null}}\n{text}", 'limits: {day_usd: "1"}\n')
    assert case.given.prices == {"device": Decimal(0)}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("cases:", "casse:", 6, "casse", "did you mean 'cases'?"),
        ("seconds: {cloud-fast", "seconds: {clod-fast", 2, "seconds.clod-fast", "'cloud-fast'?"),
        ('"0.002"', "0.002", 1, "prices.cloud-fast", "in quotes"),
        ("cloud-fast: 1.5", "cloud-fast: -1", 2, "seconds.cloud-fast", "at least 0"),
        ("prompt.tokens: 40", "prompt.tokns: 40", 4, "usual.given.prompt.tokns", "prompt.tokens"),
        ("prompt.tokens: 40", "prompt.tokens: 0", 4, "usual.given.prompt.tokens", "at least 1"),
        ("prompt.tokens: 40", "prompt.tokens: 4.5", 4, "usual.given.prompt.tokens", "whole"),
        ("prompt.tokens: 40", "prompt.tokens: many", 4, "usual.given.prompt.tokens", "a number"),
        ("prompt.tokens: 40", "prompt.tokens: .nan", 4, "usual.given.prompt.tokens", "finite"),
        ("prompt.tokens: 40", "draft.tokens: 40", 4, "usual.given.draft.tokens", "under drafts"),
        ("prompt.tokens: 40", "tier.x.end_s: 4", 4, "usual.given.tier.x.end_s", "unknown tier 'x'"),
        ("prompt.tokens: 40", "device.fits: no", 4, "usual.given.device.fits", "true or false"),
        (
            "draft.mean_logprob: -0.1",
            "draft.mean_logprob: 0.1",
            5,
            "usual.draft.draft.mean_logprob",
            "at most 0",
        ),
        (
            "name: nothing is left",
            "name: an unsure draft goes on",
            13,
            "cases[1].name",
            "is used twice",
        ),
        ("label: public", "label: pubic", 8, "cases[0].given.request.label", "'public'?"),
        ("label: public", "label: null", 8, "cases[0].given.request.label", "never unknown"),
        ("label: public", "label: true", 8, "cases[0].given.request.label", "quote it"),
        ("{at_most: 400}", "{at_least: 4}", 8, "cases[0].given.prompt.tokens", "a number"),
        ("{at_most: 400}", "{at_most: x}", 8, "cases[0].given.prompt.tokens.at_most", "a number"),
        ("device: {draft.mean", "devise: {draft.mean", 10, "cases[0].drafts.devise", "'device'?"),
        ("seconds: 2", "secnds: 2", 10, "cases[0].drafts.device.secnds", "'seconds'?"),
        ("seconds: 2", "seconds: x", 10, "cases[0].drafts.device.seconds", "has to be a number"),
        ("seconds: 2", "says: hm", 10, "cases[0].drafts.device.says", "one of: answer, nothing"),
        ("seconds: 2", "prompt.turns: 2", 10, "cases[0].drafts.device.prompt.turns", "given"),
        ("unavailable", "unavaible", 11, "cases[0].drafts.cloud-fast.fails", "'unavailable'?"),
        ("path: [device,", "path: [devise,", 12, "cases[0].expect.path[0]", "'device'?"),
        ("answer: device", "answer: nobody", 12, "cases[0].expect.answer", "unknown tier"),
        ("[uncertain]", "[unsure]", 12, "cases[0].expect.flags[0]", "unknown flag 'unsure'"),
        ("limit: none", "limit: hop", 12, "cases[0].expect.limit", "'hops'?"),
        ("[device]\n    stay", "[dev]\n    stay", 15, "cases[1].unserved[0]", "unknown tier"),
        ("stay: cloud-fast", "stay: cloud", 16, "cases[1].stay", "unknown tier 'cloud'"),
        ("status: forbidden", "status: answerd", 17, "cases[1].expect.status", "'answered'?"),
        ("status: forbidden", "answer: none", 17, "cases[1].expect.path", "is missing"),
    ],
)
def test_a_wrong_file_is_told_where_and_what(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert GOOD.count(old) == 1

    with pytest.raises(PolicyError) as caught:
        read(GOOD.replace(old, new))

    error = caught.value
    assert (error.file, error.line, error.field) == ("p.test.yaml", line, field)
    assert says in str(error)
    assert "\n" not in str(error)


# Files


def test_cases_lie_beside_their_policy_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    beside = cases_beside(path)
    beside.write_text("cases: [{name: a, expect: {path: []}}]", encoding="utf-8")

    assert beside.name == "mine.test.yaml"
    assert policy_of(beside) == path
    assert len(load_cases(beside, policy(), of=path)) == 1


def test_a_file_of_cases_may_name_another_policy_and_is_not_taken_for_one_of_this(
    tmp_path: Path,
) -> None:
    beside = tmp_path / "more.test.yaml"
    beside.write_text("policy: mine.yaml\ncases: [{name: a, expect: {path: []}}]", encoding="utf-8")

    assert policy_of(beside) == tmp_path / "mine.yaml"
    assert len(load_cases(beside, policy(), of=tmp_path / "mine.yaml")) == 1
    with pytest.raises(PolicyError, match=r"are cases of mine\.yaml, not of more\.yaml") as caught:
        load_cases(beside, policy(), of=tmp_path / "more.yaml")
    assert (caught.value.line, caught.value.field) == (1, "policy")
