"""Another policy on recorded requests: what is exact, what is estimated, what is not guessed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.diff import Difference, diff
from router.policy.load import revision_of
from router.policy.replay import replay
from router.policy.rules import Policy
from router.recorded import Recorded, RecordedHop
from router.signals.catalogue import Value

CLOUD, FREE = Decimal("0.002"), Decimal(0)


NOWHERE: tuple[str, ...] = ()


def policy(rules: str = "", *, tiers: str = "device, cloud-fast, cloud-strong") -> Policy:
    text = f"policy: p\nsummary: s\ntiers: [{tiers}]\n{rules}"
    return build(parse_yaml(text, "p.yaml", kind=PolicyError), revision_of(text))


def sure(bar: float, more: str = "") -> Policy:
    """A policy that keeps the device's draft from this mean log-probability on."""
    return policy(
        "accept:\n  - id: sure\n    on: [device]\n"
        f"    require: {{draft.mean_logprob: {{gte: {bar}}}}}\n{more}"
    )


def hop(tier: str, status: str = "deferred", **other: Any) -> RecordedHop:
    values: dict[str, Any] = {
        "target": tier,
        "cause": "start",
        "cost_usd": Decimal(0) if tier == "device" else CLOUD,
        "seconds": 1.0,
    }
    return RecordedHop(tier=tier, status=status, **(values | other))


def drafted(mean: float | None, **other: Any) -> RecordedHop:
    return hop("device", signals={"draft.mean_logprob": mean}, **other)


def request(
    *hops: RecordedHop, name: str = "d1", signals: Mapping[str, Value] | None = None, **other: Any
) -> Recorded:
    return Recorded(decision_id=name, hops=hops, signals=signals or {}, **other)


ESCALATED = request(drafted(-0.5), hop("cloud-fast", "answered"))
KEPT = request(drafted(-0.5, status="answered"))


def only(found: Difference) -> tuple[int, int, int]:
    return found.same, found.different, found.undecidable


def test_a_lower_bar_keeps_a_recorded_draft_and_saves_exactly_what_the_cloud_cost() -> None:
    found = diff(sure(-0.3), sure(-1.0), [ESCALATED])

    assert only(found) == (0, 1, 0)
    (move,) = found.moves
    assert move.a == (("device", "cloud-fast"), "answered by cloud-fast")
    assert move.b == (("device",), "answered by device")
    assert (move.change.usd, move.change.estimated, move.change.unknown) == (-CLOUD, 0, 0)
    assert move.examples == ("d1",)
    assert (found.usd_a.usd, found.usd_b.usd) == (CLOUD, FREE)


def test_a_higher_bar_goes_where_no_answer_was_recorded_and_its_cost_is_an_estimate() -> None:
    others = [
        request(drafted(-2.0), hop("cloud-fast", "answered", cost_usd=Decimal(usd)), name=f"o{usd}")
        for usd in ("0.001", "0.002")
    ]
    found = diff(sure(-1.0), sure(-0.3), [KEPT, *others])

    (move,) = found.moves
    assert move.b == (("device", "cloud-fast"), "")
    assert (move.change.usd, move.change.estimated) == (Decimal("0.0015"), 1)
    assert (found.usd_b.usd, found.usd_b.estimated) == (Decimal("0.0045"), 1)


def test_the_cost_of_a_tier_that_nobody_ever_paid_is_unknown() -> None:
    (move,) = diff(sure(-1.0), sure(-0.3), [KEPT]).moves

    assert (move.change.usd, move.change.unknown) == (FREE, 1)


def test_an_unknown_cost_of_one_hop_makes_that_request_unknown_and_no_other() -> None:
    dear = request(drafted(-0.5), hop("cloud-fast", "answered", cost_usd=None), name="d2")
    found = diff(sure(-0.3), sure(-1.0), [ESCALATED, dear])

    assert (found.moves[0].change.usd, found.moves[0].change.unknown) == (-CLOUD, 1)


def test_the_last_tier_commits_so_its_unrecorded_answer_is_the_answer() -> None:
    found = replay(sure(-0.3), KEPT, served={"device", "cloud-strong"})

    assert found.path == ("device", "cloud-strong")
    assert (found.end, found.unrecorded) == ("answered by cloud-strong", "cloud-strong")


