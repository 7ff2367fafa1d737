"""A real server that asks for keys, and what each key may do."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.keys import add
from support.sidecar import CONFIG, Sidecar, serving, until
from typer.testing import CliRunner

from router.cli.app import app
from router.errors import ConfigError
from router.sidecar import keyfile
from router.sidecar.listening import listen

PRICES = """\
prices:
  - {id: dear, provider: scripted, model: large, input_usd_per_1m: "1", output_usd_per_1m: "2",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01}
  - {id: free, provider: scripted, model: small, input_usd_per_1m: "0", output_usd_per_1m: "0",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01, basis: own box}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def keys(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "keys.json"
    return {
        "free": add(path, "free"),
        "bound": add(path, "bound", policies=("plain",)),
        "private": add(path, "private", label_floor="secret"),
        "slow": add(path, "slow", rate="2/h"),
        "reader": add(path, "reader", rate="5/h"),
        "watcher": add(path, "watcher", observer=True, rate="1/h"),
        "poor": add(path, "poor", day_usd=Decimal("0")),
        "rich": add(path, "rich", day_usd=Decimal("5")),
        "ops": add(path, "ops", observer=True),
    }


@pytest.fixture(scope="module")
def sidecar(folder: Path, keys: dict[str, dict[str, str]]) -> Iterator[Sidecar]:
    (folder / "prices.yaml").write_text(PRICES, encoding="utf-8")
    priced = CONFIG.replace("ledger:", "prices: prices.yaml\nledger:")
    with serving(folder, "--keys", str(folder / "keys.json"), config=priced) as server:
        yield server


Keys = dict[str, dict[str, str]]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/decisions/01KA0000000000000000000000",
        "/metrics",
        "/nothing",
    ],
)
def test_without_a_key_nothing_is_told(sidecar: Sidecar, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer fh_wrong"}, {"x-api-key": "fh_wrong"}):
        reply = sidecar.call({} if "completions" in path else None, path, headers)
        assert (reply.status, reply.code) == (401, "invalid_api_key"), reply.body
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["x-should-retry"] == "false"


def test_a_probe_needs_no_key_and_learns_no_names(sidecar: Sidecar, keys: Keys) -> None:
    assert sidecar.call(None, "/healthz").json == {"status": "ok"}
    assert sidecar.call(None, "/readyz").json == {"ready": True}
    assert sidecar.call(None, "/healthz", keys["ops"]).json["keys_problem"] is None
    assert "cloud" in sidecar.call(None, "/readyz", keys["ops"]).json["targets"]


def test_the_official_client_brings_its_key(sidecar: Sidecar, keys: Keys) -> None:
    key = keys["free"]["authorization"].removeprefix("Bearer ")
    ask: Any = {"model": "auto", "messages": [{"role": "user", "content": "the capital?"}]}
    with openai.OpenAI(base_url=sidecar.url, api_key=key, max_retries=0) as client:
        assert "Paris" in (client.chat.completions.create(**ask).choices[0].message.content or "")
    with (
        openai.OpenAI(base_url=sidecar.url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(**ask)
    turned = sidecar.ask("the capital?", {"x-api-key": key})
    assert turned.status == 200


def test_a_header_that_is_there_twice_is_no_key(sidecar: Sidecar, keys: Keys) -> None:
    line = keys["free"]["authorization"]
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as raw:
        raw.sendall(
            f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: {line}\r\n"
            f"authorization: Bearer x\r\n\r\n".encode()
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_key_bound_to_policies_uses_no_target(sidecar: Sidecar, keys: Keys) -> None:
    bound = keys["bound"]
    assert sidecar.ask("the capital?", bound).json["router"]["policy"] == "plain"
    assert sidecar.ask("the capital?", bound, model="cloud").code == "not_permitted"
    assert sidecar.ask("the capital?", bound, model="cloud-only").code == "not_permitted"
    told = sidecar.ask("the capital?", {**bound, "x-firsthop-target": "cloud"})
    assert (told.status, told.code) == (403, "not_permitted")
    names = {model["id"] for model in sidecar.call(None, "/v1/models", bound).json["data"]}
    assert names == {"auto", "plain"}
    assert sidecar.call(None, "/v1/models/cloud", bound).status == 403
    free = {model["id"] for model in sidecar.call(None, "/v1/models", keys["free"]).json["data"]}
    assert {"cloud", "cloud-only"} <= free


def test_a_label_floor_can_not_be_talked_down(sidecar: Sidecar, keys: Keys) -> None:
    for said in ({}, {"x-firsthop-label": "public"}):
        told = sidecar.ask("the capital?", {**keys["private"], **said})
        assert (told.status, told.code) == (403, "forbidden_by_policy")


def test_a_rate_is_kept_and_says_when(sidecar: Sidecar, keys: Keys) -> None:
    replies = [sidecar.ask("the capital?", keys["slow"]) for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].code == "key_rate_reached"
    assert 1700 < int(replies[2].headers["retry-after"]) <= 1800


def test_what_asks_no_target_counts_too_but_for_the_probes(sidecar: Sidecar, keys: Keys) -> None:
    for key in ("reader", "watcher"):
        for path in ("/healthz", "/readyz"):
            assert {sidecar.call(None, path, keys[key]).status for _ in range(3)} == {200}
    for path in ("/v1/models", "/v1/models/auto", "/docs", "/openapi.json", "/v1/decisions/none"):
        assert sidecar.call(None, path, keys["reader"]).status in (200, 404)
    for path in ("/v1/models", "/v1/decisions/none", "/docs", "/v1/models/auto", "/openapi.json"):
        told = sidecar.call(None, path, keys["reader"])
        assert (told.status, told.code) == (429, "key_rate_reached")
        assert 700 < int(told.headers["retry-after"]) <= 720
    assert sidecar.ask("the capital?", keys["reader"]).status == 429
    assert [sidecar.call(None, "/metrics", keys["watcher"]).status for _ in range(2)] == [200, 429]


def test_with_no_dollars_left_the_device_still_answers(sidecar: Sidecar, keys: Keys) -> None:
    assert sidecar.ask("the capital?", keys["poor"]).json["router"]["route"] == ["device"]
    told = sidecar.ask("the capital?", keys["poor"], model="cloud")
    assert (told.status, told.code) == (402, "cost_limit_reached")


def test_nobody_books_himself_under_anothers_key(sidecar: Sidecar, keys: Keys) -> None:
    told = sidecar.ask("the capital?", {**keys["free"], "x-firsthop-tags": "firsthop_key=ops"})
    assert (told.status, told.code) == (400, "invalid_value")
    turns = [{"role": "user", "content": "the capital?"}]
    body = {"messages": turns, "metadata": {"firsthop_key": "ops"}}
    assert sidecar.call(body, headers=keys["free"]).status == 400


def test_a_decision_is_told_to_who_asked_and_to_observers(sidecar: Sidecar, keys: Keys) -> None:
    name = sidecar.ask("the capital?", keys["free"]).json["router"]["decision_id"]
    path = f"/v1/decisions/{name}"

    found = sidecar.call(None, path, keys["free"])
    assert found.json["request"]["tags"] == {"firsthop_key": "free"}
    assert sidecar.call(None, path, keys["bound"]).status == 404
    assert sidecar.call(None, path, keys["ops"]).status == 200
    assert sidecar.ask("the capital?", keys["ops"]).code == "not_permitted"


def metrics(server: Sidecar, headers: dict[str, str] | None = None) -> dict[Any, float]:
    reply = server.call(None, "/metrics", headers)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_metrics_are_an_observers_and_agree_with_what_was_asked(
    sidecar: Sidecar, keys: Keys
) -> None:
    assert sidecar.call(None, "/metrics", keys["free"]).status == 403
    before = metrics(sidecar, keys["ops"])
    sidecar.ask("something hard", keys["free"])
    sidecar.ask("the capital?", keys["free"], stream=True)
    sidecar.ask("the capital?", keys["free"], n=9)
    found = metrics(sidecar, keys["ops"])

    def grew(*name: str) -> float:
        return found[name] - before.get(name, 0)

    assert grew("firsthop_requests_total", "plain", "device>cloud", "answered") == 1
    assert grew("firsthop_requests_total", "plain", "device", "answered") == 1
    assert grew("firsthop_escalations_total", "plain") == 1
    assert grew("firsthop_turned_away_total", "400", "unsupported_value") == 1
    assert grew("firsthop_key_requests_total", "free", "answered") == 2
    assert grew("firsthop_cost_usd_total", "cloud") > 0
    assert found["firsthop_breaker_state", "cloud", "closed"] == 1
    assert found["firsthop_ledger_unwritten",] == 0
    assert found["firsthop_device_up",] == 0
    assert found["firsthop_requests_active",] == 0


def test_a_budget_counts_what_was_booked_however_a_request_ended(
    sidecar: Sidecar, keys: Keys
) -> None:
    rich = keys["rich"]
    replies = [
        sidecar.ask("something hard", rich),
        sidecar.ask("something hard", {**rich, "x-firsthop-cost-usd": "1"}),
    ]
    turns = [{"role": "user", "content": "an essay"}]
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream(
            "POST",
            f"{sidecar.url}/chat/completions",
            json={"messages": turns, "model": "cloud", "stream": True},
            headers=rich,
            timeout=0.05,
        ) as stream,
    ):
        stream.read()
    until(lambda: sidecar.last()[0].status == "cancelled")
    left = sidecar.booked(sidecar.last()[0].decision_id).hops[0].attempts[0]
    assert sidecar.ask("x", {**rich, "x-firsthop-label": "secret"}).status == 403
    assert sidecar.ask("x", rich, temperature=-1).status == 400

    spent = sum(Decimal(reply.json["router"]["cost_usd"]) for reply in replies)
    assert left.cost_usd is None
    assert left.estimate_usd
    found = metrics(sidecar, keys["ops"])
    assert found["firsthop_key_day_usd", "rich"] == pytest.approx(float(spent + left.estimate_usd))
    assert found["firsthop_turned_away_total", "400", "invalid_value"] >= 1


def test_what_is_refused_on_the_way_holds_no_dollars(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES, encoding="utf-8")
    unknown = """\
  dark: {tier: cloud-fast, provider: openai_compatible, model: new, base_url: "http://localhost:9"}
"""
    config = CONFIG.replace("ledger:", "prices: prices.yaml\nledger:") + unknown
    key = add(tmp_path / "keys.json", "some", day_usd=Decimal("1"))
    bounded = {**key, "x-firsthop-cost-usd": "0.6"}

    with serving(tmp_path, "--keys", str(tmp_path / "keys.json"), config=config) as server:
        for _ in range(2):  # a price that nobody knows is over no limit and under none
            told = server.ask("something hard", bounded)
            assert (told.status, told.code) == (400, "invalid_value"), told.json
        assert server.ask("something hard", bounded, model="cloud").status == 200


def test_without_keys_metrics_are_open_on_this_machine(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.ask("the capital?", {"authorization": "Bearer whatever"})
        assert metrics(server)["firsthop_requests_total", "plain", "device", "answered"] == 1


def test_a_key_holds_until_it_is_revoked_and_from_when_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = add(path, "first")
    with serving(tmp_path, "--keys", str(path)) as server:
        assert server.call(None, "/v1/models", first).status == 200
        second = add(path, "second")
        until(lambda: server.call(None, "/v1/models", second).status == 200)
        keyfile.revoke(path, "first")
        until(lambda: server.call(None, "/v1/models", first).status == 401)
        assert server.call(None, "/v1/models", second).status == 200


def test_any_other_address_takes_keys(tmp_path: Path) -> None:
    with listen("0.0.0.0", 0, keys=True) as found:
        assert found.getsockname()[0] == "0.0.0.0"
    path = tmp_path / "keys.json"
    key = add(path, "a")
    command = [sys.executable, "-m", "router", "serve", "-c", "scripted", "--host", "0.0.0.0"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--keys", str(path)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        port = re.search(r"0\.0\.0\.0:(\d+)/", process.stderr.readline())
        assert port is not None
        server = Sidecar(process, int(port[1]), tmp_path)
        named = {"host": "balancer.example:1"}  # any name will do: a key is asked for
        assert server.call(None, "/v1/models", named).status == 401
        assert server.call(None, "/v1/models", {**named, **key}).status == 200
        assert server.call(None, "/healthz", named).status == 200
        told = server.call(None, "/v1/models", {**named, **key, "origin": "http://evil.example"})
        assert told.status == 403
    finally:
        process.kill()
        process.wait(20)
        process.stderr.close()


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    path = tmp_path / "k.json"

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", *words, "--file", str(path)])

    rights = ("--policies", "auto,plain", "--label-floor", "pii", "--day-usd", "5")
    made = run("add", "web", *rights, "--rate", "60/min", "--tenant", "acme")
    assert made.exit_code == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith(keyfile.PREFIX)
    listed = run("list")
    for word in ("web", "acme", "auto, plain", "pii", "$5", "60/min"):
        assert word in listed.stdout
    assert key not in path.read_text() + listed.stdout
    (entry,) = json.loads(run("list", "--json").stdout)
    assert (entry["day_usd"], entry["label_floor"]) == ("5", "pii")
    for wrong in (
        ("add", "web"),
        ("add", "b", "--day-usd", "many"),
        ("add", "b", "--rate", "often"),
        ("revoke", "nobody"),
    ):
        assert isinstance(run(*wrong).exception, ConfigError)
    assert run("revoke", "web").exit_code == 0
    assert json.loads(run("list", "--json").stdout) == []
