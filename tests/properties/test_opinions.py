"""Opinions and the bars they are for: what is not bought would have changed nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.street import Play, Street, says

from router.errors import Unavailable
from router.policy.decide import after, open_opinions
from router.policy.opinions import OPINIONS, Opinions
from router.policy.predicates import All, AnyOf, Not, Predicate
from router.policy.predicates import Test as OneTest
from router.policy.rules import Policy, Requirement, Starter

DEVICE = frozenset({"device"})
SHARES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
NUMBERS = st.builds(
    OneTest,
    st.sampled_from(["draft.agreement", "draft.samples_agree", "draft.p_true", "draft.min_margin"]),
    st.sampled_from(["gte", "lt"]),
    SHARES,
)
FLAGS = st.builds(
    OneTest,
    st.sampled_from(["draft.second_agrees", "draft.refusal"]),
    st.just("is"),
    st.booleans(),
)
BARS: st.SearchStrategy[Predicate] = st.recursive(
    NUMBERS | FLAGS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda parts: All(tuple(parts)), st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: AnyOf(tuple(parts)), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=5,
)
KNOWN = st.fixed_dictionaries(
    {
        "draft.min_margin": st.none() | SHARES,
        "draft.refusal": st.booleans(),
        "world.calibrated": st.booleans(),
    }
)
TOLD = st.fixed_dictionaries(
    {
        "draft.agreement": st.none() | SHARES,
        "draft.samples_agree": st.none() | SHARES,
        "draft.p_true": st.none() | SHARES,
        "draft.second_agrees": st.none() | st.booleans(),
    }
)


def policy(bars: list[Predicate], starter: Predicate | None = None) -> Policy:
    return Policy(
        name="tested",
        revision="0" * 12,
        summary="For tests.",
        tiers=("device", "cloud"),
        accept=tuple(
            Requirement(f"bar{n}", DEVICE, bar, None, None if starter is None else Starter(starter))
            for n, bar in enumerate(bars)
        ),
        opinions=(Opinions(on=DEVICE, samples=3),),
    )


@given(st.lists(BARS, min_size=1, max_size=3), st.none() | BARS, KNOWN, TOLD)
def test_where_none_is_wanted_none_would_have_changed_whether_the_draft_is_kept(
    bars: list[Predicate],
    starter: Predicate | None,
    known: dict[str, object],
    told: dict[str, object],
) -> None:
    rule = policy(bars, starter)
    wanted = open_opinions(rule, "device", known)  # type: ignore[arg-type]
    without = after(rule, "device", known).accepted  # type: ignore[arg-type]
    unasked = {name: value for name, value in told.items() if name not in wanted}

    assert wanted <= OPINIONS
    if not wanted:
        assert after(rule, "device", {**known, **told}).accepted is without  # type: ignore[dict-item]
    if without:
        assert not wanted
        assert after(rule, "device", {**known, **unasked}).accepted  # type: ignore[dict-item]


ENDS = st.sampled_from(["same", "other", "gone"])
PLAYS: dict[str, Play] = {
    "same": says("42"),
    "other": says("7"),
    "gone": [Unavailable("gone", retryable=False)],
}


@given(st.lists(ENDS, min_size=1, max_size=4), SHARES)
def test_the_share_is_over_those_that_came_and_unknown_never_keeps_a_draft(
    ends: list[str], least: float
) -> None:
    found = Street()
    found.add("device", "device", says("42"), *(PLAYS[end] for end in ends))
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.add("cloud", "cloud", says("The cloud knows", logprob=None))
    rule = replace(
        policy([OneTest("draft.agreement", "gte", least)]),
        opinions=(Opinions(on=DEVICE, samples=len(ends)),),
    )
    outcome = found.run(rule).answer
    came = [end for end in ends if end != "gone"]
    share = came.count("same") / len(came) if came else None

    assert outcome.hops[0].signals["draft.agreement"] == share
    kept = share is not None and share >= least
    assert (outcome.answered_by == 0) is kept
    assert len(outcome.hops[1].attempts) == len(ends)
    assert [hop.index for hop in outcome.hops] == list(range(len(outcome.hops)))
    assert len(found.sink.began) == len(found.sink.ended) == 1 + len(ends) + (not kept)
