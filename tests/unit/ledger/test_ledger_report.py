from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from support.booking import START, StepTrace, attempt, began, closed, hop

from router.errors import LedgerError
from router.ledger import Ledger, Report
from router.ledger.totals import Spread
from router.types import Message, Usage


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, batch_s=3600.0, keep_text=True) as opened:
        yield opened


@pytest.fixture
def report(tmp_path: Path, ledger: Ledger) -> Iterator[Report]:
    with Report.open(tmp_path) as opened:
        yield opened


def kept_here(ledger: Ledger, name: str, at: float = START, ttft_s: float = 0.25) -> None:
    """One hop, answered by the device for nothing."""
    tried = attempt(name, cost_usd="0", started_at=at, ttft_s=ttft_s)
    ledger.begin(began(name, started_at=at))
    ledger.end(name, 0, tried)
    ledger.close_request(closed(name, hop(name, attempts=(tried,)), started_at=at))


def escalated(ledger: Ledger, name: str, cost_usd: str | None = "0.0000382") -> None:
    """The device's draft is not kept; the cloud answers at the second try."""
    device = attempt(name, cost_usd="0")
    limited = attempt(
        name, 1, cost_usd=None, ttft_s=None, tpot_s=None, usage=Usage(), error_kind="rate_limited"
    )
    cloud = attempt(name, 1, 2, cost_usd=cost_usd)
    for index, tried in ((0, device), (1, limited), (1, cloud)):
        ledger.begin(began(name, index, tried.number))
        ledger.end(name, index, tried)
    ledger.close_request(
        closed(
            name,
            hop(name, 0, "deferred", (device,), left="draft.confidence 0.48 >= 0.62 fails"),
            hop(name, 1, "answered", (limited, cloud), signals={}),
            flags=("uncertain",),
        )
    )


def test_an_empty_ledger_has_no_requests_and_says_no_rate(report: Report) -> None:
    assert report.recent() == ()
    totals = report.totals()
    assert (totals.requests, totals.deferral_rate) == (0, None)
    assert totals.cost_usd == 0
    assert totals.targets == ()
    assert totals.ttfb_s == Spread(0, None, None)


def test_the_last_requests_come_newest_first_with_their_path(
    ledger: Ledger, report: Report
) -> None:
    kept_here(ledger, "d1", at=START)
    kept_here(ledger, "d2", at=START + 20)
    escalated(ledger, "d3")
    first, *others = report.recent(10)
    assert [r.decision_id for r in (first, *others)] == ["d2", "d3", "d1"]
    assert others[0].path == ("device", "cloud")
    assert (others[0].answered_by, others[0].flags) == (1, ("uncertain",))
    assert [r.escalation_delay_s for r in (first, others[0])] == [None, 2.5]
    assert others[0].cost_usd is None, "one attempt's cost is not known"
    assert first.tags == {"team": "search"}
    assert len(report.recent(1)) == 1


def test_a_request_is_visible_at_once_and_while_it_runs(ledger: Ledger, report: Report) -> None:
    ledger.begin(began("d1"))
    (row,) = report.recent()
    assert (row.status, row.started_at, row.total_s) == ("running", START, None)
    assert report.request("d1").hops[0].status == "running"


def test_one_request_comes_with_hops_attempts_labels_trace_and_text(
    ledger: Ledger, report: Report
) -> None:
    tried = attempt("d1", error_message=None)
    said = (Message(role="user", content="Which clause binds us?"),)
    ledger.begin(began("d1"))
    ledger.end("d1", 0, tried)
    ledger.close_request(
        closed(
            "d1",
            hop("d1", signals={"draft.confidence": 0.5, "draft.finish": None}),
            messages=said,
            answer="The second.",
            trace=StepTrace(({"kind": "accept", "holds": None},)),
        )
    )
    ledger.feedback("d1", good=True, score=0.75, note="right", source="lawyer")
    found = report.request("d1")
    assert found.hops[0].signals == {"draft.confidence": 0.5, "draft.finish": None}
    (row,) = found.hops[0].attempts
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (41, 25, Decimal("0.25"))
    assert row.cached_input_tokens is None
    assert found.trace == ({"kind": "accept", "holds": None},)
    (label,) = found.labels
    assert (label.good, label.score, label.note, label.source) == (True, 0.75, "right", "lawyer")
    assert found.messages == said
    assert found.answer == "The second."


def test_a_request_is_found_by_how_its_id_begins(ledger: Ledger, report: Report) -> None:
    kept_here(ledger, "01JB7Q")
    kept_here(ledger, "01JB8R")
    assert report.request("01JB7").request.decision_id == "01JB7Q"
    with pytest.raises(LedgerError, match="more than one request begins with '01JB'"):
        report.request("01JB")
    for nothing in ("01J", "02JB", "01JB%", "01JB7QX"):
        with pytest.raises(LedgerError, match=f"no request '{nothing}'"):
            report.request(nothing)


