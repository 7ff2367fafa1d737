"""How the sidecar treats rude, broken and many clients, and what it does when told to go."""

from __future__ import annotations

import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support.sidecar import Reply, Sidecar, serving, until

GOOD = {"messages": [{"role": "user", "content": "The capital of France?"}]}
TWICE = b'{"messages": [{"role": "user", "content": "%s"}]}'


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("sidecar"), "--max-body-mb", "1") as server:
        yield server


def raw(server: Sidecar, data: bytes, *, wait_s: float = 10.0) -> bytes:
    """Bytes by hand; what came back until the server closed, or said all of one response."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as line:
        line.sendall(data)
        found = b""
        while piece := line.recv(65536):
            found += piece
            head, sign, body = found.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            if sign and length and len(body) >= int(length):
                break
        return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b"[]", "invalid_value"),
        (b"{}", "invalid_value"),
        (b'{"messages": 3}', "invalid_value"),
        (b'{"messages": []}', "invalid_value"),
        (b'{"messages": [{"role": "user"}]}', "invalid_value"),
        (b'{"messages": [{"role": "nobody", "content": "x"}]}', "invalid_value"),
        (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "invalid_json"),
        (b'{"messages": [{"role": "user", "content": ' + b"[" * 10_000, "invalid_json"),
        (b'{"messages": ' + b'[{"a":' * 10_000 + b"1" + b"}]" * 10_000 + b"}", "invalid_json"),
        (json.dumps({**GOOD, "temperature": "hot"}).encode(), "invalid_value"),
        (json.dumps({**GOOD, "max_tokens": 0}).encode(), "invalid_value"),
        (json.dumps({**GOOD, "max_tokens": 10**30}).encode(), "invalid_value"),
        (json.dumps({**GOOD, "max_tokens": 1, "max_completion_tokens": 2}).encode(), "unsupp"),
        (json.dumps({**GOOD, "stop": ""}).encode(), "invalid_value"),
        (json.dumps({**GOOD, "tool_choice": "required"}).encode(), ""),
        (json.dumps({**GOOD, "logit_bias": {"5": 3}}).encode(), ""),
        (json.dumps({**GOOD, "response_format": {"type": "poem"}}).encode(), "unsupported_value"),
        (json.dumps({**GOOD, "metadata": {"firsthop_x": "1"}}).encode(), "invalid_value"),
        (json.dumps({**GOOD, "metadata": {"firsthop_cost_usd": "much"}}).encode(), "invalid"),
    ],
)
def test_what_is_no_request_is_a_400_at_once(sidecar: Sidecar, body: bytes, code: str) -> None:
    began = time.monotonic()
    reply = sidecar.call(body)

    assert (reply.status, reply.code.startswith(code)) == (400, True), reply.body
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": "localhost:1"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"x-firsthop-tags": "team"}, 400),
        ({"x-firsthop-deadline-s": "soon"}, 400),
        ({"x-firsthop-cost-usd": "-1"}, 400),
        ({"x-firsthop-target": "nobody"}, 400),
    ],
)
def test_headers_are_held_to_what_they_may_say(
    sidecar: Sidecar, headers: dict[str, str], wanted: int
) -> None:
    reply = sidecar.call(dict(GOOD), headers=headers)

    assert reply.status == wanted, reply.body
    assert "access-control-allow-origin" not in reply.headers


def test_paths_and_methods_that_are_not_there_are_told_in_openais_shape(sidecar: Sidecar) -> None:
    assert sidecar.call(None, "/v1/nothing").code == "unknown_url"
    assert sidecar.call({"input": "x"}, "/v1/embeddings").code == "not_available"
    wrong = sidecar.call(None, "/v1/chat/completions")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert sidecar.call({}, "/v1/models").status == 405


def test_oversized_bodies_are_a_413_said_or_sent(sidecar: Sidecar) -> None:
    large = TWICE % (b"x" * 1_100_000)
    assert sidecar.call(large).status == 413

    def pieces() -> Iterator[bytes]:
        yield from (large[i : i + 50_000] for i in range(0, len(large), 50_000))

    url = f"{sidecar.url}/chat/completions"
    said = httpx.post(url, content=pieces(), headers={"content-type": "application/json"})
    assert (said.status_code, said.json()["error"]["code"]) == (413, "body_too_large")


def test_a_compressed_body_is_not_unpacked(sidecar: Sidecar) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert sidecar.call(bomb, headers={"content-encoding": "gzip"}).status == 415


def test_a_flood_of_headers_is_a_431_in_one_piece_or_many(sidecar: Sidecar) -> None:
    start = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
    flood = b"".join(b"x-%d: %s\r\n" % (i, b"y" * 100) for i in range(2000))
    assert status(raw(sidecar, start + flood + b"\r\n")) == 431
    assert status(raw(sidecar, start + b"x-endless: " + b"y" * 100_000)) == 431
    assert status(raw(sidecar, b"GET /" + b"a" * 100_000)) == 431
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as line:
        line.sendall(start + b"\r\n")
        first = line.recv(65536)
        while b"policy_problem" not in first:
            first += line.recv(65536)
        line.sendall(start + flood)  # on a connection that has served one
        assert status(line.recv(65536)) == 431


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 10\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 10\r\ncontent-length: 20\r\n",
        b"content-length: ten\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b"host: other\r\ncontent-length: 2\r\n",
        b" folded: x\r\ncontent-length: 2\r\n",
        b"x\x00y: 1\r\n",
    ],
)
def test_shapes_that_smuggle_requests_are_turned_away(sidecar: Sidecar, head: bytes) -> None:
    start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    inside = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answer = raw(sidecar, start + head + b"\r\n" + inside)

    assert 400 <= status(answer) < 500, answer
    assert answer.count(b"HTTP/1.1") == 1


def test_not_http_at_all_is_a_400(sidecar: Sidecar) -> None:
    assert status(raw(sidecar, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4)) == 400


def test_memory_stays_flat_under_abuse(sidecar: Sidecar) -> None:
    here = psutil.Process(sidecar.process.pid)

    def abuse() -> None:
        sidecar.call(TWICE % (b"x" * 1_100_000))
        sidecar.call(b'{"messages": ' + b"[" * 100_000)
        raw(sidecar, b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000)

    for _ in range(5):
        abuse()
    before = here.memory_info().rss
    for _ in range(40):
        abuse()
    assert here.memory_info().rss - before < 8_000_000


def test_heads_and_bodies_that_never_come_are_given_up(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from router.compose import Router\n"
        "from router.sidecar.listening import listen\n"
        "from router.sidecar.server import serve\n"
        "from router.sidecar.settings import Settings\n"
        "found = listen('127.0.0.1', 0)\n"
        "print(f'127.0.0.1:{found.getsockname()[1]}/', file=sys.stderr, flush=True)\n"
        "serve(Router.of('scripted'), Settings(head_s=0.3, body_s=0.3), [found])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().partition("127.0.0.1:")[2].partition("/")[0])
        server = Sidecar(process, port, tmp_path)
        start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        for begun in (b"", b"POST /v1", start, start + b"content-length: 9\r\n\r\n{"):
            assert status(raw(server, begun)) == 408
    finally:
        process.kill()
        process.wait(20)
        process.stderr.close()


def test_one_more_than_the_most_is_a_429(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-concurrent", "2") as server:
        replies: list[Reply] = []
        asking = [
            threading.Thread(target=lambda: replies.append(server.ask("it takes a second")))
            for _ in range(2)
        ]
        for one in asking:
            one.start()
        until(lambda: server.call(None, "/readyz").json["targets"]["cloud"]["in_flight"] == 2)
        over = server.ask("The capital of France?")
        for one in asking:
            one.join()

        assert (over.status, over.headers["retry-after"]) == (429, "1")
        assert [reply.status for reply in replies] == [200, 200]
        assert server.ask("The capital of France?").status == 200


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_sigterm_lets_what_runs_end_and_books_all(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        replies: list[Reply] = []
        questions = ["an essay", "an essay", "it takes a second"]
        asking = [
            threading.Thread(target=lambda q=q, s=i: replies.append(server.ask(q, stream=s > 0)))
            for i, q in enumerate(questions)
        ]
        for one in asking:
            one.start()
        until(lambda: server.call(None, "/readyz").json["targets"]["cloud"]["in_flight"] == 3)
        server.process.send_signal(signal.SIGTERM)
        for one in asking:
            one.join()

        assert server.process.wait(10) == 0
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert sum(b"[DONE]" in reply.body for reply in replies) == 2
        assert [row.status for row in server.last(10)] == ["answered"] * 3
        with pytest.raises(ConnectionRefusedError):
            server.ask("anybody there?")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_what_outlasts_the_grace_is_told_so_and_booked(tmp_path: Path) -> None:
    with serving(tmp_path, "--grace", "1", "--heartbeat", "0.2") as server:
        replies: dict[bool, Reply] = {}

        def ask(streamed: bool) -> None:
            replies[streamed] = server.ask("it never answers", stream=streamed)

        asking = [threading.Thread(target=ask, args=(s,)) for s in (True, False)]
        for one in asking:
            one.start()
        begun = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        begun.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n")
        begun.sendall(b"content-length: 9\r\n\r\n{")
        until(lambda: server.call(None, "/readyz").json["targets"]["cloud"]["in_flight"] == 2)
        time.sleep(0.3)  # a comment has been sent
        server.process.send_signal(signal.SIGTERM)
        for one in asking:
            one.join()

        assert server.process.wait(10) == 0
        assert (replies[False].status, replies[False].code) == (503, "stopping")
        with begun:
            assert status(begun.recv(65536)) == 503
        told = json.loads(replies[True].body.rpartition(b"data: ")[2])
        assert told["error"]["code"] == "stopping"
        assert [row.status for row in server.last(10)] == ["cancelled"] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
def test_a_unix_socket_is_for_this_user_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--uds", str(path)) as server:
        assert path.stat().st_mode & 0o077 == 0
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            url = "http://any.name/v1/chat/completions"
            assert client.post(url, json=GOOD).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_ctrl_c_closes_in_good_order_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--alias", "gpt-4o=device") as server:
        assert server.call({**GOOD, "model": "gpt-4o"}).json["router"]["route"] == ["device"]
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 130
        assert server.last()[0].status == "answered"


def test_an_alias_for_nothing_is_told_at_the_start() -> None:
    command = [sys.executable, "-m", "router", "serve", "--alias", "a=devise", "-c", "scripted"]
    said = subprocess.run(
        [*command, "--port", "0"], capture_output=True, text=True, timeout=20, check=False
    )
    assert said.returncode == 2
    assert "device" in said.stderr


def test_an_address_that_others_reach_is_refused() -> None:
    for host in ("0.0.0.0", "192.168.0.1", "::", "example.org"):
        command = [sys.executable, "-m", "router", "serve", "--host", host, "-c", "scripted"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert said.returncode == 2
        assert "--host" in said.stderr


def test_ready_names_what_is_not(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.call(None, "/readyz").json["not_ready"] == []
        for _ in range(12):
            server.ask("everybody fails")
        found = server.call(None, "/readyz")
        assert found.status == 503
        assert any("target cloud" in line for line in found.json["not_ready"])
        assert server.call(None, "/healthz").json["status"] == "ok"


def test_a_kept_connection_serves_many_and_a_pipeline_in_order(sidecar: Sidecar) -> None:
    line = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=10)
    for _ in range(20):
        line.request(
            "POST", "/v1/chat/completions", json.dumps(GOOD), {"content-type": "application/json"}
        )
        assert line.getresponse().read().startswith(b"{")
    line.close()
    one: Any = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as pipe:
        pipe.sendall(one * 3)
        found = b""
        while found.count(b"policy_problem") < 3:
            found += pipe.recv(65536)
    assert found.count(b"HTTP/1.1 200") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="how often a thread runs is in Linux' /proc")
def test_a_server_that_nobody_asks_sleeps(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.call(GOOD).status == 200
        until(lambda: runs(server, 1.0) <= 2)


def runs(server: Sidecar, seconds: float) -> int:
    """How often its threads are given a processor in so many seconds."""
    tasks = list(Path(f"/proc/{server.process.pid}/task").iterdir())
    before = sum(int((task / "schedstat").read_text().split()[2]) for task in tasks)
    time.sleep(seconds)
    return sum(int((task / "schedstat").read_text().split()[2]) for task in tasks) - before


def test_a_start_imports_nothing_that_the_first_answer_can_do_without() -> None:
    heavy = {
        *("aiohttp", "genai_prices", "jsonschema", "keyring", "numpy", "onnxruntime_genai"),
        *("openai", "opentelemetry", "psutil", "py3langid", "rich"),
        *("router.confidence.evidence", "router.ledger.report", "router.calibrated"),
    }
    loaded = (
        "import sys; from router.cli import app; app.built('serve'); "
        "import router.sidecar.plan, router.sidecar.http, router.sidecar.quiet; "
        f"print(sorted(set({sorted(heavy)}) & sys.modules.keys()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.strip() == "[]"