def test_both_at_the_same_unrecorded_answer_is_not_called_the_same() -> None:
    found = diff(sure(-0.3), sure(-0.2), [KEPT])

    assert only(found) == (0, 0, 1)
    assert found.reasons == (("cloud-fast's answer is not recorded, and both go there", 1),)
    assert found.examples == ("d1",)


def test_an_answer_for_one_and_a_draft_for_the_other_is_not_called_different() -> None:
    """What A would show at once B would judge first, and may keep."""
    two = policy(
        "accept: [{id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.3}}}]\n",
        tiers="device, cloud-fast",
    )

    assert only(diff(two, sure(-0.3), [KEPT])) == (0, 0, 1)


def test_each_estimated_hop_is_counted_and_priced_but_for_requests_of_unknown_cost() -> None:
    paid = request(drafted(-2.0), hop("cloud-fast", "answered"), name="o")
    free_of_figures = request(drafted(-0.5, status="answered", cost_usd=None), name="u")
    found = diff(sure(-1.0), sure(-0.3), [KEPT, KEPT, free_of_figures, paid])

    (move,) = found.moves
    assert move.count == 3
    assert (move.change.usd, move.change.estimated, move.change.unknown) == (2 * CLOUD, 2, 1)


GUARDED = "guards: [{id: g, when: {prompt.task: {is: code}}, forbid: [cloud-fast, cloud-strong]}]\n"
ROUTED = "route: [{id: r, when: {prompt.task: {is: code}}, start: cloud-fast}]\n"


@pytest.mark.parametrize("rules", [GUARDED, ROUTED])
def test_a_signal_that_was_not_recorded_is_named_and_not_guessed(rules: str) -> None:
    found = diff(sure(-0.3), sure(-0.3, rules), [ESCALATED, KEPT])

    assert only(found)[2] == 2
    assert dict(found.missing) == {"prompt.task": 2}


def test_a_signal_that_was_looked_for_and_unknown_decides_as_unknown_does() -> None:
    known = request(*ESCALATED.hops, signals={"prompt.task": None})

    assert replay(sure(-0.3, GUARDED), known).path == ("device",)
    assert replay(sure(-0.3, ROUTED), known).path == ("device", "cloud-fast")


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        # The other guard forbids the same tiers, whatever this one would have said.
        (
            GUARDED[:-2] + ", {id: h, when: {request.json: {is: none}}, forbid: request}]\n",
            (),
        ),
        # A start that is the start anyway.
        (ROUTED.replace("cloud-fast", "device"), ("device", "cloud-fast")),
        # One part of an `all` that fails is enough.
        (
            ROUTED.replace("{is: code}}", "{is: code}, request.json: {is: schema}}"),
            ("device", "cloud-fast"),
        ),
    ],
)
def test_a_missing_signal_that_could_change_nothing_is_no_obstacle(
    rules: str, path: tuple[str, ...]
) -> None:
    asked = request(*ESCALATED.hops, signals={"request.json": "none"})
    found = replay(sure(-0.3, rules), asked)

    assert (found.path, found.missing) == (path, frozenset())


def test_a_drafts_missing_signal_matters_only_while_every_other_requirement_holds() -> None:
    more = "  - {id: ok, on: [device], require: {draft.refusal: {is: false}}}\n"

    assert replay(sure(-0.3, more), ESCALATED).path == ("device", "cloud-fast")
    assert replay(sure(-1.0, more), ESCALATED).missing == {"draft.refusal"}


NEAR = (
    "    near_budget: {draft.mean_logprob: {gte: -1.0}}\nlimits: {day_usd: '2', pace_from: 0.5}\n"
)


@pytest.mark.parametrize(
    ("spent", "path"),
    [(0.0, ("device", "cloud-fast")), (1.9, ("device",)), (99.0, ("device",))],
)
def test_the_share_of_the_days_dollars_is_worked_out_for_the_policys_own_day(
    spent: float, path: tuple[str, ...]
) -> None:
    recorded = request(
        *ESCALATED.hops, signals={"world.spent_today_usd": spent, "world.budget_used": 0.0}
    )

    assert replay(sure(-0.3, NEAR), recorded).path == path


