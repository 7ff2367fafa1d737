"""Guards, routes and requirements, one example each; the laws are in tests/properties."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal, Inexact, localcontext

import pytest

from router.policy import after, before
from router.policy.decide import early, pace
from router.policy.gain import Offer, ranked
from router.policy.predicates import All, Op
from router.policy.predicates import Test as OneTest
from router.policy.predicates import tests_in as all_tests
from router.policy.race import Raced, race
from router.policy.rules import (
    Early,
    Gain,
    Guard,
    Limits,
    Policy,
    Race,
    Requirement,
    Route,
    Sample,
)
from router.policy.sample import sampled
from router.signals.catalogue import AtMost, Value

TIERS = ("device", "cloud-fast", "cloud-strong")
HOME = Guard(
    "stays-home",
    OneTest("request.label", "in", ("pii", "secret")),
    frozenset({"cloud-fast", "cloud-strong"}),
)
LONG = Route("long", OneTest("prompt.tokens", "gt", 100), "cloud-fast")
VERY_LONG = Route("very-long", OneTest("prompt.tokens", "gt", 500), "cloud-strong")
SURE = Requirement("sure", frozenset({"device"}), OneTest("draft.mean_logprob", "gte", -0.3))
DONE = Requirement(
    "done", frozenset({"device", "cloud-fast"}), OneTest("draft.finish", "is", "stop")
)


def policy(
    *, guards: tuple[Guard, ...] = (HOME,), route: tuple[Route, ...] = (LONG, VERY_LONG)
) -> Policy:
    return Policy(
        name="p",
        revision="r",
        summary="s",
        tiers=TIERS,
        guards=guards,
        route=route,
        accept=(SURE, DONE),
    )


def of(tokens: Value = 10, label: Value = "public", **draft: Value) -> dict[str, Value]:
    named = {f"draft.{name}": value for name, value in draft.items()}
    return {"prompt.tokens": tokens, "request.label": label, **named}


def test_without_a_reason_the_walk_begins_at_the_first_tier() -> None:
    found = before(policy(), of())

    assert (found.start, found.because) == ("device", "the first tier")
    assert found.permitted == TIERS
    assert found.forbidden_by == ()
    assert [(c.kind, c.id, c.truth, c.effect) for c in found.checks] == [
        ("guard", "stays-home", False, ""),
        ("route", "long", False, ""),
        ("route", "very-long", False, ""),
    ]


def test_a_guard_forbids_and_says_what() -> None:
    found = before(policy(), of(label="secret"))

    assert found.permitted == ("device",)
    assert found.forbidden_by == ("stays-home",)
    assert found.checks[0].effect == "forbids cloud-fast, cloud-strong"


def test_the_first_route_that_matches_decides_and_the_rest_is_not_looked_at() -> None:
    found = before(policy(), of(tokens=900))

    assert (found.start, found.because) == ("cloud-fast", "route long")
    assert [c.id for c in found.checks] == ["stays-home", "long"]


def test_a_bound_that_says_enough_decides_a_route_and_one_that_does_not_is_unknown() -> None:
    assert before(policy(), of(tokens=AtMost(90))).checks[1].truth is False
    assert before(policy(), of(tokens=AtMost(900))).checks[1].truth is None
    assert before(policy(), of(tokens=AtMost(900))).start == "device"


@pytest.mark.parametrize(
    ("forbid", "wanted", "start", "because"),
    [
        ({"cloud-fast"}, "cloud-fast", "cloud-strong", "route r, cloud-fast is forbidden"),
        ({"cloud-fast", "cloud-strong"}, "cloud-fast", "device", "cloud-fast is forbidden"),
        ({"cloud-strong"}, "cloud-strong", "cloud-fast", "cloud-strong is forbidden"),
        ({"device"}, "device", "cloud-fast", "device is forbidden"),
        ({"device", "cloud-strong"}, "cloud-strong", "cloud-fast", "is forbidden"),
    ],
)
def test_where_the_start_is_forbidden_the_next_stronger_one_is_taken_or_else_the_strongest(
    forbid: set[str], wanted: str, start: str, because: str
) -> None:
    always = OneTest("prompt.turns", "gte", 1)
    found = before(
        policy(
            guards=(Guard("g", always, frozenset(forbid)),), route=(Route("r", always, wanted),)
        ),
        {"prompt.turns": 1},
    )

    assert found.start == start
    assert because in found.because


def test_when_everything_is_forbidden_there_is_no_start() -> None:
    guards = (HOME, Guard("all", OneTest("prompt.tokens", "gt", 5), frozenset({"device"})))

    found = before(policy(guards=guards), of(label="pii"))

    assert (found.start, found.permitted) == (None, ())
    assert found.forbidden_by == ("stays-home", "all")


def test_a_guard_that_can_not_tell_forbids() -> None:
    guards = (Guard("unsure", OneTest("prompt.tokens", "gt", 5), frozenset({"device"})),)

    found = before(policy(guards=guards), of(tokens=None))

    assert found.permitted == ("cloud-fast", "cloud-strong")
    assert (found.checks[0].truth, found.checks[0].effect) == (None, "forbids device")


def test_a_draft_that_meets_every_requirement_on_its_tier_is_accepted() -> None:
    found = after(policy(), "device", of(mean_logprob=-0.3, finish="stop"))

    assert found.accepted
    assert (found.failed, found.because) == ((), "")
    assert [c.id for c in found.checks] == ["sure", "done"]


def test_every_requirement_that_does_not_hold_is_named() -> None:
    found = after(policy(), "device", of(mean_logprob=-0.31, finish=None))

    assert not found.accepted
    assert found.failed == ("sure", "done")
    assert found.because == "sure does not hold"
    assert [(c.truth, c.effect) for c in found.checks] == [(False, "not kept"), (None, "not kept")]


def test_a_requirement_is_only_on_the_tiers_it_names() -> None:
    assert [c.id for c in after(policy(), "cloud-fast", of(finish="stop")).checks] == ["done"]
    assert after(policy(), "cloud-strong", of()).accepted


@pytest.mark.parametrize(
    ("op", "bound", "true", "false"),
    [
        ("gt", 5.0, 6, 5),
        ("gte", 5.0, 5, 4),
        ("lt", 5.0, 4, 5),
        ("lte", 5.0, 5, 6),
        ("is", 5.0, 5, 6),
        ("is_not", 5.0, 6, 5),
        ("is", "pii", "pii", "public"),
        ("is_not", "pii", "public", "pii"),
        ("in", ("pii", "secret"), "secret", "public"),
        ("not_in", ("pii", "secret"), "public", "secret"),
    ],
)
def test_each_comparison_means_what_it_says(
    op: Op, bound: float | str | tuple[str, ...], true: Value, false: Value
) -> None:
    test = OneTest("x", op, bound)

    assert test.truth({"x": true}) is True
    assert test.truth({"x": false}) is False
    assert test.truth({"x": None}) is None
    assert test.truth({}) is None


@pytest.mark.parametrize(
    ("op", "most", "truth"),
    [
        ("gt", 5, False),
        ("gt", 6, None),
        ("gte", 4, False),
        ("gte", 5, None),
        ("lt", 4, True),
        ("lt", 5, None),
        ("lte", 5, True),
        ("lte", 6, None),
        ("is", 4, False),
        ("is", 5, None),
        ("is_not", 4, True),
        ("is_not", 5, None),
    ],
)
def test_a_bound_decides_only_what_it_can(op: Op, most: float, truth: bool | None) -> None:
    assert OneTest("x", op, 5.0).truth({"x": AtMost(most)}) is truth


def test_what_is_no_predicate_has_no_tests() -> None:
    with pytest.raises(TypeError, match="not a predicate"):
        all_tests("draft.tokens")  # type: ignore[arg-type]


def test_limits_are_tightened_and_never_widened() -> None:
    limits = Limits(hops=3, deadline_s=10, cost_usd=Decimal(1))

    assert limits.tightened(None, None) == limits
    assert limits.tightened(5, Decimal(2)) == Limits(hops=3, deadline_s=5, cost_usd=Decimal(1))
    assert limits.tightened(50, Decimal(0)) == Limits(hops=3, deadline_s=10, cost_usd=Decimal(0))
    assert Limits().tightened(5, None) == Limits(deadline_s=5)


# Near the day's budget

BAR = OneTest("draft.mean_logprob", "gte", -0.4)
PACED = Policy(
    name="p",
    revision="r",
    summary="s",
    tiers=TIERS,
    accept=(
        Requirement("sure", frozenset({"device"}), BAR, OneTest("draft.mean_logprob", "gte", -1.4)),
    ),
    limits=Limits(day_usd=Decimal(1), pace_from=0.6),
)


@pytest.mark.parametrize(
    ("used", "share", "bar"),
    [
        (None, 0.0, -0.4),
        (0.0, 0.0, -0.4),
        (0.6, 0.0, -0.4),
        (0.62, 0.05, -0.45),
        (0.8, 0.5, -0.9),
        (1.0, 1.0, -1.4),
        (1.5, 1.0, -1.4),
    ],
)
def test_the_bar_comes_down_by_degrees_as_the_days_money_goes(
    used: float | None, share: float, bar: float
) -> None:
    signals = {**of(mean_logprob=-0.9), "world.budget_used": used}
    (check,) = after(PACED, "device", signals).checks

    assert pace(PACED, signals) == pytest.approx(share)
    assert isinstance(check.predicate, OneTest)
    assert check.predicate.bound == pytest.approx(bar)
    assert check.truth is (bar <= -0.9)


def test_when_all_is_spent_the_bar_is_exactly_the_loose_one() -> None:
    (check,) = after(PACED, "device", {**of(mean_logprob=-1.4), "world.budget_used": 1.0}).checks

    assert check.predicate == PACED.accept[0].near_budget
    assert check.truth is True


@pytest.mark.parametrize("used", [0.0, 0.8, 1.0])
def test_words_and_flags_beside_a_moving_bar_stay_as_they_are(used: float) -> None:
    still = (OneTest("draft.finish", "in", ("stop",)), OneTest("draft.refusal", "is", False))
    strict = All((BAR, *still))
    loose = All((OneTest("draft.mean_logprob", "gte", -1.4), *still))
    paced = replace(PACED, accept=(Requirement("sure", frozenset({"device"}), strict, loose),))
    signals = {**of(mean_logprob=-0.3, finish="stop", refusal=False), "world.budget_used": used}
    (check,) = after(paced, "device", signals).checks

    assert check.truth is True
    assert isinstance(check.predicate, All)
    assert check.predicate.parts[1:] == still
    assert after(paced, "device", {**signals, "draft.finish": "length"}).accepted is False


# Early commit


def test_an_early_commit_is_a_check_of_its_tier_and_only_true_shows_the_draft() -> None:
    quick = replace(PACED, early=(Early(frozenset({"device"}), 24, BAR),))
    checks = [early(quick, "device", of(mean_logprob=value)) for value in (-0.1, -0.9, None)]

    assert [(c.kind, c.id, c.truth, c.effect) for c in checks if c is not None] == [
        ("early", "device", True, "shown from token 24 on"),
        ("early", "device", False, "held to its end"),
        ("early", "device", None, "held to its end"),
    ]
    assert early(quick, "cloud-fast", of(mean_logprob=-0.1)) is None


# Races

RACING = replace(PACED, race=Race(over_s=2.0, cost_usd=Decimal("0.01")))


@pytest.mark.parametrize(
    ("signals", "permitted", "start", "expected"),
    [
        (
            {"device.end_s": 6.0, "prompt.escalation_chance": 0.5},
            TIERS,
            "device",
            Raced(
                "cloud-fast", "6 s of drafting x 0.5 chance of escalation = 3 s, over 2 s; at once"
            ),
        ),
        (
            {"device.end_s": 6.0, "prompt.escalation_chance": 0.5},
            ("device", "cloud-strong"),
            "device",
            Raced(
                "cloud-strong",
                "6 s of drafting x 0.5 chance of escalation = 3 s, over 2 s; at once",
            ),
        ),
        (
            {"device.end_s": 4.0, "prompt.escalation_chance": 0.5},
            TIERS,
            "device",
            Raced(
                None,
                "no race: 4 s of drafting x 0.5 chance of escalation = 2 s, not over 2 s",
            ),
        ),
        (
            {"prompt.escalation_chance": 0.5},
            TIERS,
            "device",
            Raced(None, "no race: device.end_s unknown"),
        ),
        (
            {"device.end_s": 6.0},
            TIERS,
            "device",
            Raced(None, "no race: prompt.escalation_chance unknown"),
        ),
        ({}, ("device",), "device", Raced(None, "no race: no stronger tier is permitted")),
        ({}, TIERS, "cloud-fast", Raced(None, "no race: the first tier is not asked")),
        ({}, (), None, Raced(None, "no race: the first tier is not asked")),
    ],
)
def test_who_is_raced_and_why(
    signals: dict[str, Value], permitted: tuple[str, ...], start: str | None, expected: Raced
) -> None:
    assert race(RACING, permitted, start, signals) == expected


def test_guards_come_before_a_race() -> None:
    raced = before(
        replace(RACING, guards=(HOME,)),
        {**of(label="secret"), "device.end_s": 60.0, "prompt.escalation_chance": 1.0},
    ).race

    assert raced == Raced(None, "no race: no stronger tier is permitted")


def test_a_race_without_a_bound_on_what_is_predicted_always_starts_and_says_when() -> None:
    policy = replace(RACING, race=Race(cost_usd=Decimal(1), after_s=3.0))

    assert race(policy, TIERS, "device", {}) == Raced(
        "cloud-fast", "whatever is predicted, after 3 s"
    )


# Which tier gains most

GAIN = Gain(share={"device": 0.0, "cloud-fast": 0.5, "cloud-strong": 0.6})
TIMED = replace(GAIN, second_usd=Decimal("0.01"))


Price = tuple[str | None, float | None]
"""Dollars and seconds."""


def offers(*, fast: Price, strong: Price) -> list[Offer]:
    pairs = (("cloud-fast", fast), ("cloud-strong", strong))
    return [Offer(t, None if usd is None else Decimal(usd), s) for t, (usd, s) in pairs]


@pytest.mark.parametrize(
    ("gain", "given", "order"),
    [
        (GAIN, offers(fast=("0.001", None), strong=("0.01", None)), ["fast", "strong"]),
        (GAIN, offers(fast=("0.01", None), strong=("0.001", None)), ["strong", "fast"]),
        (GAIN, offers(fast=(None, 1), strong=("9", 1)), ["strong", "fast"]),
        (GAIN, offers(fast=("0", None), strong=("0", None)), ["strong", "fast"]),
        (TIMED, offers(fast=("0.001", 9), strong=("0.002", 1)), ["strong", "fast"]),
        (TIMED, offers(fast=("0.001", 9), strong=("0.002", None)), ["fast", "strong"]),
    ],
)
def test_gain_is_weighed_against_dollars_and_seconds(
    gain: Gain, given: list[Offer], order: list[str]
) -> None:
    assert [tier.removeprefix("cloud-") for tier, _ in ranked(gain, given)] == order


def test_the_apps_own_decimal_context_changes_no_decision() -> None:
    gain = Gain(share={"cloud-fast": 0.5, "cloud-strong": 0.501}, second_usd=Decimal("0.013"))
    given = offers(fast=("0.001003", 3.3), strong=("0.001004", 3.3))
    order = ranked(gain, given)

    with localcontext(Context(prec=2, traps=[])):
        assert ranked(gain, given) == order
    with localcontext(Context(prec=5, traps=[Inexact])):
        assert ranked(gain, given) == order


def test_what_decided_between_tiers_is_said() -> None:
    told = dict(ranked(TIMED, offers(fast=("0.001", 2), strong=(None, 4))))

    assert told == {
        "cloud-fast": "gain 0.5 by share for $0.001 and 2 s",
        "cloud-strong": "gain 0.6 by share, its price is not known",
    }


# Samples


def test_a_sample_is_drawn_by_the_decisions_id_and_never_of_what_a_guard_touched() -> None:
    rule = Sample(share=0.25, tier="cloud-strong", day_usd=Decimal(1))
    drawing = replace(PACED, sample=rule, guards=(HOME,))
    free, guarded = before(drawing, of()), before(drawing, of(label="pii"))
    ids = [f"id-{n}" for n in range(400)]

    drawn = [sampled(drawing, free, "device", i) for i in ids]
    assert drawn == [sampled(drawing, free, "device", i) for i in ids]
    assert 60 <= sum(drawn) <= 140
    assert not any(sampled(drawing, guarded, "device", i) for i in ids)
    assert not any(sampled(drawing, free, "cloud-strong", i) for i in ids)
    assert not any(sampled(drawing, free, None, i) for i in ids)
    assert not any(sampled(PACED, free, "device", i) for i in ids)
