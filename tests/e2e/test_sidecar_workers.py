"""Several workers behind one port: as one server to whoever asks, and none of them missed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.device_worker import meeting_folder, workers_in
from support.keys import add
from support.sidecar import CONFIG, Sidecar, serving, until
from support.tiny_phi3 import build_tiny_phi3

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one process answers there")

PRICES = """\
prices:
  - {id: dear, provider: scripted, model: large, input_usd_per_1m: "1", output_usd_per_1m: "2",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01}
  - {id: free, provider: scripted, model: small, input_usd_per_1m: "0", output_usd_per_1m: "0",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01, basis: own box}
"""
Keys = dict[str, dict[str, str]]


class Line:
    """One kept connection, and so one worker."""

    opened: ClassVar[list[Line]] = []

    def __init__(self, server: Sidecar) -> None:
        self.opened.append(self)
        self.line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def say(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        raw = None if body is None else json.dumps(body)
        said = {"content-type": "application/json", **(headers or {})}
        self.line.request("GET" if raw is None else "POST", path, raw, said)
        answer = self.line.getresponse()
        found = answer.read()
        heads = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(found), heads

    def ask(self, text: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        turns = [{"role": "user", "content": text}]
        return self.say("/v1/chat/completions", {"messages": turns, **more}, headers)

    def metrics(self, headers: dict[str, str]) -> str:
        self.line.request("GET", "/metrics", headers=headers)
        return self.line.getresponse().read().decode()

    def worker(self, headers: dict[str, str] | None = None) -> dict[str, int]:
        found: dict[str, int] = self.say("/healthz", headers=headers)[1]["worker"]
        return found


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while Line.opened:
        Line.opened.pop().line.close()


def each(server: Sidecar, headers: dict[str, str] | None = None) -> list[Line]:
    """A connection to each worker, by its number."""
    found: dict[int, Line] = {}

    def all_there() -> bool:
        line = Line(server)
        found.setdefault(line.worker(headers)["number"], line)
        return len(found) == 2

    until(all_there, 20)
    return [found[number] for number in sorted(found)]


def metrics(server: Sidecar, headers: dict[str, str] | None = None) -> dict[str, float]:
    """Sums over the labels."""
    return sums(server.call(None, "/metrics", headers).body.decode())


def sums(text: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] += sample.value
    return found


def counted(text: str) -> float:
    return sums(text)["firsthop_requests_total"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    path = folder / "keys.json"
    return {
        "free": add(path, "free"),
        "slow": add(path, "slow", rate="40/day"),
        "poor": add(path, "poor", day_usd=Decimal("0.01")),
        "ops": add(path, "ops", observer=True),
    }


@pytest.fixture(scope="module")
def sidecar(folder: Path, keys: Keys) -> Iterator[Sidecar]:
    (folder / "prices.yaml").write_text(PRICES, encoding="utf-8")
    priced = CONFIG.replace("ledger:", "prices: prices.yaml\nledger:")
    options = ("--workers", "2", "--keys", str(folder / "keys.json"))
    with serving(folder, *options, config=priced) as server:
        each(server, keys["free"])
        yield server


def test_both_answer_and_the_ledger_has_each_request_once_and_every_dollar(
    sidecar: Sidecar, keys: Keys
) -> None:
    lines = each(sidecar, keys["free"])
    said: list[tuple[str, Decimal]] = []

    def client(number: int) -> None:
        line = lines[number] if number < 2 else Line(sidecar)
        for turn in range(15):
            text = "capital of France?" if turn % 3 else "something else"
            status, answer, heads = line.ask(text, keys["free"], user=f"exact-{number}")
            assert status == 200, answer
            cost = Decimal(heads["x-firsthop-cost-usd"])
            said.append((heads["x-firsthop-decision-id"], cost))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(client, range(12)))

    assert len({name for name, _ in said}) == 12 * 15
    booked = {row.decision_id: row for row in sidecar.last(10_000)}
    for name, cost in said:
        assert (booked[name].status, booked[name].cost_usd) == ("answered", cost)
    with sqlite3.connect(sidecar.folder / "ledger" / "ledger.sqlite3") as db:
        runs = db.execute("SELECT DISTINCT run FROM requests WHERE tags LIKE '%exact-%'")
        assert len(runs.fetchall()) == 2
    # And whoever is asked finds what the other answered.
    for name, _ in (said[0], said[-1]):
        for line in lines:
            status, found, _ = line.say(f"/v1/decisions/{name}", headers=keys["ops"])
            assert (status, found["request"]["decision_id"]) == (200, name)


def test_a_keys_rate_is_one_rate(sidecar: Sidecar, keys: Keys) -> None:
    def client(line: Line) -> list[int]:
        return [line.ask("capital?", keys["slow"])[0] for _ in range(40)]

    with ThreadPoolExecutor(2) as pool:
        found = Counter(status for one in pool.map(client, each(sidecar, keys["free"]))
                        for status in one)  # fmt: skip

    assert found == {200: 40, 429: 40}


def test_a_keys_dollars_are_one_purse(sidecar: Sidecar, keys: Keys) -> None:
    headers = {**keys["poor"], "x-firsthop-cost-usd": "0.002"}
    lines = [*each(sidecar, keys["free"]), *(Line(sidecar) for _ in range(14))]

    def client(line: Line) -> str:
        _, answer, _ = line.ask("takes a second", headers, max_tokens=16)
        return str(answer["router"]["answered_by"])

    with ThreadPoolExecutor(16) as pool:
        found = Counter(pool.map(client, lines))

    # Five times 0.002 are set aside of 0.01 while the cloud thinks; then nothing is left for it.
    assert found == {"cloud": 5, "device": 11}
    until(lambda: 0 < metrics(sidecar, keys["ops"])["firsthop_key_day_usd"] < 0.002)


def test_any_worker_tells_the_metrics_of_all(sidecar: Sidecar, keys: Keys) -> None:
    lines = each(sidecar, keys["free"])
    time.sleep(1.5)  # what both have counted is laid out once a second
    before = counted(lines[0].metrics(keys["ops"]))
    for line in lines:
        for _ in range(10):
            assert line.ask("capital?", keys["free"])[0] == 200
        # What one has told of, the other does not take back.
        assert counted(line.metrics(keys["ops"])) >= before + 10

    for line in lines:
        until(lambda: counted(line.metrics(keys["ops"])) == before + 20)  # noqa: B023
        text = line.metrics(keys["ops"])
        assert "firsthop_workers 2\n" in text
        assert 'firsthop_worker_ends_total{reason="died"} 0\n' in text
        assert 'firsthop_worker_ends_total{reason="hung"} 0\n' in text


def test_a_tools_result_goes_back_to_who_asked_by_way_of_the_other_worker(
    sidecar: Sidecar, keys: Keys
) -> None:
    first, second = each(sidecar, keys["free"])
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    _, answer, _ = first.ask("weather in Oslo?", keys["free"], tools=[tool])
    called = answer["choices"][0]["message"]
    assert called["tool_calls"]
    turns = [
        {"role": "user", "content": "weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": called["tool_calls"]},
        {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "rain"},
    ]
    body = {"messages": turns, "tools": [tool]}
    for line in (second, first):
        status, _, heads = line.say("/v1/chat/completions", body, keys["free"])
        assert (status, heads["x-firsthop-route"]) == (200, "cloud")


def test_the_most_at_once_are_those_of_all_workers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", "--max-concurrent", "6") as server:
        lines = [*each(server), *(Line(server) for _ in range(16))]
        with ThreadPoolExecutor(18) as pool:
            found = Counter(pool.map(lambda line: line.ask("takes a second")[0], lines))
        assert found == {200: 6, 429: 12}
        until(lambda: lines[0].ask("capital?")[0] == 200)


def test_a_targets_calls_at_once_are_those_of_all_workers(tmp_path: Path) -> None:
    bounded = CONFIG.replace("tier: cloud-fast\n", "tier: cloud-fast\n    max_in_flight: 1\n")
    with serving(tmp_path, "--workers", "2", config=bounded) as server:
        first, second = each(server)
        process = first.worker()["process"]
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            lines = [first, second, Line(server), Line(server)]
            asked = [pool.submit(line.ask, "takes a second") for line in lines]
            # Each worker lays out what it counts once a second, so the sum is of no one moment.
            until(lambda: metrics(server)["firsthop_target_queued"] > 0)
            assert [one.result()[0] for one in asked] == [200] * 4
        assert time.monotonic() - began > 3.9  # one after another

        with ThreadPoolExecutor(2) as pool:
            lost = pool.submit(first.ask, "never answers")
            until(lambda: metrics(server)["firsthop_target_in_flight"] == 1)
            waits = pool.submit(second.ask, "takes a second")
            until(lambda: metrics(server)["firsthop_target_queued"] == 1)
            os.kill(process, signal.SIGKILL)
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                lost.result()
            assert waits.result()[0] == 200  # the seat of who is gone is free


def test_one_that_is_killed_is_replaced_and_the_others_requests_go_on(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with serving(tmp_path, "--workers", "2", "--access-log", str(log)) as server:
        lines = each(server)
        for line in lines:
            for _ in range(5):
                assert line.ask("capital?")[0] == 200
        until(lambda: metrics(server)["firsthop_requests_total"] == 10)
        time.sleep(1.2)  # what both have counted is laid out once a second
        dead = lines[0].worker()["process"]
        with ThreadPoolExecutor(2) as pool:
            lost = pool.submit(lines[0].ask, "takes a second")
            kept = pool.submit(lines[1].ask, "takes a second")
            until(lambda: metrics(server)["firsthop_requests_active"] == 2)
            os.kill(dead, signal.SIGKILL)
            assert kept.result()[0] == 200
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                lost.result()

        new = each(server)
        assert dead not in {line.worker()["process"] for line in new}
        assert new[1].worker() == lines[1].worker()
        until(lambda: not server.call(None, "/readyz").json["not_ready"])
        for line in new:
            assert line.ask("capital?")[0] == 200
        # What the dead had counted still counts.
        until(lambda: metrics(server)["firsthop_requests_total"] == 13)
        assert metrics(server)["firsthop_worker_ends_total"] == 1
        until(lambda: Counter(r.status for r in server.last(99))
              == {"answered": 13, "interrupted": 1})  # fmt: skip

        moved = log.rename(tmp_path / "old.txt")
        server.process.send_signal(signal.SIGHUP)
        until(log.exists)
        parts = [psutil.Process(line.worker()["process"]) for line in new]
        until(lambda: all(str(log) in [f.path for f in part.open_files()] for part in parts))
        assert all(json.loads(entry) for entry in moved.read_text().splitlines())

        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert server.process.stderr is not None
        said = server.process.stderr.read()
        assert f"worker 0, process {dead}, ended: signal 9, SIGKILL; another is started" in said
        assert not any(part.is_running() for part in parts)


def test_ctrl_c_ends_all_of_them_in_good_order(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        lines = each(server)
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(line.ask, "takes a second") for line in lines]
            until(lambda: metrics(server)["firsthop_requests_active"] == 2)
            server.process.send_signal(signal.SIGINT)
            assert [one.result()[0] for one in asked] == [200, 200]
        assert server.process.wait(20) == 130
        assert [row.status for row in server.last(9)] == ["answered", "answered"]


def test_workers_whose_supervisor_is_gone_end_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        line, _ = each(server)
        workers = psutil.Process(server.process.pid).children()
        assert len(workers) == 2
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(line.ask, "takes a second")
            until(lambda: metrics(server)["firsthop_requests_active"] == 1)
            server.process.kill()
            assert asked.result()[0] == 200
        assert not psutil.wait_procs(workers, 20)[1]


def test_a_unix_socket_is_shared_and_goes_at_the_end(tmp_path: Path) -> None:
    with meeting_folder() as short:
        path = short / "s.sock"
        with serving(tmp_path, "--workers", "2", "--uds", str(path)) as server:
            found = set()

            def both() -> bool:
                with socket.socket(socket.AF_UNIX) as line:
                    line.settimeout(20)
                    line.connect(str(path))
                    line.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    answer = b""
                    while piece := line.recv(65536):
                        answer += piece
                found.add(json.loads(answer.partition(b"\r\n\r\n")[2])["worker"]["number"])
                return found == {0, 1}

            until(both, 20)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert not path.exists()


def test_what_is_wrong_with_the_config_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("version: 1\npolicy: nobody\ntargets: {}\n", encoding="utf-8")
    command = [sys.executable, "-m", "router", "serve", "-c", str(tmp_path / "c.yaml")]

    ran = subprocess.run(
        [*command, "--port", "0", "--workers", "3"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 2
    assert ran.stderr.count("firsthop: ") == 1, ran.stderr
    assert "c.yaml" in ran.stderr


def test_they_share_one_process_of_the_device_and_what_it_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_tiny_phi3(tmp_path / "phi3")
    config = {
        "version": 1,
        "policy": "device-only",
        "ledger": {"folder": "./ledger"},
        "targets": {
            "device": {
                "tier": "device",
                "provider": "device",
                "model": str(model),
                "max_output_tokens": 4,
                "options": {"threads": 1},
            }
        },
    }
    text = "Tell me of the sea. " * 12
    with meeting_folder() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
        with serving(tmp_path, "--workers", "2", config=json.dumps(config)) as server:
            lines = each(server)
            cached = []
            for line in lines:
                status, answer, _ = line.ask(text, max_tokens=4)
                assert status == 200, answer
                cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
            assert len({*workers_in(short / "firsthop"), *workers_in(short)}) == 1
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0

    assert cached[0] == 0
    assert cached[1] > 10


def test_threads_of_clients_meet_no_error_while_workers_come(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "3") as server:
        server.process.send_signal(signal.SIGHUP)  # which would end one that is starting
        found: list[int] = []

        def client() -> None:
            for _ in range(10):
                found.append(server.ask("capital?").status)

        clients = [threading.Thread(target=client) for _ in range(6)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        assert found == [200] * 60
        until(lambda: metrics(server)["firsthop_workers"] == 3)
        assert metrics(server)["firsthop_worker_ends_total"] == 0
