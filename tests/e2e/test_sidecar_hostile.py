"""Requests that are built to be misread, on every path that takes one: the right 4xx, at once."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.sidecar import CONFIG, Sidecar, serving, until

POSTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "The capital?"}]},
    "/v1/completions": {"prompt": "The capital?"},
    "/v1/responses": {"input": "The capital?"},
    "/v1/messages": {"messages": [{"role": "user", "content": "The capital?"}], "max_tokens": 50},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "The capital?"}]},
    "/v1/embeddings": {"input": "The capital?"},
}
ANSWERS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
GETS = ("/v1/models", "/v1/models/auto", "/v1/decisions/X", "/metrics", "/readyz", "/docs")
BODY = json.dumps(POSTS["/v1/chat/completions"]).encode()
EMBEDDER = """\
  embedder:
    tier: cloud-fast
    provider: openai_compatible
    base_url: http://127.0.0.1:9/v1
    model: none
    options: {embeddings: none}
"""
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("sidecar")
    with serving(folder, "--max-body-mb", "1", config=CONFIG + EMBEDDER) as server:
        yield server


def start(path: str = "/v1/chat/completions", *lines: str) -> bytes:
    said = (f"POST {path} HTTP/1.1", "host: localhost", "connection: close", *lines)
    return "\r\n".join(said).encode() + b"\r\n"


def raw(server: Sidecar, data: bytes, wait_s: float = 10.0) -> bytes:
    """Bytes by hand, and all that came back until the server closed."""
    found = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as line:
        try:
            line.sendall(data)
            while piece := line.recv(65536):
                found += piece
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had closed while we were still sending
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


CHUNKED = "transfer-encoding: chunked"
HEAD = start("/v1/chat/completions", CHUNKED) + b"\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        start("/v1/chat/completions", "transfer-encoding: gzip, chunked") + b"\r\n" + CHUNK,
        start("/v1/chat/completions", "transfer-encoding: xchunked") + b"\r\n" + CHUNK,
        start("/v1/chat/completions", CHUNKED, CHUNKED) + b"\r\n" + CHUNK + b"0\r\n\r\n",
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNK + b"0\r\n\r\n",
        HEAD.replace(b"HTTP/1.1", b"HTTP/2.0") + CHUNK + b"0\r\n\r\n",
        HEAD.replace(b" /v1", b" http://evil.example/v1") + CHUNK + b"0\r\n\r\n",
        HEAD + b"FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
        HEAD + b"-1\r\na\r\n0\r\n\r\n",
        HEAD + b"0x5\r\nabcde\r\n0\r\n\r\n",
        HEAD + b"2\r\n{}XX0\r\n\r\n",
        HEAD + (CHUNK + b"0\r\n\r\n").replace(b"\r\n", b"\n"),
        HEAD + b"5;x=" + b"y" * 200_000,
        HEAD + CHUNK + b"0\r\nx: " + b"y" * 200_000,
        HEAD + CHUNK + b"0\r\n" + b"x: y\r\n" * 40_000,
        start("/v1/chat/completions", "content-length: +9") + b"\r\n" + BODY,
        start("/v1/chat/completions", "content-length: 0x10") + b"\r\n" + BODY,
        start("/v1/chat/completions", "content-length: 5, 5") + b"\r\n" + BODY,
        start().replace(b"\r\n", b"\n") + b"content-length: 2\n\n{}",
        b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"CONNECT /a HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"CONNECT http://localhost/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_a_400(sidecar: Sidecar, sent: bytes) -> None:
    began = time.monotonic()
    answer = raw(sidecar, sent)

    assert status(answer) == 400, answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b'"code":"malformed_request"' in answer
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "line", ["x-firsthop-target: nobody", "x-firsthop-label: secret", "host: x"]
)
def test_what_follows_a_body_is_no_header(sidecar: Sidecar, line: str) -> None:
    answer = raw(sidecar, HEAD + CHUNK + b"0\r\n" + line.encode() + b"\r\n\r\n")

    assert status(answer) == 200, answer


@pytest.mark.parametrize("framed", [CHUNKED, f"content-length: {len(BODY)}"])
@pytest.mark.parametrize("cut", [0, 30, 200, 350])
def test_an_offer_to_upgrade_is_passed_over_and_the_body_is_read(
    sidecar: Sidecar, framed: str, cut: int
) -> None:
    offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIA")
    head = start("/v1/chat/completions", *offer, framed).replace(b"connection: close\r\n", b"", 1)
    body = CHUNK + b"0\r\n\r\n" if framed == CHUNKED else BODY
    after = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    sent = head + b"\r\n" + body + after

    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as line:
        line.sendall(sent[:cut])
        time.sleep(0.05 if cut else 0)  # so that it comes in two pieces
        line.sendall(sent[cut:])
        answer = b""
        while piece := line.recv(65536):
            answer += piece

    assert answer.count(b"HTTP/1.1 200") == 2, answer
    assert b"Paris" in answer


def test_two_offers_at_once_are_answered_and_many_end_the_connection(sidecar: Sidecar) -> None:
    offer = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    last = offer.replace(b"connection: upgrade", b"connection: upgrade, close")

    assert raw(sidecar, offer + last).count(b"HTTP/1.1 200") == 2
    began = time.monotonic()
    raw(sidecar, offer * 3000)
    assert time.monotonic() - began < 2
    assert sidecar.call(None, "/healthz").status == 200


@pytest.mark.parametrize("path", [*POSTS, *GETS])
def test_every_path_is_closed_to_another_host_and_to_web_pages(sidecar: Sidecar, path: str) -> None:
    body = POSTS.get(path)
    for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", "127.0.0.2"):
        assert sidecar.call(body, path, {"host": host}).status == 421
    assert sidecar.call(body, path, {"origin": "http://evil.example"}).status == 403


@pytest.mark.parametrize("path", POSTS)
def test_compressed_bodies_are_not_unpacked_on_any_path(sidecar: Sidecar, path: str) -> None:
    for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
        assert sidecar.call(POSTS[path], path, {"content-encoding": coding}).status == 415


@pytest.mark.parametrize("path", POSTS)
def test_large_and_broken_bodies_are_told_on_any_path(sidecar: Sidecar, path: str) -> None:
    assert sidecar.call(b" " * 1_100_000, path).status == 413
    for broken in (b"", b"{", b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 10_000):
        assert sidecar.call(broken, path).status == 400


def nested(path: str, depth: int) -> Iterator[str]:
    """Bodies with something deep in each place that takes any JSON."""
    lists = "[" * depth + "1" + "]" * depth
    objects = '{"a":' * depth + "1" + "}" * depth
    schema = '{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth
    items = '{"type":"array","items":' * depth + "{}" + "}" * depth
    whole = json.dumps(POSTS[path])[:-1]
    for field in ("metadata", "stop", "logit_bias", "system", "input", "prompt", "nobody"):
        yield f'{whole}, "{field}": {lists}}}'
        yield f'{whole}, "{field}": {objects}}}'
    yield f'{whole}, "messages": [{{"role": "user", "content": {lists}}}]}}'
    for deep in (objects, schema, items):
        form = f'{{"type": "json_schema", "name": "f", "schema": {deep}}}'
        yield f'{whole}, "response_format": {{"type": "json_schema", "json_schema": {form}}}}}'
        yield f'{whole}, "text": {{"format": {form}}}}}'
        yield f'{whole}, "output_config": {{"format": {form}}}}}'
        yield f'{whole}, "tools": [{{"name": "f", "input_schema": {deep}}}]}}'
        yield f'{whole}, "tools": [{{"type": "function", "name": "f", "parameters": {deep}}}]}}'
        function = f'{{"name": "f", "parameters": {deep}}}'
        yield f'{whole}, "tools": [{{"type": "function", "function": {function}}}]}}'


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("depth", [400, 950, 10_000])
def test_however_deep_a_body_is_it_is_an_answer_or_a_4xx(
    sidecar: Sidecar, path: str, depth: int
) -> None:
    for body in nested(path, depth):
        began = time.monotonic()
        reply = sidecar.call(body.encode(), path)
        told = (200, 400, 404, 529) if path.endswith("count_tokens") else (200, 400, 404)
        assert reply.status in told, (body[:200], reply.body[:300])
        assert time.monotonic() - began < 2, body[:200]


def test_memory_stays_flat_under_shapes_that_never_end(sidecar: Sidecar) -> None:
    here = psutil.Process(sidecar.process.pid)

    def abuse() -> None:
        for sent in (b"5;x=" + b"y" * 2_000_000, CHUNK + b"0\r\nx: " + b"y" * 2_000_000):
            raw(sidecar, HEAD + sent)
        for body in nested("/v1/responses", 3000):
            sidecar.call(body.encode(), "/v1/responses")

    abuse()
    before = here.memory_info().rss
    for _ in range(5):
        abuse()
    assert here.memory_info().rss - before < 8_000_000


IMPATIENT = """
import sys
from router.compose import Router
from router.sidecar.listening import listen
from router.sidecar.server import serve
from router.sidecar.settings import Settings
found = listen("127.0.0.1", 0)
print(f"127.0.0.1:{found.getsockname()[1]}/", file=sys.stderr, flush=True)
settings = Settings(head_s=0.5, body_s=0.5, unread_s=0.5)
serve(Router.of(sys.argv[1]), settings, [found])
"""
LONG = """\
version: 1
policy: cloud-only
ledger: {folder: ./ledger}
targets:
  cloud:
    tier: cloud-fast
    provider: scripted
    attempts: 1
    model: large
    options: {steps: [{text: "%s"}]}
