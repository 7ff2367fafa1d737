"""Guards, routes and requirements, one example each; the laws are in tests/properties."""

from __future__ import annotations

import pytest

from router.policy import after, before, rules
from router.policy.rules import Guard, Limits, Op, Policy, Requirement, Route
from router.signals.catalogue import AtMost, Value

TIERS = ("device", "cloud-fast", "cloud-strong")
HOME = Guard(
    "stays-home",
    rules.Test("request.label", "in", ("pii", "secret")),
    frozenset({"cloud-fast", "cloud-strong"}),
)
LONG = Route("long", rules.Test("prompt.tokens", "gt", 100), "cloud-fast")
VERY_LONG = Route("very-long", rules.Test("prompt.tokens", "gt", 500), "cloud-strong")
SURE = Requirement("sure", frozenset({"device"}), rules.Test("draft.mean_logprob", "gte", -0.3))
DONE = Requirement(
    "done", frozenset({"device", "cloud-fast"}), rules.Test("draft.finish", "is", "stop")
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
    always = rules.Test("prompt.turns", "gte", 1)
    found = before(
        policy(
            guards=(Guard("g", always, frozenset(forbid)),), route=(Route("r", always, wanted),)
        ),
        {"prompt.turns": 1},
    )

    assert found.start == start
    assert because in found.because


def test_when_everything_is_forbidden_there_is_no_start() -> None:
    guards = (HOME, Guard("all", rules.Test("prompt.tokens", "gt", 5), frozenset({"device"})))

    found = before(policy(guards=guards), of(label="pii"))

    assert (found.start, found.permitted) == (None, ())
    assert found.forbidden_by == ("stays-home", "all")


def test_a_guard_that_can_not_tell_forbids() -> None:
    guards = (Guard("unsure", rules.Test("prompt.tokens", "gt", 5), frozenset({"device"})),)

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
    test = rules.Test("x", op, bound)

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
    assert rules.Test("x", op, 5.0).truth({"x": AtMost(most)}) is truth


def test_what_is_no_predicate_has_no_tests() -> None:
    with pytest.raises(TypeError, match="not a predicate"):
        rules.tests_in("draft.tokens")  # type: ignore[arg-type]


def test_limits_are_tightened_and_never_widened() -> None:
    from decimal import Decimal

    limits = Limits(hops=3, deadline_s=10, cost_usd=Decimal(1))

    assert limits.tightened(None, None) == limits
    assert limits.tightened(5, Decimal(2)) == Limits(hops=3, deadline_s=5, cost_usd=Decimal(1))
    assert limits.tightened(50, Decimal(0)) == Limits(hops=3, deadline_s=10, cost_usd=Decimal(0))
    assert Limits().tightened(5, None) == Limits(deadline_s=5)
