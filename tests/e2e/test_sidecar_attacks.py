"""What a rude client, a stalled reader of logs or a long word may not do to a sidecar."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.sidecar import Sidecar, serving

GOOD = {"messages": [{"role": "user", "content": "The capital of France?"}]}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("attacked"), "--max-body-mb", "9") as server:
        yield server


def test_trailers_are_no_headers_and_end_the_connection_when_they_do_not_end(
    sidecar: Sidecar,
) -> None:
    """uvicorn keeps them, and adds them to headers that were looked at before they came."""
    here = psutil.Process(sidecar.process.pid)
    body = json.dumps(GOOD).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    whole = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    after = b"x-firsthop-label: secret\r\nx-firsthop-no: 1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as line:
        line.sendall(head)
        assert not select.select([line], [], [], 0.2)[0]  # the head has come by itself
        line.sendall(whole + after)
        answer = line.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer

    many = b"".join(b"a%d: b\r\n" % i for i in range(6000))
    for start in (b"2\r\n{}\r\n0\r\n", b"1;x=", b"2\r\n{}\r\n0\r\na: "):
        before, sent = here.memory_info().rss, 0
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as line:
            line.sendall(head + start)
            piece = many if start.endswith(b"\r\n") else b"y" * 65_536
            with contextlib.suppress(OSError):
                while sent < 60_000_000:
                    line.sendall(piece)
                    sent += len(piece)
        assert sent < 60_000_000, start
        assert here.memory_info().rss - before < 8_000_000


def test_bodies_that_never_come_keep_nobody_out(tmp_path: Path) -> None:
    """More of them than may be answered at once: heads alone, and bodies that drip."""
    with serving(tmp_path, "--max-concurrent", "20") as server:
        assert server.ask("The capital?").status == 200
        here = psutil.Process(server.process.pid)
        before = here.memory_info().rss
        body = json.dumps(GOOD).encode()
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        with contextlib.ExitStack() as stack:
            lines = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
                for _ in range(300)
            ]
            for i, line in enumerate(lines):
                line.sendall(head + body[: i % 3])
            for drop in range(3, 6):
                began = time.monotonic()
                assert server.ask("The capital?").status == 200
                assert time.monotonic() - began < 1
                for line in lines[2::3]:
                    line.sendall(body[drop - 1 : drop])
            assert here.memory_info().rss - before < 12_000_000
            # Who does send all in the end is answered.
            lines[2].sendall(body[5:])
            assert lines[2].recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no named pipes of this kind")
def test_a_log_that_nobody_reads_holds_up_neither_metrics_nor_the_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with serving(tmp_path, "--access-log", str(pipe)) as server:
            for _ in range(300):  # more than a pipe holds
                assert server.ask("The capital?").status == 200
            for _ in range(8):
                assert server.call(None, "/metrics").status == 200
            assert b'status="answered"} 300' in server.call(None, "/metrics").body
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(15) == 0
    finally:
        os.close(reader)


LONG = "x" * 3000


@pytest.mark.parametrize(
    "said",
    [
        {"user": LONG},
        {"metadata": {"note": LONG}},
        {"metadata": {"n" * 300: "1"}},
        {"metadata": {str(number): "1" for number in range(65)}},
        {"metadata": {"firsthop_tenant": "t" * 300}},
        {"user": "u", "metadata": {str(number): "1" for number in range(64)}},
    ],
)
def test_what_the_ledger_would_keep_of_a_caller_is_bounded(
    sidecar: Sidecar, said: dict[str, Any]
) -> None:
    asked = sidecar.ask("The capital?", **said)

    assert (asked.status, asked.code) == (400, "invalid_value")
    assert len(asked.body) < 1000
    assert sidecar.ask("The capital?", user="u" * 2048).status == 200


def test_a_wrong_name_is_not_said_back_at_any_length(sidecar: Sidecar) -> None:
    asked = sidecar.call({**GOOD, "model": "m" * 1_000_000})

    assert asked.status == 404
    assert len(asked.body) < 1000
    assert "None" not in sidecar.call({**GOOD, "model": "m"}).json["error"]["message"]
