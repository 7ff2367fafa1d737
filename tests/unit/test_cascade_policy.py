"""The walk under what else a policy may say: gain, loops, ability, speed, the day's dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from router.cascade import Call, Rung, Seen, Verdict, walk
from router.policy import before, predicates
from router.policy.rules import Gain, Guard, Limits, Policy, Race, Requirement, Route
from router.policy.trace import Entry, Note

TIERS = ("device", "cloud-fast", "cloud-strong")
POLICY = Policy(
    name="p",
    revision="r",
    summary="s",
    tiers=TIERS,
    guards=(
        Guard(
            "stays-home",
            predicates.Test("request.label", "is", "secret"),
            frozenset({"cloud-fast", "cloud-strong"}),
        ),
    ),
    accept=(
        Requirement(
            "sure",
            frozenset({"device", "cloud-fast"}),
            predicates.Test("draft.mean_logprob", "gte", -0.3),
        ),
    ),
)
CENT = Decimal("0.01")
RUNGS = {tier: (Rung(tier, tier, CENT),) for tier in TIERS}
SURE = Seen(signals={"draft.mean_logprob": -0.1}, returnable=True)
UNSURE = Seen(signals={"draft.mean_logprob": -2.0}, returnable=True)
FAILED = Seen(failure="unavailable")


def walked(
    *seen: Seen,
    policy: Policy = POLICY,
    rungs: Mapping[str, tuple[Rung, ...]] = RUNGS,
    label: str = "public",
    stay: str | None = None,
    day_left_usd: Decimal | None = None,
) -> tuple[list[Call], Verdict]:
    """Send `seen` one after another; the walk has to want exactly that many."""
    first = before(policy, {"request.label": label})
    steps = walk(policy, first, rungs, policy.limits, stay=stay, day_left_usd=day_left_usd)
    calls: list[Call] = []
    waiting = list(seen)
    try:
        calls.append(next(steps))
        while True:
            calls.append(steps.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, "the walk ended before everything was seen"
        verdict: Verdict = stop.value
        return calls, verdict


def tiers(calls: list[Call]) -> list[str]:
    return [call.tier for call in calls]


def notes(verdict: Verdict) -> str:
    return "\n".join(entry.text for entry in verdict.entries if isinstance(entry, Note))


# best_gain


def gaining(fast: float, strong: float, second_usd: str = "0") -> Policy:
    shares = {"device": 0.0, "cloud-fast": fast, "cloud-strong": strong}
    gain = Gain(share=shares, second_usd=Decimal(second_usd))
    return replace(POLICY, escalate="best_gain", gain=gain)


def test_the_tier_that_gains_most_for_its_dollars_is_next() -> None:
    rungs = {**RUNGS, "cloud-strong": (Rung("cloud-strong", "cloud-strong", Decimal("0.015")),)}

    calls, _ = walked(UNSURE, SURE, policy=gaining(0.2, 0.6), rungs=rungs)

    assert tiers(calls) == ["device", "cloud-strong"]
    assert calls[1].commits
    assert calls[1].because.endswith("cloud-strong: gain 0.6 by share for $0.015")


def test_a_strong_tier_that_fails_leaves_the_weaker_one_to_answer() -> None:
    calls, verdict = walked(UNSURE, FAILED, UNSURE, policy=gaining(0.1, 0.9))

    assert tiers(calls) == ["device", "cloud-strong", "cloud-fast"]
    assert [call.commits for call in calls] == [False, True, True]
    assert verdict.answered_by == 2


def test_a_second_of_waiting_has_its_price() -> None:
    rungs = {
        "device": RUNGS["device"],
        "cloud-fast": (Rung("cloud-fast", "cloud-fast", CENT, expected_s=1.0),),
        "cloud-strong": (Rung("cloud-strong", "cloud-strong", CENT, expected_s=9.0),),
    }

    patient, _ = walked(UNSURE, SURE, policy=gaining(0.5, 0.6), rungs=rungs)
    hasty, _ = walked(UNSURE, SURE, policy=gaining(0.5, 0.6, "0.01"), rungs=rungs)

    assert tiers(patient) == ["device", "cloud-strong"]
    assert tiers(hasty) == ["device", "cloud-fast"]


def test_a_tier_whose_price_nobody_knows_comes_last() -> None:
    rungs = {**RUNGS, "cloud-fast": (Rung("cloud-fast", "cloud-fast", None),)}

    calls, _ = walked(UNSURE, SURE, policy=gaining(0.9, 0.1), rungs=rungs)

    assert tiers(calls) == ["device", "cloud-strong"]


def test_seconds_not_known_for_all_count_for_nobody() -> None:
    rungs = {**RUNGS, "cloud-fast": (Rung("cloud-fast", "cloud-fast", CENT, expected_s=100.0),)}

    calls, _ = walked(UNSURE, SURE, policy=gaining(0.6, 0.5, "1"), rungs=rungs)

    assert tiers(calls) == ["device", "cloud-fast"]
    assert "seconds not known for all" in calls[1].because


# Tool loops


def test_a_loop_stays_with_its_target_and_is_shown_as_it_comes() -> None:
    calls, verdict = walked(UNSURE, stay="cloud-fast")

    (call,) = calls
    assert (call.target, call.cause, call.commits) == ("cloud-fast", "loop", True)
    assert verdict.flags == ("uncertain",)


def test_a_loop_whose_target_fails_falls_back_and_never_asks_it_again() -> None:
    calls, _ = walked(FAILED, UNSURE, SURE, stay="cloud-fast")

    assert [(c.target, c.cause) for c in calls] == [
        ("cloud-fast", "loop"),
        ("device", "fallback"),
        ("cloud-strong", "escalation"),
    ]


def test_when_the_strongest_left_a_loop_the_one_below_it_commits() -> None:
    calls, verdict = walked(FAILED, UNSURE, UNSURE, stay="cloud-strong")

    assert tiers(calls) == ["cloud-strong", "device", "cloud-fast"]
    assert [call.commits for call in calls] == [True, False, True]
    assert verdict.answered_by == 2


def test_a_guard_takes_a_loop_away_at_once() -> None:
    calls, verdict = walked(SURE, stay="cloud-fast", label="secret")

    assert [(c.target, c.cause) for c in calls] == [("device", "start")]
    assert "the tool loop leaves cloud-fast" in notes(verdict)


def test_a_loop_with_a_target_that_is_gone_decides_afresh() -> None:
    calls, _ = walked(SURE, stay="somebody-else")

    assert [(c.target, c.cause) for c in calls] == [("device", "start")]


# Ability, speed, the form asked for


def test_who_can_not_is_skipped_and_noted() -> None:
    blind = Rung("device", "device", CENT, unable="it takes no images")
    calls, verdict = walked(SURE, rungs={**RUNGS, "device": (blind,)})

    assert tiers(calls) == ["cloud-fast"]
    assert "device skipped: it takes no images" in notes(verdict)


def test_a_target_that_would_come_too_late_is_passed_over() -> None:
    slow = Rung("cloud-fast", "cloud-fast", CENT, expected_s=9.0)
    quick = Rung("cloud-strong", "cloud-strong", CENT, expected_s=2.0)
    policy = replace(POLICY, limits=Limits(deadline_s=5.0))

    calls, verdict = walked(
        replace(UNSURE, elapsed_s=1.0),
        SURE,
        policy=policy,
        rungs={**RUNGS, "cloud-fast": (slow,), "cloud-strong": (quick,)},
    )

    assert tiers(calls) == ["device", "cloud-strong"]
    assert "cloud-fast needs about 9.00 s, 4.00 s of 5 s are left" in notes(verdict)


def test_where_the_walk_begins_is_the_routes_say_however_slow() -> None:
    slow = Rung("device", "device", CENT, expected_s=9.0)
    policy = replace(POLICY, limits=Limits(deadline_s=5.0))

    calls, _ = walked(SURE, policy=policy, rungs={**RUNGS, "device": (slow,)})

    assert tiers(calls) == ["device"]


def test_a_refusal_is_not_given_back_for_want_of_better() -> None:
    refusal = replace(UNSURE, presentable=False)
    policy = replace(POLICY, limits=Limits(hops=1))

    _, verdict = walked(refusal, policy=policy)

    assert (verdict.status, verdict.answered_by) == ("limit_reached", None)
    assert "is a refusal or breaks the form" in notes(verdict)


def test_a_policy_may_refuse_at_a_limit() -> None:
    _, given = walked(UNSURE, policy=replace(POLICY, limits=Limits(hops=1)))
    _, refused = walked(UNSURE, policy=replace(POLICY, limits=Limits(hops=1, at_limit="refuse")))

    assert (given.status, given.answered_by) == ("answered", 0)
    assert (refused.status, refused.answered_by) == ("limit_reached", None)


# The day's dollars


def test_a_call_has_to_fit_what_is_left_of_the_day() -> None:
    policy = replace(POLICY, limits=Limits(day_usd=Decimal(1)))
    left = Decimal("0.015")

    calls, verdict = walked(
        replace(UNSURE, day_left_usd=Decimal("0.005")), policy=policy, day_left_usd=left
    )

    assert tiers(calls) == ["device"]
    assert verdict.flags == ("uncertain", "limit:day_usd")
    assert "$0.005 of the day's $1 is left" in notes(verdict)


def test_the_draft_goes_along_only_where_the_policy_says_so() -> None:
    alone, _ = walked(UNSURE, SURE)
    along, _ = walked(UNSURE, UNSURE, SURE, policy=replace(POLICY, attach_draft=True))

    assert [call.draft for call in alone] == [None, None]
    assert [call.draft for call in along] == [None, 0, 1]


# Below the start, and races


STARTS_HIGH = replace(
    POLICY,
    route=(Route("high", predicates.Test("request.label", "is", "public"), "cloud-fast"),),
)


def test_when_nobody_from_the_start_up_answers_the_walk_comes_down() -> None:
    calls, verdict = walked(FAILED, FAILED, UNSURE, policy=STARTS_HIGH)

    assert [(c.tier, c.cause, c.commits) for c in calls] == [
        ("cloud-fast", "start", False),
        ("cloud-strong", "fallback", True),
        ("device", "fallback", True),
    ]
    assert (verdict.status, verdict.answered_by) == ("answered", 2)
    assert verdict.flags == ("uncertain",)


def test_a_draft_to_give_back_is_reason_enough_not_to_come_down() -> None:
    calls, verdict = walked(UNSURE, FAILED, policy=STARTS_HIGH)

    assert tiers(calls) == ["cloud-fast", "cloud-strong"]
    assert verdict.answered_by == 0


def test_a_start_that_nobody_can_afford_comes_down_too() -> None:
    dear = replace(STARTS_HIGH, limits=Limits(cost_usd=Decimal("0.001")))
    free = {**RUNGS, "device": (Rung("device", "device", Decimal(0)),)}

    calls, _ = walked(SURE, policy=dear, rungs=free)

    assert [(c.tier, c.cause) for c in calls] == [("device", "start")]


def test_a_race_keeps_within_its_dollars_and_is_no_matter_for_a_loop() -> None:
    slow = {
        "request.label": "public",
        "device.end_s": 10.0,
        "prompt.escalation_chance": 0.5,
        "draft.mean_logprob": -0.1,
    }

    def said(cost_usd: str, stay: str | None = None) -> str:
        policy = replace(POLICY, race=Race(over_s=2.0, cost_usd=Decimal(cost_usd)))
        trace: list[Entry] = []
        steps = walk(policy, before(policy, slow), RUNGS, Limits(), stay=stay, trace=trace)
        next(steps)
        return "\n".join(entry.text for entry in trace if isinstance(entry, Note))

    assert "race: cloud-fast: 10 s of drafting x 0.5" in said("1")
    assert "race: no race: cloud-fast may cost $0.01, $0.001 is allowed" in said("0.001")
    assert "race" not in said("1", stay="device")


def test_a_policy_may_refuse_a_draft_when_nobody_stronger_answers() -> None:
    failing = (UNSURE, FAILED, FAILED)
    _, given = walked(*failing)
    _, refused = walked(*failing, policy=replace(POLICY, on_failure="refuse"))

    assert (given.status, given.answered_by, given.flags) == ("answered", 0, ("uncertain",))
    assert (refused.status, refused.answered_by, refused.flags) == ("no_answer", None, ())
    assert "on_failure is refuse, so no draft is given back" in [
        entry.text for entry in refused.entries if isinstance(entry, Note)
    ]


def test_at_a_limit_the_limits_own_rule_holds() -> None:
    policy = replace(POLICY, on_failure="refuse", limits=Limits(hops=1))
    _, given = walked(UNSURE, policy=policy)

    assert given.flags == ("uncertain", "limit:hops")
