"""The JSON Schemas that editors use: they accept what loads, and refuse what does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import jsonschema
import pytest

from router.document import parse_yaml, read_yaml
from router.policy.schema import case_schema, describe, json_schema, modeline
from router.signals.catalogue import CATALOGUE, FAMILIES

POLICIES = Path(__file__).parents[3] / "policies"
CASES = sorted(POLICIES.glob("*.test.yaml"))
SHIPPED = sorted(set(POLICIES.glob("*.yaml")) - set(CASES))

POLICY = jsonschema.Draft202012Validator(json_schema())
OF_CASES = jsonschema.Draft202012Validator(case_schema())

GOOD = """\
policy: p
summary: s
tiers: [device, cloud]
guards:
  - {id: g, when: {request.tags.team: {in: [red, blue]}}, forbid: request}
route:
  - {id: r, when: {any: [{tier.cloud.breaker: {is: open}}, {not: {device.fits: {is: true}}}]}, start: cloud}
accept:
  - id: a
    on: [device]
    require: {all: [{draft.mean_logprob: {gte: -0.3}}, {prompt.tokens: {lt: 9}}]}
    near_budget: {all: [{draft.mean_logprob: {gte: -0.9}}, {prompt.tokens: {lt: 9}}]}
early: [{on: [device], tokens: 8, require: {draft.mean_logprob: {gte: -0.1}}}]
limits: {hops: 2, deadline_s: 20, cost_usd: "0.01", day_usd: 2, pace_from: 0.5, at_limit: refuse}
escalate: best_gain
gain: {share: {cloud: 0.5}, second_usd: "0.001"}
race: {over_s: 2, cost_usd: "0.005"}
sample: {share: 0.1, tier: cloud, day_usd: "1"}
attach_draft: true
default_label: internal
record_signals: cheap
"""  # noqa: E501


def data() -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(parse_yaml(GOOD, "p.yaml").data)
    return found


def changed(**parts: Any) -> dict[str, Any]:
    return data() | parts


def guarded(when: Any) -> dict[str, Any]:
    return changed(guards=[{"id": "g", "when": when, "forbid": ["cloud"]}])


def accepting(require: Any) -> dict[str, Any]:
    return changed(accept=[{"id": "a", "on": ["device"], "require": require}])


def test_both_are_schemas_of_the_dialect_they_name_and_plain_json() -> None:
    for schema in (json_schema(), case_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert json.loads(json.dumps(schema, allow_nan=False)) == schema


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_every_shipped_policy_is_accepted(path: Path) -> None:
    assert list(POLICY.iter_errors(read_yaml(path).data)) == []


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.name)
def test_every_shipped_file_of_cases_is_accepted(path: Path) -> None:
    assert list(OF_CASES.iter_errors(read_yaml(path).data)) == []


def test_a_policy_with_every_part_is_accepted() -> None:
    assert list(POLICY.iter_errors(data())) == []


@pytest.mark.parametrize(
    "wrong",
    [
        changed(tiers=[]),
        changed(tiers=["device", "device"]),
        changed(tiers=["The Cloud"]),
        changed(policy="No Name"),
        changed(gaurds=[]),
        changed(escalate="upwards"),
        changed(default_label="pubic"),
        changed(limits={"hops": 0}),
        changed(limits={"cost_usd": 0.01}),
        changed(limits={"cost_usd": "ten cents"}),
        changed(limits={"pace_from": 1}),
        changed(race={"over_s": 2}),
        {k: v for k, v in data().items() if k != "tiers"},
        guarded({}),
        guarded({"prompt.tokns": {"gt": 3}}),
        guarded({"prompt.tokens": {"gt": "3"}}),
        guarded({"prompt.tokens": {"in": [3]}}),
        guarded({"prompt.tokens": {}}),
        guarded({"request.label": {"is": "pi"}}),
        guarded({"request.label": {"in": "pii"}}),
        guarded({"request.label": {"in": []}}),
        guarded({"device.fits": {"is": "yes"}}),
        guarded({"draft.tokens": {"gt": 3}}),
        guarded({"any": [{"draft.tokens": {"gt": 3}}]}),
        guarded({"any": []}),
        guarded({"not": [{"prompt.tokens": {"gt": 3}}]}),
        guarded({"request.tags.": {"is": "x"}}),
        guarded({"tier.cloud.breaker": {"is": "ajar"}}),
        accepting({"draft.finish": {"is": "done"}}),
        accepting({"draft.mean_logprob": {"at_least": 3}}),
        changed(
            early=[{"on": ["device"], "tokens": 8, "require": {"draft.finish": {"is": "stop"}}}]
        ),
    ],
    ids=lambda wrong: json.dumps(wrong)[-60:],
)
def test_a_wrong_word_is_refused(wrong: Mapping[str, Any]) -> None:
    assert not POLICY.is_valid(wrong)


def test_a_drafts_signals_are_offered_under_accept_and_nowhere_before_it() -> None:
    parts = json_schema()["$defs"]
    request = set(parts["RequestPredicate"]["properties"])
    draft = set(parts["DraftPredicate"]["properties"])
    early = set(parts["EarlyPredicate"]["properties"])

    assert {"all", "any", "not"} <= request
    assert {n for n, s in CATALOGUE.items() if s.known == "request"} <= request
    assert not any(name.startswith("draft.") for name in request)
    assert draft == {"all", "any", "not", *CATALOGUE}
    assert draft - early == {n for n, s in CATALOGUE.items() if s.whole_draft}


def test_every_signal_has_help_with_its_unit_and_range() -> None:
    help_ = json_schema()["$defs"]["DraftPredicate"]["properties"]["prompt.tokens"]["description"]

    assert "whole number of tokens, at least 1; may be unknown" in help_
    for signal in (*CATALOGUE.values(), *FAMILIES.values()):
        assert signal.summary in describe(signal)


def case(**parts: Any) -> dict[str, Any]:
    return {"cases": [{"name": "a", "expect": {"path": ["device"]}} | parts]}


@pytest.mark.parametrize(
    "right",
    [
        case(),
        case(given={"prompt.tokens": {"at_most": 400}, "request.tags.team": "red"}),
        case(given={"prompt.tokens": None}),
        case(drafts={"device": {"draft.finish": "stop", "seconds": 1.5, "says": "refusal"}}),
        case(drafts={"device": {"fails": "unavailable"}}),
        case(expect={"status": "forbidden"}),
        case() | {"prices": {"cloud": "0.01", "other": None}},
    ],
)
def test_a_right_case_is_accepted(right: Mapping[str, Any]) -> None:
    assert list(OF_CASES.iter_errors(right)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cases": []},
        case(given={"prompt.tokens": "many"}),
        case(given={"prompt.tokens": 0}),
        case(given={"request.label": None}),
        case(given={"request.label": "pubic"}),
        case(given={"draft.tokens": 3}),
        case(drafts={"device": {"prompt.turns": 3}}),
        case(drafts={"device": {"fails": "sometimes"}}),
        case(drafts={"device": {"draft.tokens": {"at_least": 3}}}),
        case(expect={"answer": "device"}),
        case(expect={"path": [], "flags": ["unsure"]}),
        case() | {"prices": {"cloud": 0.01}},
        case() | {"usual": {"drafts": {}}},
    ],
    ids=lambda wrong: json.dumps(wrong)[-60:],
)
def test_a_wrong_case_is_refused(wrong: Mapping[str, Any]) -> None:
    assert not OF_CASES.is_valid(wrong)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("https://example.org/p.json", "https://example.org/p.json"),
        (PurePosixPath("../policy.schema.json"), "../policy.schema.json"),
        (PureWindowsPath(r"..\policy.schema.json"), "../policy.schema.json"),
    ],
)
def test_the_modeline_is_what_editors_read(path: Any, line: str) -> None:
    assert modeline(path) == f"# yaml-language-server: $schema={line}"
