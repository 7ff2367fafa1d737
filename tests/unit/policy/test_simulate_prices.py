"""Played through, a price that nobody knows is held to the limit as it is in earnest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from router.policy import predicates
from router.policy.rules import Limits, Policy, Requirement
from router.policy.simulate import Given, Reply, simulate

POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    accept=(
        Requirement(
            "sure",
            frozenset({"device"}),
            predicates.Test("draft.mean_logprob", "gte", -0.5),
        ),
    ),
    limits=Limits(cost_usd=Decimal("0.01")),
)
GIVEN = Given(
    replies={"device": Reply(signals={"draft.mean_logprob": -2.0}), "cloud": Reply()},
    prices={"device": Decimal(0)},
)


@pytest.mark.parametrize(
    ("unpriced", "path"),
    [(frozenset[str](), ("device",)), (frozenset({"cloud"}), ("device", "cloud"))],
)
def test_a_tier_without_a_price_is_asked_only_where_the_config_allows_it(
    unpriced: frozenset[str], path: tuple[str, ...]
) -> None:
    assert simulate(POLICY, replace(GIVEN, unpriced=unpriced)).path == path
