"""Opinions in the ledger: their calls and dollars count, and they are no drafts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from support.street import Fixed, Street, says

from router.ledger import Ledger, Report
from router.ledger.recordings import recorded
from router.policy.opinions import Opinions
from router.policy.predicates import Test as OneTest
from router.policy.rules import Policy, Requirement

DEVICE = frozenset({"device"})
POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    accept=(Requirement("agreed", DEVICE, OneTest("draft.agreement", "gte", 0.6)),),
    opinions=(Opinions(on=DEVICE, samples=2),),
)


def test_totals_keep_them_apart_from_drafts_and_count_what_they_took(tmp_path: Path) -> None:
    found = Street()
    found.add("device", "device", says("42"), says("42"), says("7"), meter=Fixed(Decimal("0.001")))
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.add("cloud", "cloud", says("The cloud knows", logprob=None))
    ledger = Ledger.open(tmp_path)
    found.sink = ledger  # type: ignore[assignment]
    outcome = found.run(POLICY).answer
    ledger.close()

    with Report.open(tmp_path) as report:
        totals = report.totals()
        (row,) = report.recent()
        detail = report.request(outcome.decision_id)
    device = next(t for t in totals.targets if t.target == "device")
    assert (device.hops, device.deferred, device.opinions, device.attempts) == (1, 1, 1, 3)
    assert device.cost_usd == Decimal("0.003")
    assert totals.cost_usd == outcome.cost_usd == Decimal("0.003")
    assert totals.deferral_rate == 1.0
    assert row.path == ("device", "cloud")
    assert [(h.hop, h.cause, h.status) for h in detail.hops] == [
        (0, "start", "deferred"),
        (1, "opinion", "heard"),
        (2, "escalation", "answered"),
    ]
    assert [a.number for a in detail.hops[1].attempts] == [1, 2]
    (again,) = recorded(tmp_path)
    assert [h.cause for h in again.hops] == ["start", "opinion", "escalation"]
    assert not again.hops[1].answered