def test_totals_count_known_and_unknown_apart(ledger: Ledger, report: Report) -> None:
    kept_here(ledger, "d1")
    escalated(ledger, "d2")
    escalated(ledger, "d3", cost_usd="0.0000018")
    ledger.begin(began("d4", 1))
    totals = report.totals()
    assert totals.by_status == {"answered": 3, "running": 1}
    assert totals.deferral_rate == 2 / 3
    assert totals.escalation_delay_s == Spread(2, 2.5, 2.5)
    assert totals.cost_usd == Decimal("0.00004")
    assert totals.cost_unknown == 2
    cloud, device = totals.targets
    assert (cloud.target, cloud.hops, cloud.answered, cloud.running) == ("cloud", 3, 2, 1)
    assert (cloud.attempts, cloud.cost_unknown, cloud.tokens_unknown) == (5, 2, 2)
    assert (cloud.input_tokens, cloud.output_tokens) == (82, 50)
    assert cloud.cost_usd == Decimal("0.00004")
    assert cloud.ttft_s == Spread(2, 0.25, 0.25)
    assert (device.hops, device.answered, device.deferred) == (3, 1, 2)
    assert device.cost_usd == 0
    assert device.cost_unknown == 0


def test_interrupted_attempts_count_as_unknown_dollars(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        ledger.begin(began("d1"))
    with Report.open(tmp_path) as report:
        totals = report.totals()
    assert totals.by_status == {"interrupted": 1}
    assert totals.cost_usd == 0
    assert totals.cost_unknown == 1
    assert totals.targets[0].interrupted == 1


def test_totals_since_a_moment_leave_out_what_was_before(ledger: Ledger, report: Report) -> None:
    kept_here(ledger, "d1", at=START)
    kept_here(ledger, "d2", at=START + 100)
    totals = report.totals(since=START + 1)
    assert (totals.requests, totals.targets[0].hops, totals.targets[0].attempts) == (1, 1, 1)


def test_percentiles_are_values_that_occurred() -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0]) == Spread(4, 2.0, 4.0)
    assert Spread.of([float(n) for n in range(1, 101)]) == Spread(100, 50.0, 95.0)
    assert Spread.of([7.0]) == Spread(1, 7.0, 7.0)


def test_times_of_many_requests_are_ranked(ledger: Ledger, report: Report) -> None:
    for n in range(20):
        kept_here(ledger, f"d{n:02d}", ttft_s=(n + 1) / 10)
    (device,) = report.totals().targets
    assert device.ttft_s == Spread(20, 1.0, 1.9)


def test_an_attempt_whose_hop_was_lost_still_counts_its_dollars(
    tmp_path: Path, ledger: Ledger, report: Report
) -> None:
    ledger.end("lost", 0, attempt("lost"))
    (unknown,) = report.totals().targets
    assert (unknown.target, unknown.hops, unknown.attempts) == ("unknown", 0, 1)
    assert report.totals().cost_usd == Decimal("0.25")


def test_what_is_in_the_tables_is_read_even_when_they_can_t_be_written(
    tmp_path: Path, ledger: Ledger, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    kept_here(ledger, "d1")
    ledger.flush()
    kept_here(ledger, "d2")
    other = sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Report.open(tmp_path, busy_s=0.0) as hasty:
        assert [r.decision_id for r in hasty.recent()] == ["d1"]
    assert "may be missing" in caplog.text
    other.close()
    assert len(report.recent()) == 2


def test_what_cut_answers_probably_cost_stands_beside_what_is_known(
    ledger: Ledger, report: Report
) -> None:
    kept_here(ledger, "d1")
    escalated(ledger, "d2", cost_usd="0.5")
    guess = Usage(input_tokens=40, output_tokens=9)
    for name in ("d3", "d4"):
        cut = attempt(
            name, 1, cost_usd=None, price="p", usage=Usage(), error_kind="cancelled",
            estimate_usd=Decimal("0.0000021"), estimate=guess, queue_s=1.5, connect_s=0.0,
        )  # fmt: skip
        ledger.begin(began(name, 1))
        ledger.end(name, 1, cut)
        ledger.close_request(
            closed(name, hop(name, 1, "cancelled", (cut,)), status="cancelled", cost_usd=None)
        )

    totals = report.totals()
    assert (totals.cost_usd, totals.cost_unknown) == (Decimal("0.5"), 3)
    assert (totals.estimate_usd, totals.estimated) == (Decimal("0.0000042"), 2)
    cloud, device = totals.targets
    assert (cloud.cost_usd, cloud.estimate_usd, cloud.estimated) == (
        Decimal("0.5"), Decimal("0.0000042"), 2,
    )  # fmt: skip
    assert (device.estimate_usd, device.estimated) == (0, 0)
    (row,) = report.request("d3").hops[0].attempts
    assert (row.cost_usd, row.estimate_usd) == (None, Decimal("0.0000021"))
    assert (row.estimated_input_tokens, row.estimated_output_tokens) == (40, 9)
    assert (row.queue_s, row.connect_s, row.reached) == (1.5, 0.0, True)
    assert report.request("d3").request.cost_usd is None


def test_the_parts_of_the_tokens_are_kept(ledger: Ledger, report: Report) -> None:
    parts = {"cached_input_tokens": 5, "cache_write_tokens": 4, "reasoning_tokens": 3}
    one = attempt("d1", usage=Usage(input_tokens=9, output_tokens=8, **parts))
    ledger.begin(began("d1"))
    ledger.end("d1", 0, one)
    ledger.close_request(closed("d1", hop("d1", attempts=(one,))))

    (row,) = report.request("d1").hops[0].attempts
    assert {name: getattr(row, name) for name in parts} == parts