@pytest.mark.parametrize(
    ("mean", "path", "missing"),
    [
        (-0.2, ("device",), set()),  # over the bar wherever it stands
        (-1.5, ("device", "cloud-fast"), set()),  # under it wherever it stands
        (-0.5, ("device",), {"world.budget_used"}),
    ],
)
def test_where_the_dollars_spent_are_not_recorded_the_bar_may_stand_anywhere_between(
    mean: float, path: tuple[str, ...], missing: set[str]
) -> None:
    recorded = request(drafted(mean), hop("cloud-fast", "answered"))
    found = replay(sure(-0.3, NEAR), recorded)

    assert (found.path, set(found.missing)) == (path, missing)


@pytest.mark.parametrize(
    ("signals", "start", "missing"),
    [
        ({"device.in_time": True, "device.end_s": 9.0}, "cloud-fast", set()),
        ({"device.in_time": False, "device.end_s": 4.0}, "device", set()),
        ({"device.in_time": True}, "", {"device.in_time"}),
    ],
)
def test_in_time_is_worked_out_for_the_policys_own_deadline(
    signals: dict[str, Value], start: str, missing: set[str]
) -> None:
    late = policy(
        "route: [{id: slow, when: {device.in_time: {is: false}}, start: cloud-fast}]\n"
        "limits: {deadline_s: 5}\n"
    )
    found = replay(late, request(hop("device", "answered"), signals=signals))

    assert ("".join(found.path[:1]), set(found.missing)) == (start, missing)


@pytest.mark.parametrize(
    ("was", "then", "now", "told"),
    [
        (True, 5, 9, True),
        (False, 5, 3, False),
        (True, 5, 3, "missing"),
        (False, 5, 9, "missing"),
        (True, None, 5, "missing"),
        (None, 5, 9, None),
    ],
)
def test_in_time_without_its_seconds_is_told_only_where_the_deadlines_order_tells(
    was: bool | None, then: int | None, now: int, told: object
) -> None:
    slow = "route: [{id: slow, when: {device.in_time: {is: false}}, start: cloud-fast}]\n"
    by = policy(slow + (f"limits: {{deadline_s: {then}}}\n" if then else ""))
    recorded = request(
        hop("device", "answered"), signals={"device.in_time": was}, revision=by.revision
    )
    found = replay(policy(slow + f"limits: {{deadline_s: {now}}}\n# b\n"), recorded, by=by)

    if told == "missing":
        assert found.missing == {"device.in_time"}
    else:
        assert found.path[:1] == (("cloud-fast",) if told is False else ("device",))


def test_a_share_of_one_days_dollars_is_worked_out_for_another_day() -> None:
    by = sure(-0.3, NEAR)
    half = sure(-0.3, NEAR.replace("'2'", "'1'"))
    recorded = request(*ESCALATED.hops, signals={"world.budget_used": 0.49}, revision=by.revision)

    assert replay(by, recorded).path == ("device", "cloud-fast")
    assert replay(half, recorded, by=by).path == ("device",)
    assert replay(half, recorded).missing == {"world.budget_used"}
    spent = request(*ESCALATED.hops, signals={"world.budget_used": 1.0}, revision=by.revision)
    assert replay(sure(-0.3, NEAR.replace("'2'", "'9'")), spent, by=by).missing


def test_signals_that_depend_on_the_policy_are_taken_as_they_are_for_that_policy() -> None:
    slow = "route: [{id: slow, when: {device.in_time: {is: false}}, start: cloud-fast}]\n"
    own = policy(slow)
    recorded = request(hop("cloud-fast"), signals={"device.in_time": False}, revision=own.revision)

    assert replay(own, recorded).path[:1] == ("cloud-fast",)
    assert replay(policy(slow + "escalate: next\n"), recorded).path[:1] == ("device",)


def test_an_early_commit_decides_only_where_the_whole_draft_would_have_been_kept_anyway() -> None:
    early = "early: [{on: [device], tokens: 8, require: {draft.mean_logprob: {gte: -0.1}}}]\n"

    assert replay(sure(-1.0, early), KEPT).path == ("device",)
    assert "first 8 tokens of device" in replay(sure(-0.3, early), KEPT).why


