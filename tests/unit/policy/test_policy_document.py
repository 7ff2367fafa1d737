"""A policy document: what a good one becomes, and what a bad one is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy import rules
from router.policy.build import build
from router.policy.document import dollars
from router.policy.load import find, load, revision_of
from router.policy.predicates import All, AnyOf, Not
from router.policy.predicates import Test as OneTest
from router.policy.rules import Limits, Policy, Race, Sample

POLICIES = Path(__file__).parents[3] / "policies"

GOOD = """\
policy: whole
summary: Everything once.
tiers: [device, cloud-fast, cloud-strong]
guards:
  - id: stays-home
    when: {request.label: {in: [pii, secret]}}
    forbid: [cloud-fast, cloud-strong]
route:
  - id: long
    when: {prompt.tokens: {gt: 3500}}
    start: cloud-fast
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.3}}
  - id: done
    on: [device, cloud-fast]
    require: {draft.finish: {is: stop}}
limits: {hops: 3, deadline_s: 20, cost_usd: "0.01"}
"""


def built(text: str) -> Policy:
    return build(parse_yaml(text, "p.yaml", kind=PolicyError), "abc")


def wrong(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        built(text)
    assert caught.value.file == "p.yaml"
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_whole_document_becomes_a_policy() -> None:
    policy = built(GOOD)

    assert (policy.name, policy.revision) == ("whole", "abc")
    assert policy.tiers == ("device", "cloud-fast", "cloud-strong")
    assert policy.guards[0].when == OneTest("request.label", "in", ("pii", "secret"))
    assert policy.guards[0].forbid == {"cloud-fast", "cloud-strong"}
    assert policy.route[0] == rules.Route(
        "long", OneTest("prompt.tokens", "gt", 3500.0), "cloud-fast"
    )
    assert [a.on for a in policy.accept] == [{"device"}, {"device", "cloud-fast"}]
    assert policy.limits == Limits(hops=3, deadline_s=20, cost_usd=Decimal("0.01"))
    assert policy.signals() == {
        "request.label",
        "prompt.tokens",
        "draft.mean_logprob",
        "draft.finish",
    }


def test_a_policy_may_be_no_more_than_its_tiers() -> None:
    policy = built("policy: least\nsummary: None.\ntiers: [device]\n")

    assert (policy.guards, policy.route, policy.accept, policy.limits) == ((), (), (), Limits())


def test_predicates_are_put_together() -> None:
    text = GOOD.replace(
        "require: {draft.finish: {is: stop}}",
        """require:
      any:
        - {draft.tokens: {gte: 1, lt: 200}}
        - not: {all: [{draft.finish: {is_not: stop}}, {prompt.turns: {gt: 3}}]}
      draft.first_margin: {gt: 0.5}""",
    )

    require = built(text).accept[1].require

    assert require == All(
        (
            AnyOf(
                (
                    All(
                        (
                            OneTest("draft.tokens", "gte", 1.0),
                            OneTest("draft.tokens", "lt", 200.0),
                        )
                    ),
                    Not(
                        All(
                            (
                                OneTest("draft.finish", "is_not", "stop"),
                                OneTest("prompt.turns", "gt", 3.0),
                            )
                        )
                    ),
                )
            ),
            OneTest("draft.first_margin", "gt", 0.5),
        )
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("policy: whole\n", "", 1, "policy", "is missing"),
        ("policy: whole", "polcy: whole", 1, "polcy", "did you mean 'policy'?"),
        ("policy: whole", "policy: 7", 1, "policy", "has to be text, not the number 7"),
        ("policy: whole", "policy: no name", 1, "policy", "'no name' is no name"),
        ("policy: whole", "policy:", 1, "policy", "has to be text, not nothing"),
        ("tiers: [device,", "tiers: [device, device,", 3, "tiers[1]", "'device' is used twice"),
        ("tiers: [device,", "tiers: [1,", 3, "tiers[0]", "has to be text, not the number 1"),
        (
            "tiers: [device, cloud-fast, cloud-strong]",
            "tiers: []",
            3,
            "tiers",
            "has to have at least 1",
        ),
        (
            "tiers: [device, cloud-fast, cloud-strong]",
            "tiers: device",
            3,
            "tiers",
            "has to be a list, not text",
        ),
        ("guards:\n", "gaurds:\n", 4, "gaurds", "did you mean 'guards'?"),
        ("  - id: stays-home\n    when", "  - when", 5, "guards[0].id", "is missing"),
        ("id: done", "id: sure", 16, "accept[1].id", "'sure' is used twice"),
        ("id: long", "id: Too Long", 9, "route[0].id", "is no name"),
        (
            "start: cloud-fast",
            "start: cloud-fats",
            11,
            "route[0].start",
            "did you mean 'cloud-fast'?",
        ),
        (
            "forbid: [cloud-fast,",
            "forbid: [clod-fast,",
            7,
            "guards[0].forbid[0]",
            "did you mean 'cloud-fast'?",
        ),
        ("on: [device]", "on: [on]", 14, "accept[0].on[0]", "unknown tier 'on'"),
        ("on: [device]", "on: []", 14, "accept[0].on", "at least 1"),
        (
            "request.label:",
            "request.lable:",
            6,
            "guards[0].when.request.lable",
            "did you mean 'request.label'?",
        ),
        (
            "request.label: {in: [pii, secret]}",
            "draft.tokens: {gt: 1}",
            6,
            "guards[0].when.draft.tokens",
            "known only once there is a draft",
        ),
        ("{in: [pii,", "{in: [pi,", 6, "guards[0].when.request.label.in[0]", "did you mean 'pii'?"),
        ("{in: [pii, secret]}", "{in: pii}", 6, "guards[0].when.request.label.in", "list of words"),
        ("{in: [pii, secret]}", "{is: no}", 6, "guards[0].when.request.label.is", "'no' is none"),
        (
            "{in: [pii, secret]}",
            "{is: true}",
            6,
            "guards[0].when.request.label.is",
            "write the word in quotes",
        ),
        ("{in: [pii, secret]}", "pii", 6, "guards[0].when.request.label", "needs a comparison"),
        ("{in: [pii, secret]}", "{}", 6, "guards[0].when.request.label", "needs a comparison"),
        (
            "{in: [pii, secret]}",
            "{gt: pii}",
            6,
            "guards[0].when.request.label.gt",
            "is a word; it can't be compared by 'gt'",
        ),
        ("{gt: 3500}", "{gth: 3500}", 10, "route[0].when.prompt.tokens.gth", "did you mean 'gt'?"),
        ("{gt: 3500}", "{in: [1]}", 10, "route[0].when.prompt.tokens.in", "is a number"),
        (
            "{gt: 3500}",
            '{gt: "3500"}',
            10,
            "route[0].when.prompt.tokens.gt",
            "has to be a number, not '3500'",
        ),
        ("{gt: 3500}", "{gt: true}", 10, "route[0].when.prompt.tokens.gt", "not True"),
        ("{gt: 3500}", "{gt: .nan}", 10, "route[0].when.prompt.tokens.gt", "finite"),
        ("{gt: 3500}", "{gt: -.inf}", 10, "route[0].when.prompt.tokens.gt", "finite"),
        ("{gt: 3500}", "{gt: 1e999}", 10, "route[0].when.prompt.tokens.gt", "finite"),
        ("{prompt.tokens: {gt: 3500}}", "{}", 10, "route[0].when", "has to be a mapping of signal"),
        ("{prompt.tokens: {gt: 3500}}", "[]", 10, "route[0].when", "not a list"),
        (
            "{prompt.tokens: {gt: 3500}}",
            "{all: []}",
            10,
            "route[0].when.all",
            "a list of predicates",
        ),
        (
            "{prompt.tokens: {gt: 3500}}",
            "{any: [prompt.tokens]}",
            10,
            "route[0].when.any[0]",
            "has to be a mapping of signal",
        ),
        ("{prompt.tokens: {gt: 3500}}", "{not: 3}", 10, "route[0].when.not", "has to be a mapping"),
        ("hops: 3", "hops: 0", 19, "limits.hops", "has to be at least 1"),
        ("hops: 3", "hops: 3.5", 19, "limits.hops", "has to be a whole number"),
        ("hops: 3", "hops: true", 19, "limits.hops", "has to be a whole number, not true"),
        ("hops: 3", "hop: 3", 19, "limits.hop", "did you mean 'hops'?"),
        ("deadline_s: 20", "deadline_s: 0", 19, "limits.deadline_s", "more than 0"),
        ("deadline_s: 20", "deadline_s: -1", 19, "limits.deadline_s", "more than 0"),
        ("deadline_s: 20", "deadline_s: .nan", 19, "limits.deadline_s", "finite"),
        ("deadline_s: 20", 'deadline_s: "20"', 19, "limits.deadline_s", "has to be a number"),
        ("deadline_s: 20", "deadline_s: true", 19, "limits.deadline_s", "has to be a number"),
        ('cost_usd: "0.01"', "cost_usd: 0.01", 19, "limits.cost_usd", "in quotes"),
        ('cost_usd: "0.01"', "cost_usd: ten cents", 19, "limits.cost_usd", "no amount of dollars"),
        ('cost_usd: "0.01"', 'cost_usd: "-1"', 19, "limits.cost_usd", "no amount of dollars"),
        ('cost_usd: "0.01"', "cost_usd: NaN", 19, "limits.cost_usd", "no amount of dollars"),
        ('cost_usd: "0.01"', 'cost_usd: "1e99999999"', 19, "limits.cost_usd", "no amount"),
        ('cost_usd: "0.01"', 'cost_usd: "1e-99"', 19, "limits.cost_usd", "is finer than"),
        ("limits: {", "limits: [{", 20, "limits[0]", "is not closed"),
    ],
)
def test_a_wrong_document_is_told_where_and_what(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert GOOD.count(old) >= 1

    error = wrong(GOOD.replace(old, new, 1))

    assert (error.line, error.field) == (line, field)
    assert error.column is not None
    assert says in str(error)


def test_an_unknown_field_is_told_before_a_missing_one() -> None:
    error = wrong(GOOD.replace("require: {draft.finish", "requires: {draft.finish"))

    assert str(error) == (
        "p.yaml:18:5: accept[1].requires: unknown field (did you mean 'require'?)"
    )


def test_of_several_faults_the_first_in_the_file_is_told() -> None:
    text = GOOD.replace("hops: 3", "hops: 0").replace("id: long", "id: 4")

    assert wrong(text).field == "route[0].id"


@pytest.mark.parametrize("size", range(0, len(GOOD), 7))
def test_a_document_cut_anywhere_is_refused_or_whole(size: int) -> None:
    cut = GOOD[:size]

    if size <= GOOD.index("]"):
        error = wrong(cut)
        assert error.line is not None or not cut
        return
    try:
        found: object = built(cut).tiers
    except PolicyError as error:
        found = error.line
    assert found == ("device", "cloud-fast", "cloud-strong") or isinstance(found, int)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0.01", "0.01"), (2, "2"), ("1e-3", "0.001"), (Decimal("0.5"), "0.5"), ("-0", "0")],
)
def test_dollars_are_exact(given: object, expected: str) -> None:
    assert str(dollars(given)) == str(Decimal(expected))


@pytest.mark.parametrize("given", [0.01, True, None, "", "1,5", "Infinity", "sNaN", "1000001", []])
def test_what_is_no_amount_of_dollars_is_a_value_error(given: object) -> None:
    with pytest.raises(ValueError, match="dollars"):
        dollars(given)


# Files


SHIPPED = sorted(p for p in POLICIES.glob("*.yaml") if not p.stem.endswith(".test"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_policy_loads_and_is_called_like_its_file(path: Path) -> None:
    policy = load(path)

    assert policy.name == path.stem
    assert policy.summary
    assert policy.revision == revision_of(path.read_text(encoding="utf-8"))


def test_the_revision_is_of_the_text_and_not_of_its_line_ends() -> None:
    assert revision_of("a: 1\r\nb: 2\r\n") == revision_of("a: 1\nb: 2\n")
    assert revision_of("a: 1\n") != revision_of("a: 2\n")
    assert len(revision_of("")) == 12


def test_a_policy_is_found_by_name_in_the_first_folder_that_has_it(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for folder, names in ((own, ["balanced"]), (shipped, ["balanced", "private"])):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.yaml").write_text("x: 1\n")

    assert find("balanced", (own, shipped)) == own / "balanced.yaml"
    assert find("private", (own, shipped)) == shipped / "private.yaml"


@pytest.mark.parametrize("given", ["mine.yaml", "folder/mine", "./mine.yml"])
def test_a_path_is_taken_as_it_is(given: str, tmp_path: Path) -> None:
    assert find(given, (tmp_path,)) == Path(given)


def test_an_unknown_name_is_told_the_nearest_and_never_a_file_of_cases(tmp_path: Path) -> None:
    for name in ("balanced.yaml", "balanced.test.yaml"):
        (tmp_path / name).write_text("x: 1\n")

    with pytest.raises(
        PolicyError, match=r"no policy is called 'balancd' \(did you mean 'balanced"
    ):
        find("balancd", (tmp_path,))
    with pytest.raises(PolicyError) as caught:
        find("zzz", (tmp_path,))
    assert caught.value.hint == "one of: balanced"


def test_a_policy_that_is_not_there_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "none.yaml")


# What else a document may say

REST = """\
policy: rest
summary: All that GOOD does not say.
tiers: [device, cloud-fast, cloud-strong]
guards:
  - {id: all, when: {request.tenant: {is: banned}}, forbid: request}
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.3}, draft.finish: {is: stop}}
    near_budget: {draft.mean_logprob: {gte: -0.9}, draft.finish: {is: stop}}
