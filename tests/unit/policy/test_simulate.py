"""Requests played through without models, one example each; the walk's laws are in properties."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from router.policy.predicates import Test as OneTest
from router.policy.rules import Early, Gain, Guard, Limits, Policy, Race, Requirement
from router.policy.simulate import Given, Played, Reply, day_left_usd, simulate
from router.policy.trace import Note
from router.signals.catalogue import Value

TIERS = ("device", "cloud-fast", "cloud-strong")
LOWER = frozenset({"device", "cloud-fast"})
BAR = OneTest("draft.mean_logprob", "gte", -0.3)
POLICY = Policy(
    name="p",
    revision="r",
    summary="s",
    tiers=TIERS,
    guards=(Guard("home", OneTest("request.label", "is", "secret"), frozenset(TIERS[1:])),),
    accept=(Requirement("sure", LOWER, BAR),),
)
PRICES = {"device": Decimal(0), "cloud-fast": Decimal("0.01"), "cloud-strong": Decimal("0.05")}
SURE = Reply(signals={"draft.mean_logprob": -0.1})
UNSURE = Reply(signals={"draft.mean_logprob": -0.9})
PUBLIC: dict[str, Value] = {"request.label": "public"}


def played(
    *replies: Reply,
    policy: Policy = POLICY,
    signals: dict[str, Value] | None = None,
    seconds: dict[str, float] | None = None,
    unserved: frozenset[str] = frozenset(),
    stay: str | None = None,
    asked: str | None = None,
) -> Played:
    """Replies of the tiers from the first on."""
    given = Given(
        signals=PUBLIC if signals is None else signals,
        replies=dict(zip(TIERS, replies, strict=False)),
        prices=PRICES,
        seconds=seconds or {},
        unserved=unserved,
        stay=stay,
        asked=asked,
    )
    return simulate(policy, given)


def limited(**limits: object) -> Policy:
    return replace(POLICY, limits=Limits(**limits))  # type: ignore[arg-type]


def notes(found: Played) -> list[str]:
    return [entry.text for entry in found.entries if isinstance(entry, Note)]


def test_a_sure_draft_ends_where_it_began() -> None:
    found = played(SURE)

    assert (found.path, found.answer, found.status) == (("device",), "device", "answered")
    assert (found.flags, found.limit, found.race, found.missing) == ((), None, None, None)


def test_an_unsure_draft_goes_on_until_the_last_tier() -> None:
    found = played(UNSURE, UNSURE, UNSURE)

    assert (found.path, found.answer, found.flags) == (TIERS, "cloud-strong", ())


def test_where_a_reply_is_missing_the_path_is_known_up_to_there() -> None:
    found = played(UNSURE)

    assert (found.path, found.missing) == (("device", "cloud-fast"), "cloud-fast")
    assert (found.answer, found.status, found.seconds, found.usd) == (None, None, None, None)
    assert [type(entry).__name__ for entry in found.entries] == ["Check", "Taken", "Check", "Taken"]


def test_a_failure_goes_on_and_is_noted() -> None:
    found = played(Reply(fails="unavailable"), SURE)

    assert (found.path, found.answer) == (("device", "cloud-fast"), "cloud-fast")
    assert notes(found) == ["device failed: unavailable"]


def test_what_guards_leave_to_nobody_is_forbidden() -> None:
    found = played(signals={"request.label": "secret"}, unserved=frozenset({"device"}))

    assert (found.path, found.status) == ((), "forbidden")


def test_an_unserved_tier_is_skipped() -> None:
    found = played(UNSURE, SURE, SURE, unserved=frozenset({"cloud-fast"}))

    assert found.path == ("device", "cloud-strong")


def test_seconds_and_dollars_add_up_and_are_unknown_when_one_is() -> None:
    slow = replace(UNSURE, seconds=2.0, usd=Decimal(0))
    paid = replace(SURE, seconds=0.5, usd=Decimal("0.002"))

    assert (played(slow, paid).seconds, played(slow, paid).usd) == (2.5, Decimal("0.002"))
    assert (played(slow, SURE).seconds, played(slow, SURE).usd) == (None, None)


def test_a_deadline_that_is_over_is_a_limit_and_gives_the_draft() -> None:
    found = played(replace(UNSURE, seconds=6.0), SURE, policy=limited(deadline_s=5))

    assert (found.path, found.answer, found.limit) == (("device",), "device", "deadline_s")
    assert found.flags == ("uncertain", "limit:deadline_s")


def test_a_tier_that_could_not_answer_in_time_is_not_gone_on_to() -> None:
    slow = replace(UNSURE, seconds=3.0)
    found = played(
        slow,
        SURE,
        SURE,
        policy=limited(deadline_s=5),
        seconds={"cloud-fast": 2.5, "cloud-strong": 1.0},
    )

    assert found.path == ("device", "cloud-strong")
    assert notes(found) == [
        "limit deadline_s: cloud-fast needs about 2.50 s, 2.00 s of 5 s are left"
    ]


def test_a_speed_that_is_not_known_passes_and_is_noted() -> None:
    found = played(UNSURE, SURE, policy=limited(deadline_s=5))

    assert found.path == ("device", "cloud-fast")
    assert notes(found) == ["cloud-fast: its speed is not known yet, so the deadline lets it pass"]


def test_dollars_that_are_not_known_count_at_their_worst() -> None:
    found = played(UNSURE, UNSURE, SURE, policy=limited(cost_usd=Decimal("0.055")))

    assert (found.path, found.answer) == (("device", "cloud-fast"), "cloud-fast")
    assert found.limit == "cost_usd"


def test_at_a_limit_a_policy_may_refuse() -> None:
    found = played(UNSURE, policy=limited(hops=1, at_limit="refuse"))

    assert (found.status, found.answer, found.flags) == ("limit_reached", None, ("limit:hops",))


@pytest.mark.parametrize(
    ("signals", "path", "limit"),
    [
        ({"world.budget_used": 0.5}, ("device", "cloud-fast"), None),
        ({"world.budget_used": 0.995}, ("device",), "day_usd"),
        ({"world.left_today_usd": 0.001}, ("device",), "day_usd"),
        ({"world.spent_today_usd": 0.999}, ("device",), "day_usd"),
        ({}, ("device", "cloud-fast"), None),
    ],
)
def test_the_days_dollars_are_what_the_signals_say(
    signals: dict[str, Value], path: tuple[str, ...], limit: str | None
) -> None:
    found = played(UNSURE, SURE, policy=limited(day_usd=Decimal(1)), signals=PUBLIC | signals)

    assert (found.path, found.limit) == (path, limit)


def test_what_a_call_costs_is_gone_from_the_day() -> None:
    found = played(
        UNSURE,
        UNSURE,
        SURE,
        policy=limited(day_usd=Decimal(1)),
        signals=PUBLIC | {"world.left_today_usd": 0.055},
    )

    assert (found.path, found.limit) == (("device", "cloud-fast"), "day_usd")


def test_without_a_days_limit_nothing_is_left_of_it() -> None:
    assert day_left_usd(POLICY, {"world.left_today_usd": 0.1}) is None
    assert day_left_usd(limited(day_usd=Decimal(1)), {"world.spent_today_usd": 5.0}) == 0


def test_near_the_days_end_a_draft_is_kept_that_was_not() -> None:
    loose = OneTest("draft.mean_logprob", "gte", -1.3)
    policy = replace(
        limited(day_usd=Decimal(1), pace_from=0.5),
        accept=(Requirement("sure", LOWER, BAR, loose),),
    )

    paths = [
        played(UNSURE, SURE, policy=policy, signals=PUBLIC | {"world.budget_used": used}).path
        for used in (0.5, 0.7, 0.81, 1.0)
    ]

    assert paths == [("device", "cloud-fast")] * 2 + [("device",)] * 2


def test_a_draft_that_may_not_be_presented_is_not_given_back() -> None:
    refusal = replace(UNSURE, presentable=False)

    assert played(refusal, policy=limited(hops=1)).status == "limit_reached"
    assert played(UNSURE, policy=limited(hops=1)).answer == "device"


def test_an_answer_that_says_nothing_is_never_kept() -> None:
    assert played(replace(SURE, returnable=False), SURE).path == ("device", "cloud-fast")


def test_best_gain_asks_the_tier_that_is_worth_its_price() -> None:
    gain = Gain(share={"device": 0.0, "cloud-fast": 0.1, "cloud-strong": 0.9})
    policy = replace(POLICY, escalate="best_gain", gain=gain)

    assert played(UNSURE, SURE, SURE, policy=policy).path == ("device", "cloud-strong")


def test_inside_a_tool_loop_the_one_that_made_the_call_is_asked() -> None:
    found = played(UNSURE, UNSURE, UNSURE, stay="cloud-fast")

    assert (found.path, found.answer, found.flags) == (
        ("cloud-fast",),
        "cloud-fast",
        ("uncertain",),
    )


def test_a_guard_ends_a_tool_loop_at_once() -> None:
    found = played(UNSURE, signals={"request.label": "secret"}, stay="cloud-fast")

    assert found.path == ("device",)
    assert notes(found)[-1] == "the tool loop leaves cloud-fast"


def test_a_target_that_the_caller_named_is_the_only_one() -> None:
    found = played(UNSURE, UNSURE, UNSURE, asked="cloud-fast")

    assert (found.path, found.flags) == (("cloud-fast",), ("uncertain",))


# Early commit

QUICK = replace(POLICY, early=(Early(LOWER, 8, OneTest("draft.mean_logprob", "gte", -0.15)),))


def test_a_draft_that_begins_sure_is_shown_and_stays_whatever_it_becomes() -> None:
    turned = Reply(signals={"draft.mean_logprob": -2.0}, beginning={"draft.mean_logprob": -0.1})
    found = played(turned, policy=QUICK)

    assert (found.path, found.answer, found.flags) == (("device",), "device", ("uncertain",))


def test_a_draft_that_ends_before_it_is_looked_at_is_held_to_its_whole() -> None:
    short = Reply(
        signals={"draft.mean_logprob": -2.0, "draft.tokens": 7},
        beginning={"draft.mean_logprob": -0.1},
    )

    assert played(short, SURE, policy=QUICK).path == ("device", "cloud-fast")


def test_without_a_beginning_the_whole_drafts_signals_stand_for_it() -> None:
    assert [c.kind for c in played(SURE, policy=QUICK).entries if hasattr(c, "kind")] == [
        "guard",
        "early",
        "accept",
    ]
    assert played(UNSURE, SURE, policy=QUICK).path == ("device", "cloud-fast")


# Races

RACING = replace(POLICY, race=Race(over_s=1.0, cost_usd=Decimal("0.1")))
SLOW: dict[str, Value] = {
    **PUBLIC, "device.end_s": 6.0, "prompt.escalation_chance": 0.5
}  # fmt: skip


@pytest.mark.parametrize(
    ("draft", "rival", "answer", "seconds"),
    [
        (replace(SURE, seconds=6.0), replace(SURE, seconds=2.0), "cloud-fast", 2.0),
        (replace(SURE, seconds=1.0), replace(SURE, seconds=2.0), "device", 1.0),
        (replace(UNSURE, seconds=1.0), replace(SURE, seconds=2.0), "cloud-fast", 2.0),
        (replace(SURE, seconds=6.0), replace(UNSURE, seconds=2.0), "device", 6.0),
        (replace(SURE, seconds=6.0), Reply(fails="gone", seconds=1.0), "device", 6.0),
        (Reply(fails="unavailable", seconds=1.0), replace(SURE, seconds=3.0), "cloud-fast", 3.0),
        (replace(SURE, seconds=2.0), replace(SURE, seconds=2.0), "device", 2.0),
    ],
)
def test_who_wins_a_race(draft: Reply, rival: Reply, answer: str, seconds: float) -> None:
    found = played(draft, rival, SURE, policy=RACING, signals=SLOW)

    assert (found.path, found.race) == (("device", "cloud-fast"), "cloud-fast")
    assert (found.answer, found.seconds) == (answer, seconds)


def test_where_seconds_are_not_known_the_draft_comes_first() -> None:
    found = played(SURE, replace(SURE, seconds=2.0), policy=RACING, signals=SLOW)

    assert (found.race, found.answer, found.seconds) == ("cloud-fast", "device", None)


def test_two_that_are_not_kept_go_on_past_the_rivals_tier() -> None:
    found = played(
        replace(UNSURE, seconds=6.0),
        replace(UNSURE, seconds=2.0),
        replace(SURE, seconds=1.0),
        policy=RACING,
        signals=SLOW,
    )

    assert found.path == ("device", "cloud-fast", "cloud-strong")
    assert (found.answer, found.seconds) == ("cloud-strong", 7.0)


def test_a_rival_whose_reply_is_wanted_and_not_given_is_missing() -> None:
    found = played(replace(UNSURE, seconds=1.0), policy=RACING, signals=SLOW)

    assert (found.path, found.missing) == (("device", "cloud-fast"), "cloud-fast")


def test_a_draft_that_is_there_in_time_starts_no_rival() -> None:
    policy = replace(RACING, race=Race(over_s=None, cost_usd=Decimal("0.1"), after_s=3.0))

    soon = played(replace(SURE, seconds=2.0), SURE, policy=policy)
    late = played(replace(SURE, seconds=9.0), replace(SURE, seconds=1.0), policy=policy)

    assert (soon.path, soon.race) == (("device",), None)
    assert (late.path, late.answer, late.seconds) == (("device", "cloud-fast"), "cloud-fast", 4.0)


def test_where_nobody_races_there_is_no_race() -> None:
    assert (
        played(replace(SURE, seconds=1.0), replace(SURE, seconds=2.0), policy=RACING).race is None
    )


def test_the_last_tier_wins_a_race_whatever_its_answer_looks_like() -> None:
    policy = replace(RACING, tiers=TIERS[:2])
    policy = replace(policy, guards=())
    found = played(
        replace(SURE, seconds=6.0), replace(UNSURE, seconds=2.0), policy=policy, signals=SLOW
    )

    assert (found.answer, found.flags) == ("cloud-fast", ("uncertain",))
