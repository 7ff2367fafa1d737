"""What would have changed a decision, one example each; the laws are in tests/properties."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from router.policy.counterfactual import ANOTHER_WORD, Flip, after_flips, before_flips, line
from router.policy.predicates import All, AnyOf, Not, Predicate
from router.policy.predicates import Test as OneTest
from router.policy.rules import Guard, Limits, Policy, Requirement, Route
from router.signals.catalogue import AtMost, Value

DEVICE = frozenset({"device"})
CLOUD = frozenset({"cloud"})
BASE = Policy(name="p", revision="r", summary="s", tiers=("device", "cloud"))


def accepting(require: Predicate, near_budget: Predicate | None = None) -> Policy:
    return replace(
        BASE,
        accept=(Requirement("sure", DEVICE, require, near_budget),),
        limits=Limits(day_usd=Decimal(1), pace_from=0.5),
    )


def routing(when: Predicate) -> Policy:
    return replace(BASE, route=(Route("high", when, "cloud"),))


def guarding(when: Predicate) -> Policy:
    return replace(BASE, guards=(Guard("home", when, CLOUD),))


def kept(policy: Policy, **signals: Value) -> Flip:
    """The one counterfactual of a draft, with signals named like ``mean_logprob``."""
    named: dict[str, Value] = {f"draft.{name}": value for name, value in signals.items()}
    (flip,) = after_flips(policy, "device", named)
    return flip


def test_a_draft_below_the_bar_would_have_been_kept_at_the_bar() -> None:
    flip = kept(accepting(OneTest("draft.mean_logprob", "gte", -0.3)), mean_logprob=-0.48)

    assert flip == Flip("draft.mean_logprob", -0.48, -0.3, "kept")
    assert line(flip) == "(kept had draft.mean_logprob been -0.3)"


def test_a_draft_above_the_bar_would_have_gone_on_just_below_it() -> None:
    flip = kept(accepting(OneTest("draft.mean_logprob", "gte", -0.3)), mean_logprob=-0.1)

    assert flip.value == math.nextafter(-0.3, -1)
    assert line(flip) == "(not kept had draft.mean_logprob been just under -0.3)"


def test_a_whole_number_stays_whole() -> None:
    flip = kept(accepting(OneTest("draft.tokens", "lt", 200.5)), tokens=450)

    assert flip == Flip("draft.tokens", 450, 200, "kept")
    assert isinstance(flip.value, int)


def test_the_nearer_of_two_sides_is_told_and_of_two_as_near_the_smaller() -> None:
    apart = accepting(
        AnyOf((OneTest("draft.tokens", "lte", 10.0), OneTest("draft.tokens", "gte", 20.0)))
    )

    assert kept(apart, tokens=13).value == 10
    assert kept(apart, tokens=18).value == 20
    assert kept(apart, tokens=15).value == 10


def test_none_is_said_only_when_no_value_of_that_signal_would_do() -> None:
    both = accepting(
        All((OneTest("draft.mean_logprob", "gte", -0.3), OneTest("draft.refusal", "is", False)))
    )
    signals: dict[str, Value] = {"draft.mean_logprob": -0.9, "draft.refusal": True}

    assert [flip.value for flip in after_flips(both, "device", signals)] == [None, None]
    assert line(after_flips(both, "device", signals)[1]) == (
        "(no other value of draft.refusal alone changes this)"
    )


@pytest.mark.parametrize(
    ("bar", "value"),
    [
        (OneTest("draft.mean_logprob", "gt", 0.0), -0.9),
        (OneTest("draft.tokens", "gte", 0.0), 5),
        (OneTest("draft.repetition", "lt", -1.0), 0.5),
    ],
)
def test_a_value_out_of_the_signals_range_is_never_told(bar: OneTest, value: float) -> None:
    (flip,) = after_flips(accepting(bar), "device", {bar.signal: value})

    assert flip.value is None


def test_an_unknown_number_would_have_been_at_the_bar() -> None:
    flip = kept(accepting(OneTest("draft.mean_logprob", "gte", -0.3)), mean_logprob=None)

    assert line(flip) == "(kept had draft.mean_logprob been -0.3)"


def test_an_unknown_number_that_any_value_would_settle_is_given_one_in_range() -> None:
    flip = kept(accepting(OneTest("draft.mean_logprob", "lte", 3.0)), mean_logprob=None)

    assert flip == Flip("draft.mean_logprob", None, 0, "kept")


def test_a_bound_would_have_had_to_be_a_number_the_nearest_to_it() -> None:
    (flip,) = before_flips(
        guarding(OneTest("prompt.tokens", "gt", 2000.0)), {"prompt.tokens": AtMost(2500)}
    )

    assert flip == Flip("prompt.tokens", AtMost(2500), 2000, "cloud permitted")


def test_a_bound_may_have_had_to_be_known_and_no_more() -> None:
    (flip,) = before_flips(
        routing(OneTest("prompt.tokens", "gt", 100.0)), {"prompt.tokens": AtMost(2500)}
    )

    assert (flip.value, flip.would) == (2500, "begun at cloud")


def test_a_word_would_have_been_the_first_other_one_that_does() -> None:
    home = guarding(OneTest("request.label", "in", ("pii", "secret")))

    (flip,) = before_flips(home, {"request.label": "public"})
    assert line(flip) == "(cloud forbidden had request.label been pii)"
    (flip,) = before_flips(home, {"request.label": "secret"})
    assert line(flip) == "(cloud permitted had request.label been public)"


def test_where_any_word_goes_one_that_the_policy_does_not_know_is_tried_too() -> None:
    only = guarding(OneTest("request.tenant", "not_in", ("acme", "")))

    (flip,) = before_flips(only, {"request.tenant": "acme"})
    assert (flip.value, flip.would) == (ANOTHER_WORD, "cloud forbidden")
    (flip,) = before_flips(only, {"request.tenant": "umbrella"})
    assert flip.value == "acme"


def test_a_word_that_looks_like_any_other_word_is_not_mistaken_for_it() -> None:
    only = guarding(OneTest("request.tags.team", "is", ANOTHER_WORD))

    (flip,) = before_flips(only, {"request.tags.team": ANOTHER_WORD})

    assert flip.value == ""


def test_a_flag_would_have_been_the_other() -> None:
    (flip,) = before_flips(routing(Not(OneTest("device.fits", "is", True))), {"device.fits": True})

    assert line(flip) == "(begun at cloud had device.fits been false)"


def test_a_rule_behind_the_one_that_decides_sets_the_bar_when_that_one_is_gone() -> None:
    policy = replace(
        BASE,
        route=(
            Route("long", OneTest("prompt.tokens", "gt", 100.0), "cloud"),
            Route("middling", OneTest("prompt.tokens", "gt", 50.0), "cloud"),
        ),
    )

    (flip,) = before_flips(policy, {"prompt.tokens": 120})

    assert (flip.value, flip.would) == (50, "begun at device")


def test_what_would_have_been_forbidden_altogether_is_said() -> None:
    policy = replace(
        BASE,
        guards=(Guard("none", OneTest("request.label", "is", "secret"), DEVICE | CLOUD),),
    )

    (flip,) = before_flips(policy, {"request.label": "public"})

    assert line(flip) == "(forbidden had request.label been secret)"


def test_more_of_the_budget_used_would_have_kept_the_draft() -> None:
    policy = accepting(
        OneTest("draft.mean_logprob", "gte", -0.4), OneTest("draft.mean_logprob", "gte", -1.4)
    )
    signals: dict[str, Value] = {"draft.mean_logprob": -0.9, "world.budget_used": 0.6}

    draft, budget = after_flips(policy, "device", signals)

    assert isinstance(draft.value, float)
    assert draft.value == pytest.approx(-0.6)
    assert isinstance(budget.value, float)
    assert budget.value == pytest.approx(0.75)
    assert (budget.signal, budget.would) == ("world.budget_used", "kept")


def test_a_bar_that_moves_but_never_far_enough_has_no_share_that_would_do() -> None:
    policy = accepting(
        OneTest("draft.mean_logprob", "gte", -0.4), OneTest("draft.mean_logprob", "gte", -1.4)
    )
    signals: dict[str, Value] = {"draft.mean_logprob": -2.0, "world.budget_used": 0.6}

    assert [flip.value for flip in after_flips(policy, "device", signals)][1] is None


def test_requirements_on_other_tiers_are_not_asked() -> None:
    policy = accepting(OneTest("draft.mean_logprob", "gte", -0.4))

    assert after_flips(policy, "cloud", {"draft.mean_logprob": -2.0}) == ()
    assert before_flips(policy, {}) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2001, "2001"),
        (-0.3, "-0.3"),
        (math.nextafter(0.5, 0), "just under 0.5"),
        (math.nextafter(0.5, 1), "just over 0.5"),
        (math.nextafter(3000.0, 9e9), "just over 3000"),
        (math.nextafter(0.0, 1), "just over 0"),
        (math.nextafter(0.0, -1), "just under 0"),
        (0.9181818181818182, "0.9181818181818182"),
        (0.123456, "0.123456"),
        (True, "true"),
        ("", "(empty)"),
    ],
)
def test_a_value_is_told_so_that_it_still_flips(value: Value, text: str) -> None:
    assert line(Flip("x", None, value, "kept")) == f"(kept had x been {text})"