early:
  - {on: [device, cloud-fast], tokens: 24, require: {draft.mean_logprob: {gte: -0.1}}}
limits: {day_usd: "2", pace_from: 0.5, at_limit: refuse}
escalate: best_gain
gain: {share: {cloud-fast: 0.5, cloud-strong: 0.6}, second_usd: "0.001"}
attach_draft: true
race: {over_s: 2, cost_usd: "0.005"}
sample: {share: 0.1, tier: cloud-fast, day_usd: "1"}
default_label: internal
record_signals: cheap
"""


def test_the_rest_of_a_document_becomes_a_policy() -> None:
    policy = built(REST)

    assert policy.guards[0].forbid == set(policy.tiers)
    assert policy.accept[0].near_budget == All(
        (
            OneTest("draft.mean_logprob", "gte", -0.9),
            OneTest("draft.finish", "is", "stop"),
        )
    )
    assert policy.early_on("cloud-fast") == policy.early[0]
    assert policy.early_on("cloud-strong") is None
    assert policy.limits == Limits(day_usd=Decimal(2), pace_from=0.5, at_limit="refuse")
    assert policy.gain is not None
    assert policy.gain.share == {"device": 0.0, "cloud-fast": 0.5, "cloud-strong": 0.6}
    assert (policy.escalate, policy.attach_draft) == ("best_gain", True)
    assert policy.race == Race(over_s=2, cost_usd=Decimal("0.005"))
    assert policy.sample == Sample(share=0.1, tier="cloud-fast", day_usd=Decimal(1))
    assert (policy.default_label, policy.record_signals) == ("internal", "cheap")


def test_a_policy_asks_for_the_signals_that_its_parts_need() -> None:
    assert built(REST).signals() == {
        "request.tenant",
        "draft.mean_logprob",
        "draft.finish",
        "world.budget_used",
        "device.end_s",
        "prompt.escalation_chance",
        "complexity.score",
        "draft.gain.cloud-fast",
        "draft.gain.cloud-strong",
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("forbid: request", "forbid: requests", 5, "guards[0].forbid", "not a valid word"),
        ("forbid: request", "forbid: []", 5, "guards[0].forbid", "at least 1"),
        ('day_usd: "2", ', "", 10, "accept[0].near_budget", "set limits.day_usd"),
        ("gte: -0.9}", "gte: -0.1}", 10, "accept[0].near_budget", "is stricter than"),
        ("gte: -0.9}", "gt: -0.9}", 10, "accept[0].near_budget", "built like require"),
        ("gte: -0.9}", "is: -0.9}", 10, "accept[0].near_budget", "built like require"),
        (
            "{draft.mean_logprob: {gte: -0.9}, draft.finish: {is: stop}}",
            "{draft.mean_logprob: {gte: -0.9}, draft.finish: {is: length}}",
            10,
            "accept[0].near_budget",
            "draft.finish is can't move by degrees",
        ),
        (
            "{draft.mean_logprob: {gte: -0.9}, draft.finish: {is: stop}}",
            "{draft.mean_logprob: {gte: -0.9}}",
            10,
            "accept[0].near_budget",
            "built like require",
        ),
        ("tokens: 24", "tokens: 0", 12, "early[0].tokens", "at least 1"),
        (
            "[device, cloud-fast], tok",
            "[device, device], tok",
            12,
            "early[0].on[1]",
            "is used twice",
        ),
        (
            "require: {draft.mean_logprob: {gte: -0.1}}}",
            "require: {draft.refusal: {is: false}}}",
            12,
            "early[0].require",
            "move it to accept",
        ),
        (
            "require: {draft.mean_logprob: {gte: -0.1}}}",
            "require: {draft.tokens: {gte: 9}}}",
            12,
            "early[0].require",
            "draft.tokens is known only of a whole draft",
        ),
        ("at_limit: refuse", "at_limit: refuses", 13, "limits.at_limit", "'refuse'?"),
        ("pace_from: 0.5", "pace_from: 1", 13, "limits.pace_from", "less than 1"),
        ("escalate: best_gain", "escalate: next", 15, "gain", "by escalate: best_gain only"),
        ("gain: {share: {cloud-fast: 0.5, ", "gain: {share: {", 15, "gain.share", "cloud-fast"),
        ("cloud-strong: 0.6", "cloud-string: 0.6", 15, "gain.share.cloud-string", "cloud-strong"),
        ("cloud-strong: 0.6", "cloud-strong: 1.6", 15, "gain.share.cloud-strong", "at most 1"),
        ("over_s: 2", "over_s: 0", 17, "race.over_s", "more than 0"),
        ("tier: cloud-fast", "tier: device", 18, "sample.tier", "stronger than the first"),
        ("tier: cloud-fast", "tier: cloud", 18, "sample.tier", "unknown tier 'cloud'"),
        ("internal", "private", 19, "default_label", "one of"),
        ("cheap", "some", 20, "record_signals", "one of"),
        ("request.tenant:", "tier.cloud.breaker:", 5, "", "unknown tier 'cloud'"),
    ],
)
def test_the_rest_of_a_wrong_document_is_told_where_and_what(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert REST.count(old) == 1

    error = wrong(REST.replace(old, new))

    assert error.line == line
    assert error.field == field or not field
    assert says in str(error)


def test_best_gain_without_gains_is_told_what_to_write() -> None:
    text = REST.replace("gain: {share: {cloud-fast: 0.5, cloud-strong: 0.6}", "").replace(
        ', second_usd: "0.001"}\n', "\n"
    )

    assert str(wrong(text)).endswith(
        "(gain: {share: {cloud-fast: 0.5, cloud-strong: 0.5}}, or gain: {from: labels})"
    )


def test_a_tier_has_one_early_commit() -> None:
    text = REST.replace(
        "limits:",
        "  - {on: [cloud-fast], tokens: 9, require: {draft.min_margin: {gt: 0.8}}}\nlimits:",
    )

    error = wrong(text)

    assert (error.line, error.field) == (13, "early[1].on[0]")
    assert "tier cloud-fast has an early commit already" in str(error)


def test_a_race_needs_somebody_to_race() -> None:
    text = 'policy: p\nsummary: s\ntiers: [device]\nrace: {over_s: 1, cost_usd: "1"}\n'

    assert "needs a second tier" in str(wrong(text))
