"""`/v1/embeddings` through the sidecar: the official client in front, a server of others behind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import openai
import pytest
from openai.types import CreateEmbeddingResponse
from support.embedder import Embedder, embedder
from support.sidecar import Sidecar, serving, until
from support.strict import strictly

CONFIG = """\
version: 1
policy: ./plain.yaml
ledger: {{folder: ./ledger}}
prices: ./prices.yaml
targets:
  device:
    tier: device
    provider: scripted
    model: small
    options: {{steps: [{{text: hi}}]}}
  cloud:
    tier: cloud-fast
    provider: openai_compatible
    attempts: 1
    model: large
    base_url: {url}/v1
    api_key: {{file: ./key}}
    options: {{embeddings: embedder-1}}
"""
STAY_HOME = """\
policy: stay-home
summary: Nothing private leaves.
tiers: [device, cloud-fast]
guards:
  - id: private-stays-home
    when: {request.label: {is: pii}}
    forbid: [cloud-fast]
"""
PRICES = """\
prices:
  - id: embedder-1-price
    provider: openai_compatible
    model: embedder-1
    input_usd_per_1m: "0.02"
    output_usd_per_1m: "0"
    source: made up
    checked: 2026-11-22
    valid_from: 2026-01-01
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Embedder]:
    with embedder() as found:
        yield found