"""


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Sidecar]:
    """A server that waits half a second, and has much to say."""
    config = tmp_path / "firsthop.yaml"
    config.write_text(LONG % ("w " * 40_000))
    command = [sys.executable, "-c", IMPATIENT, str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().partition("127.0.0.1:")[2].partition("/")[0])
        yield Sidecar(process, port, tmp_path)
    finally:
        process.kill()
        process.wait(20)
        process.stderr.close()


@pytest.mark.parametrize("path", ANSWERS)
def test_a_byte_now_and_then_is_not_waited_for(impatient: Sidecar, path: str) -> None:
    for sent in (
        start(path, "x: y" * 50),
        start(path, "content-length: 500") + b"\r\n" + b" " * 99,
    ):

        async def drip(sent: bytes = sent) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port)
            answer = asyncio.create_task(reader.read())
            try:
                for at in range(len(sent)):
                    if answer.done():
                        break
                    writer.write(sent[at : at + 1])
                    await asyncio.sleep(0.02)
                return await asyncio.wait_for(answer, 5)
            finally:
                writer.close()

        began = time.monotonic()
        answer = asyncio.run(drip())
        assert status(answer) == 408, answer
        assert time.monotonic() - began < 4


def test_who_reads_nothing_is_hung_up_on_and_booked(impatient: Sidecar) -> None:
    asked = {**POSTS["/v1/chat/completions"], "stream": True, "max_tokens": 50_000}
    body = json.dumps(asked).encode()
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(10)
        line.connect(("127.0.0.1", impatient.port))
        line.sendall(start("/v1/chat/completions", f"content-length: {len(body)}") + b"\r\n" + body)
        until(lambda: [row.status for row in impatient.last(5)] == ["cancelled"])
    assert impatient.call(None, "/healthz").status == 200