def test_best_gain_among_several_tiers_is_not_guessed_without_their_prices() -> None:
    gain = "escalate: best_gain\ngain: {share: {cloud-fast: 0.5, cloud-strong: 0.9}}\n"

    assert "best_gain" in replay(sure(-0.3, gain), ESCALATED).why
    assert replay(sure(-0.3, gain), ESCALATED, served={"device", "cloud-fast"}).path == (
        "device",
        "cloud-fast",
    )
    assert replay(sure(-1.0, gain), ESCALATED).path == ("device",)


def test_a_target_that_failed_fails_again_and_the_next_one_of_its_tier_is_asked() -> None:
    recorded = request(
        drafted(-0.5),
        hop("cloud-fast", "failed", target="a", error_kind="unavailable"),
        hop("cloud-fast", "answered", target="b"),
    )
    found = replay(sure(-0.3), recorded)

    assert found.path == ("device", "cloud-fast", "cloud-fast")
    assert found.usd == 2 * CLOUD


def test_an_answer_that_a_filter_cut_is_not_kept_whatever_the_bar() -> None:
    cut = request(drafted(-0.5, finish="content_filter"), hop("cloud-fast", "answered"))
    nothing = request(drafted(-0.5, output_tokens=0), hop("cloud-fast", "answered"))

    assert replay(sure(-1.0), cut).path == ("device", "cloud-fast")
    assert replay(sure(-1.0), nothing).path == ("device", "cloud-fast")


def test_a_caller_who_left_recorded_no_answer() -> None:
    found = replay(sure(-0.3), request(hop("device", "cancelled")))

    assert (found.path, found.end, found.unrecorded) == (("device",), "", "device")


def test_a_tool_loop_stays_with_its_target_and_a_guard_still_acts() -> None:
    recorded = request(
        hop("cloud-fast", "answered", cause="loop"), signals={"request.json": "none"}
    )
    home = "guards: [{id: g, when: {request.json: {is: none}}, forbid: [cloud-fast]}]\n"

    assert replay(policy(), recorded).path == ("cloud-fast",)
    assert replay(policy(home), recorded).path == ("device",)


def test_the_hop_limit_and_the_deadline_hold() -> None:
    both = request(drafted(-0.5, seconds=3.0), hop("cloud-fast", "answered"))

    assert replay(sure(-0.3, "limits: {hops: 1}\n"), both).missing == {
        "draft.refusal",
        "draft.json_valid",
        "draft.tool_calls_valid",
    }
    assert replay(sure(-0.3, "limits: {hops: 1, at_limit: refuse}\n"), both).end == (
        "limit reached (hops)"
    )
    assert replay(sure(-0.3, "limits: {deadline_s: 2, at_limit: refuse}\n"), both).path == (
        "device",
    )


def test_a_draft_given_back_at_a_limit_has_to_be_known_to_be_presentable() -> None:
    one = sure(-0.3, "limits: {hops: 1}\n")
    form = {"draft.refusal": False, "draft.json_valid": True, "draft.tool_calls_valid": True}
    fine = request(hop("device", signals={"draft.mean_logprob": -0.5, **form}))
    refusal = request(hop("device", signals={"draft.mean_logprob": -0.5, "draft.refusal": True}))

    assert replay(one, fine).end == "answered by device"
    assert replay(one, refusal).end == "limit reached (hops)"


def test_all_forbidden_is_an_end_that_costs_nothing() -> None:
    shut = policy("guards: [{id: g, when: {request.json: {is: none}}, forbid: request}]\n")
    found = replay(shut, request(drafted(-0.5), signals={"request.json": "none"}))

    assert (found.path, found.end, found.usd) == (NOWHERE, "forbidden", FREE)


def test_a_dollar_limit_is_left_out_of_the_walk() -> None:
    """Worst-case prices are not recorded; whoever shows the result has to say so."""
    found = replay(sure(-0.3, "limits: {cost_usd: '0.000001', day_usd: '0'}\n"), ESCALATED)

    assert (found.path, found.end) == (("device", "cloud-fast"), "answered by cloud-fast")


def test_moves_come_by_how_often_and_a_pass_needs_no_list() -> None:
    many = (request(drafted(-0.5), hop("cloud-fast", "answered"), name=f"d{i}") for i in range(5))
    found = diff(sure(-0.3), sure(-1.0), many)

    assert (found.requests, found.moves[0].count) == (5, 5)
    assert found.moves[0].examples == ("d0", "d1", "d2")