@pytest.fixture(scope="module")
def sidecar(upstream: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with door(upstream, tmp_path_factory.mktemp("embeddings")) as found:
        yield found


def door(upstream: Embedder, folder: Path, config: str = CONFIG) -> AbstractContextManager[Sidecar]:
    key = folder / "key"
    key.write_text("a-key", encoding="utf-8")
    key.chmod(0o600)
    (folder / "policies").mkdir()
    (folder / "policies" / "stay-home.yaml").write_text(STAY_HOME, encoding="utf-8")
    (folder / "prices.yaml").write_text(PRICES, encoding="utf-8")
    return serving(folder, config=config.format(url=upstream.url))


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sidecar.url, api_key="none", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("form", ["float", "base64"])
def test_bytes_come_back_as_they_came_and_the_call_is_booked_with_its_price(
    sidecar: Sidecar, upstream: Embedder, form: str
) -> None:
    asked = {"input": ["one", "two"], "encoding_format": form, "dimensions": 2, "user": "u"}
    reply = sidecar.call(asked, "/v1/embeddings", {"x-firsthop-tags": "team=search"})

    assert reply.body == upstream.sent[-1]
    sent = {"model": "embedder-1", "input": ["one", "two"], "encoding_format": form}
    assert upstream.asked[-1] == ("/v1/embeddings", "Bearer a-key", {**sent, "dimensions": 2})
    assert reply.headers["x-firsthop-route"] == "cloud/embeddings"
    assert Decimal(reply.headers["x-firsthop-cost-usd"]) == Decimal("0.00002")
    if form == "float":  # the client's type knows base64 only undone
        strictly(CreateEmbeddingResponse, reply.json)
    booked = sidecar.booked(reply.headers["x-firsthop-decision-id"])
    assert booked.request.status == "answered"
    assert booked.request.cost_usd == Decimal("0.00002")
    assert booked.request.tags == {"user": "u", "team": "search"}
    (hop,) = booked.hops
    assert (hop.target, hop.model) == ("cloud/embeddings", "embedder-1")


def test_the_client_gets_its_numbers(client: openai.OpenAI) -> None:
    for model in ("auto", "cloud", "embedder-1", "plain"):
        found = client.embeddings.create(model=model, input="hi")
        assert found.data[0].embedding == [0.5, -0.25, 1.0]
        assert found.usage.prompt_tokens == 1000


@pytest.mark.parametrize(
    ("model", "headers", "kind", "code"),
    [
        ("auto", {"label": "secret"}, openai.PermissionDeniedError, "forbidden_by_policy"),
        ("stay-home", {"label": "pii"}, openai.PermissionDeniedError, "forbidden_by_policy"),
        ("auto", {"cost-usd": "0.00000001"}, openai.APIStatusError, "cost_limit_reached"),
        ("cloud", {"target": "device"}, openai.BadRequestError, "invalid_value"),
        ("auto", {"target": "device"}, openai.NotFoundError, "model_not_found"),
    ],
)
def test_guards_and_limits_hold_before_anything_leaves(
    client: openai.OpenAI,
    upstream: Embedder,
    model: str,
    headers: dict[str, str],
    kind: type[openai.APIStatusError],
    code: str,
) -> None:
    before = len(upstream.asked)
    said = {f"x-firsthop-{name}": value for name, value in headers.items()}
    with pytest.raises(kind) as caught:
        client.embeddings.create(model=model, input="a few words", extra_headers=said)
    assert caught.value.code == code
    assert len(upstream.asked) == before
    client.embeddings.create(model="stay-home", input="hi")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": [1, 2]}, 400, "input[0]"),
        ({"input": [[1], [2]]}, 400, "input[0]"),
        ({"input": []}, 400, "input"),
        ({"input": ["x", ""]}, 400, "input[1]"),
        ({"input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"input": "x", "more": 1}, 400, "more"),
        ({"input": "x", "model": "device"}, 404, "model"),
        ({"input": "x", "model": "nothing"}, 404, "model"),
    ],
)
def test_what_can_not_be_honoured_is_refused_by_name(
    sidecar: Sidecar, body: object, status: int, param: str
) -> None:
    reply = sidecar.call(json.dumps(body).encode(), "/v1/embeddings")
    assert (reply.status, reply.json["error"]["param"]) == (status, param)


def test_chats_do_not_go_to_the_model_of_embeddings(sidecar: Sidecar) -> None:
    assert sidecar.ask("hello", model="device").json["choices"][0]["message"]["content"] == "hi"
    assert sidecar.call({"input": "x"}, "/v1/embeddings", method="GET").status == 405


def test_failures_are_told_and_booked(upstream: Embedder, tmp_path: Path) -> None:
    with door(upstream, tmp_path) as server:
        upstream.lost = 1
        short = server.call({"input": ["a", "b"]}, "/v1/embeddings")
        upstream.lost, upstream.status = 0, 429
        busy = server.call({"input": "a"}, "/v1/embeddings")
        upstream.status = 200
        assert (short.status, short.code) == (502, "bad_gateway")
        assert (busy.status, busy.code) == (429, "rate_limited")
        assert server.last()[0].status == "no_answer"


def test_a_client_that_leaves_stops_the_work(
    upstream: Embedder, sidecar: Sidecar, client: openai.OpenAI
) -> None:
    upstream.takes_s = 1.0
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).embeddings.create(model="auto", input="hi")
    left = time.time()
    until(lambda: sidecar.last()[0].status == "cancelled")
    upstream.takes_s = 0.0

    row = sidecar.last()[0]
    assert row.started_at + row.total_s <= left + 0.15


def test_without_a_target_that_has_them_it_is_a_404_that_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        reply = server.call({"input": "x"}, "/v1/embeddings")
    assert (reply.status, reply.code) == (404, "not_available")


def test_a_price_that_is_of_no_model_is_for_embeddings_too(
    upstream: Embedder, tmp_path: Path
) -> None:
    own = CONFIG.replace("prices: ./prices.yaml\n", "").replace(
        "    model: large\n", "    model: large\n    price: own-box\n"
    )
    with door(upstream, tmp_path, own) as server:
        reply = server.call({"input": "x"}, "/v1/embeddings")
    assert reply.headers["x-firsthop-cost-usd"] == "0"


def test_what_nobody_counted_costs_an_unknown_amount(upstream: Embedder, sidecar: Sidecar) -> None:
    upstream.counts = False
    reply = sidecar.call({"input": "x"}, "/v1/embeddings")
    upstream.counts = True

    assert reply.status == 200
    assert "x-firsthop-cost-usd" not in reply.headers
