"""What follows a request: metrics that the official parser reads, lines without text, spans."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client.parser import text_string_to_metric_families
from support.booking import START, attempt, closed, hop

from router.clock import ManualClock
from router.compose import Router
from router.device.engine import Reuse
from router.device.wire import Healthy
from router.drive.senses import DeviceSense
from router.errors import ConfigError
from router.ledger import Closed
from router.sidecar import keyfile
from router.sidecar.after import After, Over, Turned
from router.sidecar.callers import KEY_TAG, Callers
from router.sidecar.exposition import MOST_SERIES, Counter, Histogram
from router.sidecar.logs import AccessLog, JsonLines
from router.sidecar.metrics import Metrics, exposed
from router.sidecar.otel import Traces
from router.types import Usage


def escalated(decision_id: str = "d1") -> Closed:
    """The device's draft is dropped, the cloud fails once, then answers."""
    draft = attempt(decision_id, cost_usd="0", usage=Usage(input_tokens=40, output_tokens=9))
    calls = (
        attempt(
            decision_id,
            1,
            cost_usd=None,
            usage=Usage(),
            error_kind="timed_out",
            error_message="the prompt was: SECRET",
            finish=None,
            ttft_s=None,
        ),
        attempt(
            decision_id,
            1,
            2,
            usage=Usage(input_tokens=41, output_tokens=25, cached_input_tokens=30),
            request_id="r7",
        ),
    )
    return closed(
        decision_id,
        hop(decision_id, status="deferred", attempts=(draft,)),
        hop(decision_id, 1, attempts=calls, provider="azure_ai"),
        label="internal",
        tags={KEY_TAG: "web", "team": "SECRET"},
        answer="SECRET",
        flags=("uncertain",),
    )


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

    async def run() -> bytes:
        router = Router.of("scripted")
        live = next(iter(router.targets.values()))
        router.senses.device = DeviceSense(live, nothing, health, nothing, nothing)
        try:
            return await exposed([*Metrics().lines()], router, callers, 3)
        finally:
            await router.aclose()

    return asyncio.run(run()).decode()


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
    assert said == set(re.findall(r"`(firsthop_\w+)`", page))
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


def test_the_access_log_has_ids_and_figures_and_not_a_word_of_text(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    log = AccessLog(str(path))
    log.saw([Over(escalated()), Turned(at=START, status=429, code="key_rate_reached", key="web")])
    path.rename(tmp_path / "moved")
    log.reopen()
    log.saw([Over(closed("d3", status="cancelled"))])
    log.close()
    first, second = map(json.loads, (tmp_path / "moved").read_text().splitlines())
    (third,) = map(json.loads, path.read_text().splitlines())

    assert first == {
        "time": "2026-05-28T20:26:43.000Z",
        "event": "request",
        "decision_id": "d1",
        "policy": "balanced@1146a941",
        "status": "answered",
        "route": ["device", "cloud"],
        "answered_by": "cloud",
        "errors": ["timed_out"],
        "flags": ["uncertain"],
        "label": "internal",
        "key": "web",
        "input_tokens": 41,
        "output_tokens": 25,
        "cost_usd": None,
        "ttfb_s": 0.5,
        "total_s": 3.0,
    }
    assert (second["event"], second["code"], second["key"]) == (
        "turned_away",
        "key_rate_reached",
        "web",
    )
    assert (third["status"], third["answered_by"], third["route"]) == ("cancelled", None, [])
    assert "SECRET" not in (tmp_path / "moved").read_text()


def test_an_access_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--access-log"):
        AccessLog(str(tmp_path / "no" / "folder"))


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full")
def test_a_full_disk_costs_lines_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("/dev/full")
    for _ in range(2):
        log.saw([Turned(at=START, status=404, code="unknown_url")])

    assert len([r for r in caplog.records if "access log" in r.getMessage()]) == 1
    log.reopen()
    log.close()


def test_a_log_record_is_one_line_and_an_exceptions_words_stay_out() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("firsthop.test")
    logger.addHandler(handler)
    try:
        raise ValueError("the prompt was: SECRET")
    except ValueError:
        logger.exception("a fault\nin %s", "two lines")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)

    assert said["message"] == "a fault\nin two lines"
    assert (said["level"], said["logger"]) == ("error", "firsthop.test")
    assert said["error"] == "ValueError"
    assert said["raised"][0].endswith(
        "test_a_log_record_is_one_line_and_an_exceptions_words_stay_out"
    )
    assert "SECRET" not in line


def spans(*seen: Over | Turned) -> list[Any]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = Traces(provider)
    traces.saw(seen)
    found = list(exporter.get_finished_spans())
    traces.close()
    return found


def test_a_request_is_a_span_and_each_hop_one_inside_it() -> None:
    device, cloud, request = spans(Over(escalated()))

    assert [s.name for s in (device, cloud, request)] == [
        "chat script",
        "chat script",
        "firsthop balanced",
    ]
    assert (request.kind, cloud.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert request.parent is None
    assert {device.parent.span_id, cloud.parent.span_id} == {request.context.span_id}
    assert request.start_time == int(START * 1e9)
    assert request.end_time - request.start_time == 3 * 10**9
    assert cloud.start_time - request.start_time == 2.5e9
    assert cloud.attributes["gen_ai.operation.name"] == "chat"
    assert cloud.attributes["gen_ai.provider.name"] == "azure.ai.inference"
    assert cloud.attributes["gen_ai.request.model"] == "script"
    assert cloud.attributes["gen_ai.response.model"] == "script-1"
    assert cloud.attributes["gen_ai.response.id"] == "r7"
    assert cloud.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert cloud.attributes["gen_ai.response.time_to_first_chunk"] == 0.25
    assert cloud.attributes["gen_ai.usage.input_tokens"] == 41
    assert cloud.attributes["gen_ai.usage.output_tokens"] == 25
    assert cloud.attributes["gen_ai.usage.cache_read.input_tokens"] == 30
    assert cloud.attributes["firsthop.hop.attempts"] == 2
    assert "firsthop.hop.cost_usd" not in cloud.attributes  # one call's is not known
    assert device.attributes["firsthop.hop.cost_usd"] == 0
    assert device.attributes["firsthop.hop.status"] == "deferred"
    assert request.attributes["firsthop.decision.id"] == "d1"
    assert request.attributes["firsthop.route"] == ("device", "cloud")
    assert not [name for name in request.attributes if name.startswith("gen_ai.")]
    assert "SECRET" not in str([dict(s.attributes) for s in (device, cloud, request)])


def test_what_failed_is_an_error_and_who_left_is_none() -> None:
    broken = attempt("d1", error_kind="unavailable", finish=None, cost_usd=None)
    inner, request = spans(
        Over(closed("d1", hop("d1", status="failed", attempts=(broken,)), status="no_answer"))
    )
    (left,) = spans(Over(closed("d2", status="cancelled")))

    assert inner.attributes["error.type"] == "unavailable"
    assert request.attributes["error.type"] == "no_answer"
    assert inner.status.status_code is request.status.status_code is StatusCode.ERROR
    assert left.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("parent", [b"", b"\xff\xfe", b"00-zz-1-01", b"x" * 500])
def test_a_callers_trace_goes_on_and_a_malformed_one_is_passed_over(parent: bytes) -> None:
    good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    continued = spans(Over(escalated(), good))[-1]
    alone = spans(Over(escalated(), parent))[-1]

    assert format(continued.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert format(continued.parent.span_id, "016x") == "b7ad6b7169203331"
    assert alone.parent is None


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
