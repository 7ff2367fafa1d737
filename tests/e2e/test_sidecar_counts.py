"""What the official `anthropic` client asks beside messages: models, and the tokens of a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageTokensCount, ModelInfo
from support.sidecar import Sidecar, serving
from support.strict import strictly

HEADERS = {"anthropic-version": "2023-06-01", "x-api-key": "none"}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("sidecar")) as server:
        yield server


def opened(server: Sidecar) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"http://127.0.0.1:{server.port}", api_key="none", max_retries=0
    )


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[anthropic.Anthropic]:
    with opened(sidecar) as found:
        yield found


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_models_are_listed_in_the_dialect_that_asks(
    client: anthropic.Anthropic, sidecar: Sidecar
) -> None:
    names = [model.id for model in client.models.list()]
    paged = [model.id for model in client.models.list(limit=2)]
    listed = sidecar.call(None, "/v1/models").json

    assert names == paged == [model["id"] for model in listed["data"]]
    assert client.models.retrieve("cloud").display_name == "cloud"
    assert strictly(ModelInfo, sidecar.call(None, "/v1/models/auto", HEADERS).json).id == "auto"
    before = [model.id for model in client.models.list(before_id=names[-1], limit=1)]
    assert set(before) == set(names[:-1])
    for wrong in ("limit=0", "limit=x", "after_id=nobody", "before_id=auto&after_id=auto", "x=1"):
        reply = sidecar.call(None, f"/v1/models?{wrong}", HEADERS)
        assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert sidecar.call(None, "/v1/models/nobody", HEADERS).json["type"] == "error"


def test_tokens_that_nobody_here_can_count_are_not_made_up(client: anthropic.Anthropic) -> None:
    for model in ("auto", "cloud"):
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.messages.count_tokens(model=model, messages=user("hi"))
        assert caught.value.error_code == "not_available"


DEVICE = """\
version: 1
policy: ./plain.yaml
ledger: {folder: ./ledger}
targets:
  device: {tier: device, provider: device, model: smollm2-135m}
  cloud:
    tier: cloud-fast
    provider: scripted
    model: large
    options: {price: {input_usd_per_1m: "1", output_usd_per_1m: "2"}, steps: [{text: Yes.}]}
"""


def test_tokens_are_counted_by_the_device_as_it_reads_them(tmp_path: Path) -> None:
    with serving(tmp_path, config=DEVICE) as server, opened(server) as client:
        asked: Any = {"model": "auto", "system": "Be brief.", "messages": user("Is it raining?")}
        with pytest.raises(anthropic._exceptions.OverloadedError):
            client.messages.count_tokens(**asked)
        read = client.messages.create(**{**asked, "model": "device"}, max_tokens=2)
        raw = client.messages.with_raw_response.count_tokens(**asked)

        counted = raw.parse()
        usage = read.usage
        assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
        assert raw.headers["x-firsthop-counted-by"] == "device"
        assert strictly(MessageTokensCount, json.loads(raw.text())).input_tokens > 10
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(**{**asked, "model": "cloud"})
