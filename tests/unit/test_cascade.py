"""The walk, one example each; what always holds is in tests/properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from router.cascade import Call, Rung, Seen, Verdict, walk
from router.policy import before, predicates
from router.policy.rules import Guard, Limits, Policy, Requirement, Route
from router.policy.trace import Entry, Note, Taken

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
PUBLIC = {"request.label": "public"}
RUNGS = {tier: (Rung(tier, tier, Decimal("0.01")),) for tier in TIERS}

SURE = Seen(signals={"draft.mean_logprob": -0.1}, returnable=True)
UNSURE = Seen(signals={"draft.mean_logprob": -2.0}, returnable=True)
EMPTY = Seen(signals={"draft.mean_logprob": -0.1}, returnable=False)
FAILED = Seen(failure="unavailable")


def walked(
    *seen: Seen,
    limits: Limits | None = None,
    rungs: Mapping[str, tuple[Rung, ...]] | None = None,
    label: str = "public",
    asked: str | None = None,
    elapsed_s: float = 0.0,
    trace: list[Entry] | None = None,
) -> tuple[list[Call], Verdict]:
    """Send `seen` one after another; the walk has to want exactly that many."""
    steps = walk(
        POLICY,
        before(POLICY, {"request.label": label}),
        RUNGS if rungs is None else rungs,
        limits or Limits(),
        asked=asked,
        elapsed_s=elapsed_s,
        trace=trace,
    )
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


def notes(verdict: Verdict) -> list[str]:
    return [entry.text for entry in verdict.entries if isinstance(entry, Note)]


def test_a_sure_draft_is_kept() -> None:
    calls, verdict = walked(SURE)

    assert calls == [Call("device", "device", "start", "the first tier", commits=False)]
    assert (verdict.status, verdict.answered_by, verdict.flags, verdict.limit) == (
        "answered",
        0,
        (),
        None,
    )


def test_an_unsure_draft_goes_to_the_next_tier_and_the_last_commits() -> None:
    calls, verdict = walked(UNSURE, UNSURE, UNSURE)

    assert [(c.tier, c.cause, c.commits) for c in calls] == [
        ("device", "start", False),
        ("cloud-fast", "escalation", False),
        ("cloud-strong", "escalation", True),
    ]
    assert calls[1].because == "sure does not hold"
    assert (verdict.answered_by, verdict.flags) == (2, ())


def test_on_the_last_tier_requirements_only_flag() -> None:
    rungs = {tier: RUNGS[tier] for tier in ("device", "cloud-fast")}

    _, verdict = walked(UNSURE, UNSURE, rungs=rungs)

    assert (verdict.answered_by, verdict.flags) == (1, ("uncertain",))
    assert [e.effect for e in verdict.entries if hasattr(e, "effect")][-1] == (
        "flagged; no stronger tier is left"
    )


def test_a_failure_goes_to_the_next_target_of_the_tier_and_then_to_the_next_tier() -> None:
    rungs = {**RUNGS, "device": (Rung("a", "device", None), Rung("b", "device", None))}

    calls, verdict = walked(FAILED, FAILED, SURE, rungs=rungs)

    assert [(c.target, c.cause) for c in calls] == [
        ("a", "start"),
        ("b", "fallback"),
        ("cloud-fast", "fallback"),
    ]
    assert notes(verdict) == ["a failed: unavailable", "b failed: unavailable"]


def test_a_tier_without_target_is_skipped_and_noted() -> None:
    rungs = {tier: RUNGS[tier] for tier in ("device", "cloud-strong")}

    calls, verdict = walked(UNSURE, SURE, rungs=rungs)

    assert [c.tier for c in calls] == ["device", "cloud-strong"]
    assert notes(verdict) == ["tier cloud-fast skipped: no target serves it"]


def test_a_draft_that_can_not_be_shown_is_not_kept_however_sure_it_is() -> None:
    calls, verdict = walked(EMPTY, SURE)

    assert calls[1].because == "the answer says nothing, or a filter cut it"
    assert verdict.answered_by == 1


def test_the_best_draft_is_the_last_one_that_could_be_shown() -> None:
    _, shown = walked(UNSURE, UNSURE, FAILED)
    _, empty = walked(UNSURE, EMPTY, FAILED)
    _, none = walked(EMPTY, EMPTY, FAILED)

    assert (shown.answered_by, shown.flags) == (1, ("uncertain",))
    assert empty.answered_by == 0
    assert (none.status, none.answered_by) == ("no_answer", None)


def test_an_answer_cut_after_its_first_byte_is_the_end_even_with_a_draft_at_hand() -> None:
    cut = Seen(failure="unavailable", committed=True)

    _, verdict = walked(UNSURE, UNSURE, cut)

    assert (verdict.status, verdict.answered_by, verdict.flags) == ("no_answer", None, ("cut",))


def test_what_was_committed_is_the_answer_even_if_a_filter_cut_it() -> None:
    filtered = Seen(signals={"draft.finish": "content_filter"}, committed=True)

    _, verdict = walked(UNSURE, UNSURE, filtered)

    assert (verdict.status, verdict.answered_by, verdict.flags) == ("answered", 2, ("uncertain",))


@pytest.mark.parametrize(
    ("limits", "seen", "status", "flags"),
    [
        (Limits(hops=1), [UNSURE], "answered", ("uncertain", "limit:hops")),
        (Limits(hops=1), [FAILED], "limit_reached", ("limit:hops",)),
        (Limits(hops=2), [FAILED, EMPTY], "limit_reached", ("limit:hops",)),
        (
            Limits(deadline_s=5),
            [Seen(signals={}, returnable=True, elapsed_s=5)],
            "answered",
            ("uncertain", "limit:deadline_s"),
        ),
        (
            Limits(deadline_s=5),
            [Seen(failure="timed_out", elapsed_s=5.1)],
            "limit_reached",
            ("limit:deadline_s",),
        ),
        (
            Limits(cost_usd=Decimal("0.015")),
            [Seen(signals={}, returnable=True, spent_usd=Decimal("0.006"))],
            "answered",
            ("uncertain", "limit:cost_usd"),
        ),
        (Limits(cost_usd=Decimal("0.009")), [], "limit_reached", ("limit:cost_usd",)),
    ],
)
def test_a_limit_ends_the_walk_with_the_best_draft_or_without(
    limits: Limits, seen: list[Seen], status: str, flags: tuple[str, ...]
) -> None:
    _, verdict = walked(*seen, limits=limits)

    assert (verdict.status, verdict.flags) == (status, flags)
    assert verdict.limit == flags[-1].removeprefix("limit:")


def test_the_last_target_may_use_up_every_limit() -> None:
    all_of_it = Seen(
        signals={}, returnable=True, committed=True, elapsed_s=9, spent_usd=Decimal("0.02")
    )
    rungs = {"device": RUNGS["device"]}

    _, verdict = walked(
        all_of_it, limits=Limits(hops=1, deadline_s=9, cost_usd=Decimal("0.02")), rungs=rungs
    )

    assert (verdict.status, verdict.flags, verdict.limit) == ("answered", ("uncertain",), None)


def test_a_call_whose_worst_case_is_all_that_is_left_is_made() -> None:
    calls, _ = walked(SURE, limits=Limits(cost_usd=Decimal("0.01")))

    assert [c.target for c in calls] == ["device"]


def test_a_deadline_that_is_over_before_the_walk_lets_nothing_begin() -> None:
    calls, verdict = walked(limits=Limits(deadline_s=1), elapsed_s=1.0)

    assert calls == []
    assert (verdict.status, verdict.limit) == ("limit_reached", "deadline_s")


def test_running_out_of_time_on_the_last_target_is_a_limit_and_not_a_failure() -> None:
    slow = Seen(failure="timed_out", elapsed_s=3)

    _, verdict = walked(slow, limits=Limits(deadline_s=3), rungs={"device": RUNGS["device"]})

    assert (verdict.status, verdict.limit) == ("limit_reached", "deadline_s")


def test_a_target_that_is_too_dear_is_passed_over_for_a_cheaper_one() -> None:
    rungs = {
        "device": RUNGS["device"],
        "cloud-fast": (
            Rung("dear", "cloud-fast", Decimal(1)),
            Rung("unpriced", "cloud-fast", None),
            Rung("cheap", "cloud-fast", Decimal("0.02")),
        ),
    }

    calls, verdict = walked(UNSURE, SURE, limits=Limits(cost_usd=Decimal("0.05")), rungs=rungs)

    assert [c.target for c in calls] == ["device", "cheap"]
    assert verdict.limit is None
    assert notes(verdict)[1:] == [
        "limit cost_usd: dear may cost $1, $0.05 of $0.05 is left",
        "limit cost_usd: unpriced has no known price",
    ]


def test_an_unknown_price_that_the_config_allows_passes_the_limit_and_is_noted() -> None:
    rungs = {
        "device": RUNGS["device"],
        "cloud-fast": (Rung("cloud", "cloud-fast", None, unpriced=True),),
    }

    calls, verdict = walked(UNSURE, SURE, limits=Limits(cost_usd=Decimal("0.05")), rungs=rungs)

    assert [c.target for c in calls] == ["device", "cloud"]
    assert "cloud: its price is not known, and the config lets it pass" in notes(verdict)


def test_without_a_dollar_limit_an_unknown_price_is_no_hindrance() -> None:
    calls, _ = walked(SURE, rungs={"device": (Rung("d", "device", None),)})

    assert [c.target for c in calls] == ["d"]


def test_private_text_stays_on_the_device_which_then_commits() -> None:
    calls, verdict = walked(UNSURE, label="secret")

    assert [(c.tier, c.commits) for c in calls] == [("device", True)]
    assert verdict.flags == ("uncertain",)


def test_what_guards_leave_without_a_target_is_forbidden() -> None:
    calls, verdict = walked(label="secret", rungs={"cloud-fast": RUNGS["cloud-fast"]})

    assert (calls, verdict.status) == ([], "forbidden")


def test_where_no_tier_from_the_start_up_has_a_target_the_strongest_weaker_one_is_asked() -> None:
    start = Route("r", predicates.Test("request.label", "is", "public"), "cloud-strong")
    policy = replace(POLICY, route=(start,))
    rungs = {tier: RUNGS[tier] for tier in ("device", "cloud-fast")}
    steps = walk(policy, before(policy, PUBLIC), rungs, Limits())

    call = next(steps)

    assert (call.tier, call.commits) == ("cloud-fast", True)
    assert call.because == "route r; no target serves cloud-strong or a stronger tier"


def test_without_any_target_there_is_no_answer() -> None:
    calls, verdict = walked(rungs={})

    assert (calls, verdict.status) == ([], "no_answer")


@pytest.mark.parametrize(
    ("asked", "label", "status", "says"),
    [
        ("cloud-strong", "public", "answered", None),
        ("cloud-strong", "secret", "forbidden", "its tier cloud-strong is forbidden"),
        ("elsewhere", "public", "forbidden", "its tier other is not in the policy"),
        ("nobody", "public", "no_answer", None),
    ],
)
def test_a_target_that_the_caller_named(
    asked: str, label: str, status: str, says: str | None
) -> None:
    rungs = {**RUNGS, "other": (Rung("elsewhere", "other", None),)}

    calls, verdict = walked(
        *([SURE] if status == "answered" else []), asked=asked, label=label, rungs=rungs
    )

    assert verdict.status == status
    assert [(c.cause, c.commits) for c in calls] == [("asked", True)] * len(calls)
    if says is not None:
        assert says in notes(verdict)[0]


def test_a_target_named_by_the_caller_is_not_followed_by_another() -> None:
    rungs = {**RUNGS, "device": (Rung("a", "device", None), Rung("b", "device", None))}

    calls, verdict = walked(FAILED, asked="a", rungs=rungs)

    assert [c.target for c in calls] == ["a"]
    assert verdict.status == "no_answer"


def test_who_has_to_stop_half_way_has_the_trace_until_then() -> None:
    trace: list[Entry] = []
    steps = walk(POLICY, before(POLICY, PUBLIC), RUNGS, Limits(), trace=trace)

    next(steps)
    steps.close()

    assert [type(entry).__name__ for entry in trace] == ["Check", "Taken"]
    assert trace[-1] == Taken(0, "start", "the first tier")
