"""`escalate: best_gain`: by what labels tell of each tier, by shares where they don't, or not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy import PolicyTrace
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.gain import Offer, ranked
from router.policy.lint import Served, lint
from router.policy.rules import Gain, Policy
from router.policy.schema import json_schema
from router.policy.simulate import Given, Played, Reply, simulate

HEAD = """\
policy: p
summary: s
tiers: [device, cheap, strong]
accept:
  - {id: sure, on: [device], require: {draft.confidence: {gte: 0.9}}}
"""
LABELS = HEAD + "escalate: best_gain\ngain: {from: labels}\n"
SHARES = HEAD + "escalate: best_gain\ngain: {share: {cheap: 0.9, strong: 0.1}}\n"
PRICES = {"cheap": Decimal("0.001"), "strong": Decimal("0.02")}
SURE = Reply(signals={"draft.confidence": 1.0})


def built(text: str) -> Policy:
    return build(parse_yaml(text, "p.yaml", kind=PolicyError), "r")


def doubted(**gains: float | None) -> Reply:
    of_tiers = {f"draft.gain.{tier}": gain for tier, gain in gains.items()}
    return Reply(signals={"draft.confidence": 0.4, **of_tiers})


def played(text: str, draft: Reply) -> Played:
    replies = {"device": draft, "cheap": SURE, "strong": SURE}
    return simulate(built(text), Given(replies=replies, prices=PRICES))


def lines(found: Played) -> str:
    return "\n".join(PolicyTrace(found.entries).lines(()))


@pytest.mark.parametrize("policy", [LABELS, SHARES])
@pytest.mark.parametrize(
    ("gains", "path"),
    [
        ({"cheap": 0.4, "strong": 0.5}, ("device", "cheap")),
        ({"cheap": 0.01, "strong": 0.5}, ("device", "strong")),
        ({"cheap": 0.0, "strong": 0.001}, ("device", "strong")),
        ({"cheap": -0.3, "strong": 0.001}, ("device", "strong")),
    ],
)
def test_a_draft_s_own_estimates_choose_the_tier(
    policy: str, gains: dict[str, float], path: tuple[str, ...]
) -> None:
    found = played(policy, doubted(**gains))

    assert found.path == path
    assert f"best_gain: {path[1]} gain {gains[path[1]]:.3g} by labels" in lines(found)
    assert "by share" not in lines(found)


def test_a_draft_that_nobody_would_better_is_still_sent_on_and_to_who_spoils_least() -> None:
    """Whether a draft is kept is for `accept` to say."""
    found = played(LABELS, doubted(cheap=-0.2, strong=-0.1))

    assert found.path == ("device", "strong")


@pytest.mark.parametrize("gains", [{}, {"cheap": None, "strong": 0.9}, {"strong": 0.9}])
def test_where_labels_don_t_tell_of_all_the_shares_decide_for_all(
    gains: dict[str, float | None],
) -> None:
    found = played(SHARES, doubted(**gains))

    assert found.path == ("device", "cheap")
    assert "cheap gain 0.9 by share" in lines(found)
    assert "strong gain 0.1 by share" in lines(found)
    assert ("as no labels tell of cheap" in lines(found)) is bool(gains)


def test_with_neither_the_next_tier_is_asked_and_the_trace_says_of_whom_nobody_tells() -> None:
    found = played(LABELS, doubted(cheap=0.0001, strong=None))

    assert found.path == ("device", "cheap")
    note = "best_gain: no labels tell what strong gains, so the next tier is asked"
    assert note in lines(found)


def test_a_draft_that_failed_tells_nothing_so_shares_decide() -> None:
    found = played(SHARES, Reply(signals={}, fails="unavailable"))

    assert found.path == ("device", "cheap")


def test_seconds_count_beside_dollars() -> None:
    gain = Gain(second_usd=Decimal("0.01"))
    given = [
        Offer("cheap", Decimal("0.001"), 9.0, 0.3),
        Offer("strong", Decimal("0.02"), 1.0, 0.35),
    ]

    (first, why), _ = ranked(gain, given)

    assert (first, why) == ("strong", "gain 0.35 by labels for $0.02 and 1 s")


@pytest.mark.parametrize(
    ("gain", "field", "says"),
    [
        ("{}", "gain", "neither what each tier gains nor who tells"),
        ('{second_usd: "0.1"}', "gain", "neither what each tier gains nor who tells"),
        ("{from: guesses}", "gain.from", "guesses"),
        ("{share: {cheap: 0.5}}", "gain.share", "no share for strong"),
        ("{from: labels, share: {cheap: 0.5, weak: 0.5}}", "gain.share.weak", "unknown tier"),
    ],
)
def test_a_gain_that_says_too_little_is_refused(gain: str, field: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        built(f"{HEAD}escalate: best_gain\ngain: {gain}\n")
    assert caught.value.field == field


def test_a_share_may_stand_beside_from_and_holds_where_labels_don_t_tell() -> None:
    text = SHARES.replace("gain: {share", "gain: {from: labels, share")

    assert played(text, doubted()).path == ("device", "cheap")
    assert "cheap gain 0.9 by share" in lines(played(text, doubted()))


def test_only_a_policy_that_has_somebody_to_weigh_asks_for_the_estimates() -> None:
    asked = {"draft.confidence", "draft.gain.cheap", "draft.gain.strong"}
    two = "escalate: best_gain\ngain: {from: labels}\n"

    assert built(LABELS).signals() == asked
    assert built(HEAD).signals() == {"draft.confidence"}
    assert built(HEAD.replace(", strong", "") + two).signals() == {"draft.confidence"}


def test_a_rule_may_ask_what_one_tier_adds_to_the_answer_of_another() -> None:
    """All gains are measured then, as the one is the difference of two."""
    rule = "  - {id: enough, on: [cheap], require: {draft.gain.strong: {lt: 0.05}}}\n"
    policy = built(HEAD + rule)

    assert {"draft.gain.cheap", "draft.gain.strong"} <= policy.signals()
    enough = Reply(signals={"draft.confidence": None, "draft.gain.strong": 0.01})
    replies = {"device": doubted(), "cheap": enough, "strong": SURE}
    found = simulate(policy, Given(replies=replies, prices=PRICES))
    assert (found.path, found.answer) == (("device", "cheap"), "cheap")


def test_a_signal_of_a_tier_that_the_policy_lacks_is_an_error() -> None:
    for name in ("draft.gain.weak", "draft.tier_good.weak"):
        with pytest.raises(PolicyError, match="unknown tier 'weak'"):
            built(HEAD.replace("draft.confidence", name))
    case = "cases:\n  - {name: n, drafts: {device: {draft.gain.weak: 0.1}}, expect: {path: []}}\n"
    with pytest.raises(PolicyError, match="weak"):
        build_cases(parse_yaml(case, "p.test.yaml", kind=PolicyError), built(LABELS))


DARK = frozenset(("draft.gain.cheap", "draft.gain.strong"))


def warned(text: str, served: Served) -> list[str]:
    document = parse_yaml(text, "p.yaml", kind=PolicyError)
    found = lint(document, build(document, "r"), served)
    return [str(one) for one in found if (one.field or "").startswith("gain")]


def served(dark: frozenset[str], *, calibrated: bool) -> Served:
    tiers = {tier: (tier,) for tier in ("device", "cheap", "strong")}
    return Served(tiers=tiers, lacking={"": dark} if dark else {}, calibrated=calibrated)


def test_the_linter_says_who_is_missing_to_tell() -> None:
    (none,) = warned(LABELS, served(DARK, calibrated=False))
    (silent,) = warned(LABELS, served(frozenset({"draft.gain.strong"}), calibrated=True))
    (partly,) = warned(SHARES, served(frozenset({"draft.gain.strong"}), calibrated=True))

    assert "no calibration file" in none
    assert "what cheap, strong gains, and there is no share" in none
    assert "too few labels of the calibration file tell what strong gains" in silent
    assert "tells of cheap, not of strong" in partly


def test_the_linter_is_quiet_where_all_is_told_or_shares_hold() -> None:
    assert warned(LABELS, served(frozenset(), calibrated=True)) == []
    assert warned(SHARES, served(frozenset(), calibrated=True)) == []
    assert warned(SHARES, served(DARK, calibrated=False)) == []


@pytest.mark.parametrize(
    ("gain", "fits"),
    [
        ({"from": "labels"}, True),
        ({"from": "labels", "second_usd": "0.001"}, True),
        ({"share": {"cheap": 0.5, "strong": 0.6}}, True),
        ({"from": "guesses"}, False),
        ({"source": "labels"}, False),
    ],
)
def test_an_editor_is_told_the_same(gain: dict[str, object], fits: bool) -> None:
    written = {
        "policy": "p",
        "summary": "s",
        "tiers": ["device", "cheap", "strong"],
        "accept": [
            {"id": "a", "on": ["cheap"], "require": {"draft.gain.strong": {"lt": 0.1}}},
        ],
        "escalate": "best_gain",
        "gain": gain,
    }

    assert Draft202012Validator(json_schema()).is_valid(written) is fits
