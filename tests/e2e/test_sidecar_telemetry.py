"""A real server that writes logs, traces, and reads again what has changed."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.keys import add
from support.sidecar import CONFIG, POLICY, Reply, serving, until
from support.terminal import Terminal

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")


@posix
def test_a_hangup_reads_again_what_can_be_read_again(tmp_path: Path) -> None:
    access = tmp_path / "access.jsonl"
    path = tmp_path / "keys.json"
    key = add(path, "a")
    options = ("--keys", str(path), "--access-log", str(access))
    with serving(tmp_path, *options) as server:

        def status(model: str) -> int:
            return server.ask("the capital?", key, model=model).status

        assert status("fresh") == 404
        (tmp_path / "policies").mkdir()
        fresh = tmp_path / "policies" / "fresh.yaml"
        fresh.write_text(POLICY.replace("policy: plain", "policy: fresh"), encoding="utf-8")
        access.rename(tmp_path / "moved.jsonl")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: status("fresh") == 200)
        until(access.exists)
        path.write_text("{")
        (tmp_path / "plain.yaml").write_text("nonsense", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.call(None, "/healthz", key).json["keys_problem"] is not None)
        until(lambda: server.call(None, "/healthz", key).json["policy_problem"] is not None)
        assert status("auto") == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
    assert '"model_not_found"' in (tmp_path / "moved.jsonl").read_text()
    assert '"request"' in access.read_text()


@posix
def test_a_server_whose_terminal_goes_ends_in_good_order(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "firsthop.yaml").write_text(CONFIG, encoding="utf-8")
    command = ["-m", "router", "serve", "-c", "firsthop.yaml", "--port", "0"]
    with Terminal(command, tmp_path, os.environ) as terminal:
        terminal.until("firsthop answers")
        assert terminal.hang_up() == 0


@posix
def test_the_logs_have_every_request_and_no_text(tmp_path: Path) -> None:
    access = tmp_path / "access.jsonl"
    options = ("--access-log", str(access), "--log-format", "json")
    with serving(tmp_path, *options) as server:
        replies: list[Reply] = [
            server.ask("the capital of France, and my SECRET", {"x-firsthop-tags": "a=SECRET"}),
            server.ask("something hard", stream=True),
            server.call(None, "/v1/SECRET"),
            server.ask("everybody fails"),
        ]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert server.process.stderr is not None
        rest = server.process.stderr.read()
    text = access.read_text()
    lines = [json.loads(line) for line in text.splitlines()]

    assert [line["event"] for line in lines] == ["request", "request", "turned_away", "request"]
    assert lines[0]["decision_id"] == replies[0].headers["x-firsthop-decision-id"]
    assert [line["status"] for line in lines] == ["answered", "answered", 404, "no_answer"]
    assert lines[3]["errors"] == ["unavailable", "unavailable"]
    assert "SECRET" not in text
    for line in rest.splitlines():
        assert json.loads(line)["level"]


class Collector(http.server.BaseHTTPRequestHandler):
    """An OpenTelemetry collector that keeps what it is sent."""

    got: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.got.append(ExportTraceServiceRequest.FromString(raw))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@posix
def test_a_collector_that_is_silent_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        with serving(tmp_path, "--otel") as server:
            assert server.ask("something hard").status == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(8) == 0
            assert server.process.stderr is not None
            assert "last spans" in server.process.stderr.read()


@posix
def test_traces_reach_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[ExportTraceServiceRequest] = []
    kind = type("Kept", (Collector,), {"got": got})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{collector.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        with serving(tmp_path, "--otel") as server:
            parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            name = server.ask("something hard", {"traceparent": parent}).json["router"]
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(15) == 0
        collector.shutdown()
    (resource,) = got[0].resource_spans
    spans = resource.scope_spans[0].spans

    assert {a.key: a.value.string_value for a in resource.resource.attributes}[
        "service.name"
    ] == "firsthop"
    assert [span.name for span in spans] == ["chat small", "chat large", "firsthop plain"]
    assert {span.trace_id.hex() for span in spans} == {"0af7651916cd43dd8448eb211c80319c"}
    said = {a.key: a.value.string_value for a in spans[2].attributes}
    assert said["firsthop.decision.id"] == name["decision_id"]
