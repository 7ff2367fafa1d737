"""A starter bar in a certified bar's place while nothing is calibrated; the mark of a draft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.street import Street, says

from router.document import parse_yaml
from router.errors import PolicyError, Unavailable
from router.hops import Outcome
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.counterfactual import after_flips
from router.policy.decide import after
from router.policy.lint import Served, lint
from router.policy.load import load
from router.policy.replay import replay
from router.policy.rules import Policy
from router.policy.selftest import selftest
from router.recorded import Recorded, RecordedHop
from router.signals.catalogue import Value

POLICIES = Path(__file__).parents[3] / "policies"
TEXT = """\
policy: p
summary: s
tiers: [device, cloud]
accept:
  - id: sure
    on: [device]
    require: {draft.certified: {is: true}}
    until_certified: {draft.mean_logprob: {gte: -0.3}}
"""
NEAR = (
    "    near_budget: {draft.mean_logprob: {gte: -1.3}}\nlimits: {day_usd: '1', pace_from: 0.5}\n"
)


def policy(text: str = TEXT) -> Policy:
    return build(parse_yaml(text, "p.yaml"), "0" * 12)


def signals(
    calibrated: bool | None, certified: bool | None, mean: float | None
) -> dict[str, Value]:
    return {
        "world.calibrated": calibrated,
        "draft.certified": certified,
        "draft.mean_logprob": mean,
    }


@pytest.mark.parametrize(
    ("calibrated", "certified", "mean", "kept", "mark"),
    [
        (False, None, -0.1, True, False),
        (False, None, -0.9, False, False),
        (False, None, None, False, False),
        (True, True, -0.9, True, True),
        (True, False, -0.1, False, False),
        (True, None, -0.1, False, False),  # a refused file: the starter does not step in
        (None, None, -0.1, False, False),  # nor where nobody knows
    ],
)
def test_which_bar_is_held_hangs_on_whether_a_calibration_is_configured(
    calibrated: bool | None, certified: bool | None, mean: float | None, kept: bool, mark: bool
) -> None:
    found = after(policy(), "device", signals(calibrated, certified, mean))

    assert (found.accepted, found.certified) == (kept, mark)


def test_the_trace_says_uncertified_where_the_starter_holds_and_only_there() -> None:
    def effect(*of: object) -> str:
        (check,) = after(policy(), "device", signals(*of)).checks  # type: ignore[arg-type]
        return check.effect

    assert effect(False, None, -0.1) == "uncertified"
    assert effect(False, None, -0.9) == "not kept"
    assert effect(True, True, -0.9) == ""


@pytest.mark.parametrize(
    ("require", "mark"),
    [
        ("{draft.certified: {is: true}, draft.finish: {is: stop}}", True),
        ("{all: [{draft.certified: {is: true}}, {draft.finish: {is: stop}}]}", True),
        ("{any: [{draft.certified: {is: true}}, {draft.finish: {is: stop}}]}", False),
        ("{not: {draft.certified: {is: false}}}", False),
        ("{draft.confidence_low: {gte: 0.9}}", False),
    ],
)
def test_only_what_cannot_be_kept_without_a_certificate_is_certified(
    require: str, mark: bool
) -> None:
    text = TEXT.replace("{draft.certified: {is: true}}", require)
    of = signals(True, True, -0.1) | {"draft.finish": "stop", "draft.confidence_low": 0.95}

    found = after(policy(text), "device", of)

    assert (found.accepted, found.certified) == (True, mark)


def test_one_requirement_that_demands_it_certifies_and_one_that_fails_keeps_nothing() -> None:
    more = "  - {id: whole, on: [device], require: {draft.finish: {is: stop}}}\n"
    both = policy(TEXT + more)

    stopped, cut = (
        after(both, "device", signals(True, True, -0.1) | {"draft.finish": finish})
        for finish in ("stop", "length")
    )

    assert (stopped.accepted, stopped.certified) == (True, True)
    assert (cut.accepted, cut.certified) == (False, False)


def test_near_the_budget_the_starter_moves_and_the_certified_bar_stays() -> None:
    near = policy(TEXT + NEAR)
    spent = {"world.budget_used": 1.0}

    assert after(near, "device", signals(False, None, -1.2) | spent).accepted
    assert not after(near, "device", signals(False, None, -1.2)).accepted
    assert not after(near, "device", signals(True, False, -0.1) | spent).accepted
    assert near.signals() >= {"world.budget_used", "world.calibrated", "draft.certified"}


def test_a_bar_on_the_confidence_itself_may_move_too() -> None:
    text = (TEXT + NEAR).replace("{draft.certified: {is: true}}", "{draft.confidence: {gte: 0.8}}")
    near = policy(
        text.replace("{draft.mean_logprob: {gte: -1.3}}", "{draft.confidence: {gte: 0.4}}")
    )
    of = signals(True, None, None) | {"draft.confidence": 0.5}

    assert not after(near, "device", of).accepted
    assert after(near, "device", of | {"world.budget_used": 1.0}).accepted
    assert not after(
        near, "device", signals(False, None, -1.2) | {"world.budget_used": 1.0}
    ).accepted


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "require: {draft.certified: {is: true}}",
            "require: {draft.mean_logprob: {gte: -0.2}}",
            "needs no calibration",
        ),
        (
            "{draft.mean_logprob: {gte: -0.3}}",
            "{draft.confidence: {gte: 0.5}}",
            "draft.confidence is unknown until there is a calibration",
        ),
        ("{draft.mean_logprob: {gte: -0.3}}", "{draft.mean_logprub: {gte: 1}}", "unknown signal"),
    ],
)
def test_a_starter_stands_only_where_one_is_needed(old: str, new: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        policy(TEXT.replace(old, new))

    assert "accept[0].until_certified" in str(caught.value)


def test_a_near_budget_like_neither_bar_is_refused() -> None:
    with pytest.raises(PolicyError, match="built like require"):
        policy(TEXT + NEAR.replace("mean_logprob", "min_logprob"))


BARE = "".join(line for line in TEXT.splitlines(True) if "until" not in line)


@pytest.mark.parametrize(
    ("text", "served", "says"),
    [
        (TEXT, Served(lacking={"": frozenset({"draft.certified"})}), []),
        (
            BARE,
            Served(lacking={"": frozenset({"draft.certified"})}),
            ["draft.certified can't be known without a calibration file"],
        ),
        (TEXT, Served(lacking={"device": frozenset({"draft.mean_logprob"})}, calibrated=True), []),
        (
            TEXT,
            Served(lacking={"device": frozenset({"draft.mean_logprob"})}),
            ["no target of device produces draft.mean_logprob, so no draft of device is ever kept"],
        ),
        (
            TEXT,
            Served(lacking={"device": frozenset({"draft.certified"})}, calibrated=True),
            ["no target of device produces draft.certified, so no draft of device is ever kept"],
        ),
    ],
)
def test_the_linter_looks_at_the_bar_that_is_held_under_the_config(
    text: str, served: Served, says: list[str]
) -> None:
    tiers = {"device": ("d",), "cloud": ("c",)}
    document = parse_yaml(text, "p.yaml")
    found = lint(document, build(document, "0" * 12), replace(served, tiers=tiers))

    assert len(found) == len(says)
    for warning, expected in zip(found, says, strict=True):
        assert expected in warning.message


def test_a_starter_that_nothing_can_reach_is_odd() -> None:
    document = parse_yaml(TEXT.replace("gte: -0.3", "gte: 0.3"), "p.yaml")
    found = lint(document, build(document, "0" * 12), None)

    assert any("accept[0].until_certified" in str(warning) for warning in found)


def test_had_there_been_a_calibration_is_among_what_would_change_it() -> None:
    flips = {f.signal: f for f in after_flips(policy(), "device", signals(False, None, -0.1))}

    assert flips["world.calibrated"].value is True
    assert flips["world.calibrated"].would == "not kept"
    assert flips["draft.mean_logprob"].would == "not kept"
    other = {f.signal: f for f in after_flips(policy(), "device", signals(True, False, -0.1))}
    assert (other["world.calibrated"].value, other["world.calibrated"].would) == (False, "kept")
    assert (other["draft.certified"].value, other["draft.certified"].would) == (True, "kept")


def request(of: dict[str, Value], drafted: dict[str, Value]) -> Recorded:
    device = RecordedHop(target="d", tier="device", status="answered", signals=drafted, seconds=1.0)
    cloud = RecordedHop(target="c", tier="cloud", status="answered", seconds=1.0)
    return Recorded(decision_id="x", signals=of, hops=(device, cloud))


@pytest.mark.parametrize(
    ("of", "drafted", "path", "missing"),
    [
        ({"world.calibrated": False}, {"draft.mean_logprob": -0.1}, ("device",), set()),
        ({"world.calibrated": False}, {"draft.mean_logprob": -0.9}, ("device", "cloud"), set()),
        ({"world.calibrated": True}, {"draft.certified": True}, ("device",), set()),
        ({"world.calibrated": True}, {"draft.mean_logprob": -0.1}, None, {"draft.certified"}),
        ({}, {"draft.mean_logprob": -0.1, "draft.certified": True}, ("device",), set()),
        ({}, {"draft.mean_logprob": -0.9, "draft.certified": None}, ("device", "cloud"), set()),
        (
            {},
            {"draft.mean_logprob": -0.1, "draft.certified": False},
            None,
            {"world.calibrated"},
        ),
        (
            {},
            {"draft.mean_logprob": -0.1},
            None,
            {"world.calibrated", "draft.certified"},
        ),
    ],
)
def test_a_replay_knows_which_bar_was_held_or_says_that_it_does_not(
    of: dict[str, Value],
    drafted: dict[str, Value],
    path: tuple[str, ...] | None,
    missing: set[str],
) -> None:
    found = replay(policy(), request(of, drafted))

    assert set(found.missing) == missing
    if path is not None:
        assert found.path == path


def test_a_case_can_expect_the_mark() -> None:
    text = """\
