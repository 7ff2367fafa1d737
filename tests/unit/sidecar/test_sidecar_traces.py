"""Lines of logs without text, and spans by the conventions."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.booking import START, attempt, closed, hop
from support.ends import escalated

from router.errors import ConfigError
from router.sidecar.after import Over, Turned
from router.sidecar.loglines import JsonLines, TextLines
from router.sidecar.logs import AccessLog
from router.sidecar.otel import Traces


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


def test_nor_are_they_in_what_people_read() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines())
    logger = logging.Logger("firsthop.test")
    logger.addHandler(handler)
    try:
        raise ValueError("the prompt was: SECRET")
    except ValueError:
        logger.exception("a fault")

    assert stream.getvalue().startswith("ERROR firsthop.test: a fault\n  at ")
    assert stream.getvalue().endswith("ValueError\n")
    assert "SECRET" not in stream.getvalue()


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
