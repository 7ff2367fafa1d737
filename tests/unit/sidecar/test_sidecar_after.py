"""What follows a request: it is booked first, and counted as the official parser reads it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from support.booking import START, closed
from support.ends import escalated

from router.clock import ManualClock
from router.compose import Router
from router.device.engine import Reuse
from router.device.wire import Healthy
from router.drive.senses import DeviceSense
from router.ledger import Closed
from router.sidecar import keyfile
from router.sidecar.after import After, Over, Turned
from router.sidecar.callers import Callers
from router.sidecar.exposition import MOST_SERIES, Counter, Histogram
from router.sidecar.metrics import Metrics, device_lines, exposed


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_say_what_happened_and_zero_is_not_unknown() -> None:
    metrics = Metrics()
    metrics.saw([Over(escalated()), Over(escalated("d2"))])
    metrics.saw([Turned(at=START, status=401, code="invalid_api_key")])
    metrics.saw([Over(closed("d3", status="forbidden"))])
    found = samples("\n".join(metrics.lines()) + "\n")

    assert found["firsthop_requests_total", ("balanced", "device>cloud", "answered")] == 2
    assert found["firsthop_requests_total", ("balanced", "none", "forbidden")] == 1
    assert found["firsthop_turned_away_total", ("401", "invalid_api_key")] == 1
    assert found["firsthop_escalations_total", ("balanced",)] == 2
    assert found["firsthop_flags_total", ("uncertain",)] == 2
    assert found["firsthop_hops_total", ("device", "device", "start", "deferred")] == 2
    assert found["firsthop_attempts_total", ("cloud", "timed_out")] == 2
    assert found["firsthop_attempts_total", ("cloud", "none")] == 2
    assert found["firsthop_tokens_total", ("cloud", "input")] == 82
    assert found["firsthop_tokens_total", ("cloud", "cached_input")] == 60
    assert ("firsthop_tokens_total", ("device", "cached_input")) not in found
    assert found["firsthop_cost_usd_total", ("cloud",)] == 0.5
    assert found["firsthop_cost_usd_total", ("device",)] == 0
    assert found["firsthop_cost_unknown_total", ("cloud",)] == 2
    assert found["firsthop_key_requests_total", ("web", "answered")] == 2
    assert ("firsthop_key_cost_usd_total", ("web",)) not in found  # one call's is not known
    assert found["firsthop_request_seconds_count", ("balanced",)] == 3
    assert found["firsthop_request_seconds_sum", ("balanced",)] == 9
    assert found["firsthop_request_seconds_bucket", ("balanced", "2.5")] == 0
    assert found["firsthop_request_seconds_bucket", ("balanced", "5.0")] == 3
    assert found["firsthop_request_seconds_bucket", ("balanced", "+Inf")] == 3
    assert found["firsthop_first_byte_seconds_count", ("balanced",)] == 2


def exposition(tmp_path: Path, health: Any) -> str:
    keyfile.add(tmp_path / "keys.json", "web", now_s=START, day_usd=Decimal("1"))
    callers = Callers(tmp_path / "keys.json", ManualClock())

    async def nothing(*args: Any, **more: Any) -> None: ...

    async def run() -> str:
        router = Router.of("scripted")
        live = next(iter(router.targets.values()))
        router.senses.device = DeviceSense(live, nothing, health, nothing, nothing)
        try:
            return exposed([*Metrics().lines()], router, callers, 3, await device_lines(router))
        finally:
            await router.aclose()

    return asyncio.run(run())


def test_every_metric_there_is_stands_on_the_page_and_no_other(tmp_path: Path) -> None:
    async def health() -> Healthy:
        reuse = Reuse(jobs=5, hits=4, tokens_read=30, tokens_reused=20, kept=2, kept_bytes=99)
        return Healthy(
            id=1, pid=1, clients=1, running=True, queued=7, jobs_done=5, up_s=1.0,
            memory_bytes=10**8, active=2, turned_away=1, reuse=reuse,
        )  # fmt: skip

    text = exposition(tmp_path, health)
    page = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text(encoding="utf-8")

    said = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    of_workers = {"firsthop_workers", "firsthop_worker_ends_total"}
    assert said | of_workers == set(re.findall(r"`(firsthop_\w+)`", page))
    found = samples(text)
    assert found["firsthop_device_queued", ()] == 7
    assert found["firsthop_device_prefix_hits_total", ()] == 4
    assert found["firsthop_requests_active", ()] == 3
    assert found["firsthop_key_day_usd", ("web",)] == 0


def test_a_device_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    async def health() -> None:
        await asyncio.Event().wait()

    found = samples(exposition(tmp_path, health))

    assert found["firsthop_device_up", ()] == 0
    assert ("firsthop_device_queued", ()) not in found


def test_dollars_add_up_exactly_and_labels_may_hold_anything() -> None:
    counter = Counter("x_total", "X.", ("name",))
    odd = 'a"b\\c\nd'
    for _ in range(10):
        counter.add((odd,), Decimal("0.1"))

    assert samples("\n".join(counter.lines()) + "\n") == {("x_total", (odd,)): 1.0}
    assert " 1.0" in [*counter.lines()][-1]


def test_a_value_on_a_bound_is_below_it() -> None:
    histogram = Histogram("x", "X.", ("name",), (1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 3.0):
        histogram.add(("a",), value)
    found = samples("\n".join(histogram.lines()) + "\n")

    assert [found["x_bucket", ("a", le)] for le in ("1.0", "2.0", "+Inf")] == [1, 3, 4]


def test_series_are_bounded() -> None:
    counter = Counter("x_total", "X.", ("name",))
    for number in range(MOST_SERIES + 100):
        counter.add((str(number),))
    found = samples("\n".join(counter.lines()) + "\n")

    assert len(found) == MOST_SERIES + 1
    assert found["x_total", ("other",)] == 100


class Kept:
    """A sink and an observer that keeps what it is told."""

    traces = True

    def __init__(self) -> None:
        self.booked: list[Closed] = []
        self.seen: list[Over | Turned] = []
        self.threads: set[int | None] = set()
        self.closed = 0

    def begin(self, began: Any) -> None: ...

    def end(self, *args: Any, **more: Any) -> None: ...

    def close_request(self, request: Closed) -> None:
        self.booked.append(request)

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        self.threads.add(threading.current_thread().ident)
        self.seen += seen

    def reopen(self) -> None: ...

    def close(self) -> None:
        self.closed += 1


def test_what_is_over_is_booked_first_and_told_later_all_of_it_in_order() -> None:
    kept = Kept()
    after = After(kept, [kept])
    after.enter("d0", {b"traceparent": b"00-parent"})
    for number in range(2000):
        after.close_request(closed(f"d{number}"))
        after.leave(f"d{number}")
    assert len(kept.booked) == 2000
    after.turned(Turned(at=START, status=404, code="unknown_url"))
    assert after.then(lambda: len(kept.seen)) == 2001
    after.close_request(closed("last"))
    after.close()

    told = [one.closed.outcome.decision_id for one in kept.seen if isinstance(one, Over)]
    assert told == [*(f"d{number}" for number in range(2000)), "last"]
    first = kept.seen[0]
    assert isinstance(first, Over)
    assert first.parent == b"00-parent"
    assert kept.closed == 1


def test_the_thread_tells_by_itself_and_one_bad_observer_does_not_end_it() -> None:
    told = threading.Event()

    class Bad(Kept):
        def saw(self, seen: Sequence[Over | Turned]) -> None:
            super().saw(seen)
            told.set()
            raise OSError("no")

    bad = Bad()
    after = After(bad, [bad])
    for _ in range(2):
        told.clear()
        after.close_request(closed("d1"))
        assert told.wait(10)
    assert bad.threads
    assert threading.current_thread().ident not in bad.threads
    bad.saw = lambda seen: None  # type: ignore[method-assign]
    after.close()
