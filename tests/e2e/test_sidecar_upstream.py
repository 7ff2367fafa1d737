"""A sidecar before a sidecar: the lean transport under the server's own event loop, end to end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from support.sidecar import Sidecar, serving, until

CONFIG = """\
version: 1
policy: ./plain.yaml
ledger: {{folder: ./ledger}}
targets:
  cloud:
    tier: cloud-fast
    provider: openai_compatible
    transport: {transport}
    attempts: 1
    model: cloud
    base_url: {url}
    price: own-box
"""


@pytest.fixture(scope="module", params=["lean", "sdk"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sidecar, Sidecar]]:
    with serving(tmp_path_factory.mktemp("upstream")) as upstream:
        config = CONFIG.format(url=upstream.url, transport=request.param)
        with serving(tmp_path_factory.mktemp("door"), config=config) as door:
            yield door, upstream


def test_an_answer_comes_through_both_whole_and_streamed(pair: tuple[Sidecar, Sidecar]) -> None:
    door, upstream = pair
    for _ in range(3):  # on kept connections, too
        answer = door.ask("something").json
        assert answer["choices"][0]["message"]["content"] == "An answer of the cloud."
    streamed = door.ask("something", stream=True)
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert b'"model":"large"' in streamed.body
    assert upstream.last()[0].status == "answered"


def test_what_breaks_off_upstream_ends_in_an_error_event(pair: tuple[Sidecar, Sidecar]) -> None:
    door, _ = pair
    body = door.ask("it breaks off", stream=True).body

    assert b"one" in body
    assert b'"error"' in body.rpartition(b"data: ")[2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_upstream_within_150_ms(
    pair: tuple[Sidecar, Sidecar], stream: bool
) -> None:
    door, upstream = pair
    asked = {"messages": [{"role": "user", "content": "it never answers"}], "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{door.url}/chat/completions", json=asked, timeout=0.4)
    left = time.time()
    until(lambda: upstream.last()[0].status == "cancelled")

    for server in (door, upstream):
        row = server.last()[0]
        assert row.status == "cancelled"
        assert row.started_at + row.total_s <= left + 0.15