cases:
  - name: starter
    drafts: {device: {draft.mean_logprob: -0.1}}
    expect: {path: [device], certified: false}
  - name: certified
    given: {world.calibrated: true}
    drafts: {device: {draft.certified: true}}
    expect: {path: [device], certified: true}
  - name: last tier
    drafts: {device: {draft.mean_logprob: -0.9}, cloud: {}}
    expect: {path: [device, cloud], certified: none}
  - name: wrong
    drafts: {device: {draft.mean_logprob: -0.1}}
    expect: {path: [device], certified: true}
"""
    held = policy()
    report = selftest(held, build_cases(parse_yaml(text, "p.test.yaml"), held))

    assert [str(f).partition(": ")[2] for f in report.failures] == ["certified is False, not True"]


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_shipped_policy_keeps_a_draft_by_a_raw_signal_once_there_is_a_calibration(
    path: Path,
) -> None:
    if path.stem.endswith(".test"):
        return
    for requirement in load(path).accept:
        spoken = str(requirement.require)
        assert "logprob" not in spoken, requirement.id


# The mark at the end of the street


def ran(held: Policy, *plays: object) -> Outcome:
    street = Street()
    for name, play in zip(("device", "cloud"), plays, strict=False):
        street.add(name, name, play)  # type: ignore[arg-type]
    return street.run(held).answer


SURE, UNSURE = says("I am sure of it"), says("I guess it may be so", logprob=-2.0)


def test_on_the_first_day_a_kept_draft_is_uncertified_and_the_last_tier_has_no_mark() -> None:
    kept, escalated = ran(policy(), SURE, SURE), ran(policy(), UNSURE, SURE)

    assert kept.certified is False
    assert kept.signals == {"world.calibrated": False}
    assert escalated.certified is None
    assert any("uncertified" in line for line in kept.trace.lines(kept.hops))
    assert not any("certified" in line for line in escalated.trace.lines(escalated.hops))


def test_a_draft_given_back_for_want_of_better_has_no_mark() -> None:
    found = ran(policy(), UNSURE, [Unavailable("down", retryable=False)])

    assert found.flags == ("uncertain",)
    assert found.certified is None


def test_a_last_tier_is_shown_whatever_holds_so_its_starter_says_nothing() -> None:
    alone = replace(policy(), tiers=("device",))
    found = ran(alone, SURE)

    assert found.certified is None
    assert not any("uncertified" in line for line in found.trace.lines(found.hops))


def test_what_was_shown_early_was_certified_by_nobody() -> None:
    early = "early:\n  - {on: [device], tokens: 2, require: {draft.mean_logprob: {gte: -0.2}}}\n"

    assert ran(policy(TEXT + early), SURE, SURE).certified is False
