"""A replay over what was recorded, whatever was: true where it speaks, silent where it can't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.policies import OF_ANY, TIERS, Walked, policies, signal_sets, values_of

from router.cascade import Call, Rung, Seen
from router.policy.diff import diff
from router.policy.replay import replay
from router.policy.rules import Limits, Policy
from router.recorded import Recorded, RecordedHop
from router.signals.catalogue import CATALOGUE, Value

OF_DRAFT = frozenset(s.name for s in OF_ANY if s.known == "draft")
WHOLE = {"draft.refusal": False, "draft.json_valid": True, "draft.tool_calls_valid": True}
SECOND = 1.0


@st.composite
def drafts(draw: st.DrawFn) -> dict[str, dict[str, Value]]:
    """What each tier would say."""
    found = {}
    for tier in TIERS:
        signals = draw(signal_sets())
        found[tier] = {n: v for n, v in signals.items() if n in OF_DRAFT} | WHOLE
    return found


def walked(
    policy: Policy,
    signals: Mapping[str, Value],
    said: dict[str, dict[str, Value]],
    filtered: frozenset[str] = frozenset(),
) -> Walked:
    """A request as it goes, one target a tier."""

    def reply(call: Call, rung: Rung) -> Seen:
        return Seen(signals=said[call.tier], returnable=call.tier not in filtered, elapsed_s=SECOND)

    rungs = {tier: (Rung(tier, tier, None),) for tier in TIERS}
    return Walked(policy, signals, rungs, reply)


def recorded(
    policy: Policy,
    signals: Mapping[str, Value],
    said: dict[str, dict[str, Value]],
    path: list[str],
    filtered: frozenset[str] = frozenset(),
) -> Recorded:
    """The same as the ledger would keep it."""
    return Recorded(
        decision_id="d",
        revision=policy.revision,
        signals=signals,
        hops=tuple(
            RecordedHop(
                target=t,
                tier=t,
                status="deferred",
                signals=said[t],
                seconds=SECOND,
                finish="content_filter" if t in filtered else "stop",
            )
            for t in path
        ),
    )


def request_part(signals: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in signals.items() if name not in OF_DRAFT}


def without_dollars(policy: Policy) -> Policy:
    kept = policy.limits
    return replace(policy, limits=Limits(hops=kept.hops, deadline_s=kept.deadline_s))


SOME_TIERS = st.frozensets(st.sampled_from(TIERS))


@given(policies(), signal_sets(), drafts(), SOME_TIERS)
def test_a_request_of_which_all_is_recorded_goes_the_way_it_went(
    drawn: Policy,
    signals: dict[str, Value],
    said: dict[str, dict[str, Value]],
    filtered: frozenset[str],
) -> None:
    policy, asked = without_dollars(drawn), request_part(signals)
    went = walked(policy, asked, said, filtered)
    path = [call.tier for call in went.calls]
    found = replay(policy, recorded(policy, asked, said, path, filtered))

    assert list(found.path) == path
    assert not found.open
    by = went.verdict.answered_by
    assert found.end.startswith("answered" if by is not None else went.verdict.status[:5])


@given(policies(), signal_sets(), drafts(), st.sets(st.sampled_from(sorted(CATALOGUE))), st.data())
def test_what_is_told_without_a_signal_holds_for_every_value_of_it(
    drawn: Policy,
    signals: dict[str, Value],
    said: dict[str, dict[str, Value]],
    lost: set[str],
    data: st.DataObject,
) -> None:
    policy, asked = without_dollars(drawn), request_part(signals)
    lost = lost | data.draw(st.sets(st.sampled_from([s.name for s in OF_ANY])))
    partly = {tier: {n: v for n, v in s.items() if n not in lost} for tier, s in said.items()}
    known = {n: v for n, v in asked.items() if n not in lost}
    told = replay(policy, recorded(policy, known, partly, list(TIERS)))

    other = {s.name: data.draw(st.sampled_from(values_of(s))) for s in OF_ANY if s.name in lost}
    truly = {**asked, **{n: v for n, v in other.items() if n not in OF_DRAFT}}
    drafted = {
        tier: {**s, **{n: v for n, v in other.items() if n in OF_DRAFT}} for tier, s in said.items()
    }
    went = walked(policy, truly, drafted)

    if not told.open and told.unrecorded is None:
        assert [call.tier for call in went.calls] == list(told.path)


@given(policies(), signal_sets(), drafts(), st.sets(st.sampled_from([s.name for s in OF_ANY])))
def test_a_policy_never_differs_from_itself(
    policy: Policy, signals: dict[str, Value], said: dict[str, dict[str, Value]], lost: set[str]
) -> None:
    known = {n: v for n, v in request_part(signals).items() if n not in lost}
    partly = {tier: {n: v for n, v in s.items() if n not in lost} for tier, s in said.items()}
    requests = [recorded(policy, known, partly, list(TIERS[:n])) for n in range(4)]
    found = diff(policy, policy, requests)

    assert found.different == 0
    assert found.requests == 4
    assert found.usd_a == found.usd_b
