"""Several choices of one request (`n`): the official client, the street, the ledger, the bounds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.keys import add
from support.sidecar import CONFIG, Sidecar, serving, until
from support.strict import strictly

BY_TURNS = """\
  turns:
    tier: cloud-fast
    provider: scripted
    attempts: 1
    model: by-turns
    options:
      price: {input_usd_per_1m: "1", output_usd_per_1m: "2"}
      steps:
        - {match: three times, text: a b c d e f, tpot_s: 0.05, ttft_s: 0.05}
        - {text: the first}
        - {text: and the second one}
        - {fail: {kind: refused}, ttft_s: 0.2}
"""
PRICES = """\
prices:
  - {id: a, provider: scripted, model: by-turns, input_usd_per_1m: "1", output_usd_per_1m: "2",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01}
  - {id: b, provider: scripted, model: large, input_usd_per_1m: "1", output_usd_per_1m: "500",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01}
  - {id: c, provider: scripted, model: small, input_usd_per_1m: "0", output_usd_per_1m: "0",
     source: a test, checked: 2026-11-01, valid_from: 2026-01-01, basis: own box}
"""
PRICED = CONFIG.replace("ledger:", "prices: prices.yaml\nledger:") + BY_TURNS


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("choices")
    (folder / "prices.yaml").write_text(PRICES, encoding="utf-8")
    with serving(folder, "--max-concurrent", "6", config=PRICED) as server:
        yield server


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sidecar.url, api_key="none", max_retries=0) as found:
        yield found


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def events(body: bytes) -> list[Any]:
    return [json.loads(e[6:]) for e in body.decode().split("\n\n") if e.startswith("data: {")]


def test_each_choice_is_a_decision_of_its_own(client: openai.OpenAI, sidecar: Sidecar) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="turns", messages=user("something hard"), n=2, user="ada"
    )
    said = json.loads(raw.content)
    answer = strictly(ChatCompletion, said, "router")

    assert [choice.index for choice in answer.choices] == [0, 1]
    texts = [choice.message.content for choice in answer.choices]
    assert sorted(filter(None, texts)) == ["and the second one", "the first"]
    router = said["router"]
    each = router["decisions"]
    assert [one["answered_by"] for one in each] == ["turns", "turns"]
    assert (router["hops"], router["route"], router["answered_by"]) == (2, ["turns"], "turns")
    assert said["id"] == "chatcmpl-" + router["decision_id"]
    assert router["decision_id"] == each[0]["decision_id"] != each[1]["decision_id"]
    rows = [sidecar.booked(one["decision_id"]) for one in each]
    counted = [row.hops[0].attempts[0] for row in rows]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(one.input_tokens or 0 for one in counted)
    assert answer.usage.completion_tokens == sum(one.output_tokens or 0 for one in counted) == 6
    cost = sum(Decimal(one["cost_usd"]) for one in each)
    assert Decimal(router["cost_usd"]) == cost > 0
    assert Decimal(raw.headers["x-firsthop-cost-usd"]) == cost
    assert raw.headers["x-firsthop-decision-id"] == router["decision_id"]
    assert raw.headers["x-firsthop-hops"] == "2"
    for i, row in enumerate(rows):
        assert row.request.tags["firsthop_request"] == router["decision_id"]
        assert (row.request.tags["firsthop_choice"], row.request.tags["user"]) == (str(i), "ada")


def test_what_one_choice_kept_and_another_did_not_is_said_of_each(sidecar: Sidecar) -> None:
    said = sidecar.ask("The capital of France?", n=3).json
    assert [c["message"]["content"] for c in said["choices"]] == [
        "The capital of France is Paris."
    ] * 3
    assert said["model"] == "small"
    assert (said["router"]["certified"], said["router"]["route"]) == (False, ["device"])
    assert said["router"]["total_s"] == max(one["total_s"] for one in said["router"]["decisions"])


def test_a_stream_has_both_choices_as_they_come(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="turns",
        messages=user("three times"),
        n=3,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    order = [chunk.choices[0].index for chunk in chunks if chunk.choices]
    for index in range(3):
        mine = [c for c in chunks if c.choices and c.choices[0].index == index]
        assert mine[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in mine) == "a b c d e f"
        assert [c.choices[0].finish_reason for c in mine if c.choices[0].finish_reason] == ["stop"]
        assert (mine[-1].model_extra or {})["router"]["route"] == ["turns"]
        # They run at the same time: each begins before another has ended.
        assert order.index(index) < min(
            max(i for i, one in enumerate(order) if one == other) for other in range(3)
        )
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert [chunk.usage is not None for chunk in chunks].count(True) == 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 18


def test_a_stream_is_what_the_clients_types_say_and_ends_once(sidecar: Sidecar) -> None:
    body = sidecar.ask("something hard", n=2, stream=True, model="auto").body
    assert body.endswith(b"data: [DONE]\n\n")
    assert body.count(b"[DONE]") == 1
    assert b"DROPPED" not in body
    found = events(body)
    for event in found:
        strictly(ChatCompletionChunk, event, "router")
    ids = {e["router"]["decision_id"] for e in found if "router" in e}
    assert len(ids) == 2


def test_the_older_form_has_it_too_each_choice_with_its_probabilities(sidecar: Sidecar) -> None:
    asked = {"prompt": "The capital of France?", "n": 2, "logprobs": 1}
    said = sidecar.call(asked, "/v1/completions").json
    answer = strictly(Completion, said, "router")
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.text == "The capital of France is Paris."
        assert choice.logprobs is not None
        assert choice.logprobs.token_logprobs == [-0.1] * 6
        assert (choice.logprobs.text_offset or [None])[0] == 0
    chat = sidecar.ask("The capital of France?", n=2, logprobs=True).json
    assert all(len(c["logprobs"]["content"]) == 6 for c in chat["choices"])
    tokens: dict[int, list[int]] = {0: [], 1: []}
    for event in events(sidecar.call({**asked, "stream": True}, "/v1/completions").body):
        for choice in event["choices"]:
            tokens[choice["index"]] += (choice["logprobs"] or {}).get("text_offset", [])
    assert tokens[0] == tokens[1] == sorted(tokens[0])
    assert len(tokens[0]) == 6


@pytest.mark.parametrize("n", [0, 9, -1, True, "2", 1.5, [2], 10**30])
def test_how_many_is_bounded_and_a_number(sidecar: Sidecar, n: Any) -> None:
    for reply in (
        sidecar.ask("The capital?", n=n),
        sidecar.call({"prompt": "The capital?", "n": n}, "/v1/completions"),
    ):
        assert (reply.status, reply.code) == (400, "unsupported_value")
        assert reply.json["error"]["param"] == "n"


def test_each_choice_takes_a_place(sidecar: Sidecar) -> None:
    assert sidecar.ask("The capital?", n=6).status == 200
    told = sidecar.ask("The capital?", n=7)
    assert (told.status, told.code, told.json["error"]["param"]) == (400, "unsupported_value", "n")
    with httpx.stream(
        "POST",
        f"{sidecar.url}/chat/completions",
        json={"model": "cloud", "messages": user("an essay"), "n": 4, "stream": True},
    ) as stream:
        lines = stream.iter_lines()  # without a name it would end at once, and the client leave
        next(lines)
        told = sidecar.ask("The capital?", n=3)
        assert (told.status, told.code) == (429, "too_many_requests")
        assert sidecar.ask("The capital?", n=2).status == 200
    until(lambda: sidecar.ask("The capital?", n=6).status == 200)


def test_a_client_that_leaves_stops_all_of_them_within_150_ms(sidecar: Sidecar) -> None:
    asked = {"model": "cloud", "messages": user("never answers"), "n": 3}
    for stream in (False, True):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{sidecar.url}/chat/completions", json={**asked, "stream": stream}, timeout=0.4
            )
        left = time.time()
        until(lambda: [row.status for row in sidecar.last(3)] == ["cancelled"] * 3)
        assert all(row.started_at + row.total_s <= left + 0.15 for row in sidecar.last(3))


def test_one_that_fails_ends_the_request_and_the_others_are_booked(tmp_path: Path) -> None:
    """The third call of the target fails after a while; the others have ended, or are stopped."""
    with serving(tmp_path, config=CONFIG + BY_TURNS) as server:
        turns = {"model": "turns", "messages": user("hm")}
        told = server.call({**turns, "n": 3})
        assert (told.status, told.code) == (400, "refused_by_target")
        assert told.json["router"]["route"] == ["turns"]
        rows = server.last(3)
        assert sorted(row.status for row in rows) == ["answered", "answered", "no_answer"]
        body = server.ask("it breaks off", n=2, stream=True).body
        assert b'"error"' in body.rpartition(b"data: ")[2]
        assert b"[DONE]" not in body


def test_each_choice_counts_in_a_keys_rate_and_in_its_dollars(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    slow = add(keys, "slow", rate="3/h")
    with serving(tmp_path, "--keys", str(keys)) as server:
        told = server.ask("The capital?", slow, n=4)
        assert (told.status, told.code, told.json["error"]["param"]) == (
            400,
            "unsupported_value",
            "n",
        )
        told = server.ask("The capital?", slow, n=3)  # one token went with the refusal
        assert (told.status, told.code) == (429, "key_rate_reached")
    with serving(tmp_path, "--keys", str(keys)) as server:
        assert server.ask("The capital?", slow, n=3).status == 200
        assert server.ask("The capital?", slow).status == 429
        tags = [row.request.tags for row in map(server.booked, _ids(server, 3))]
        assert {tag["firsthop_key"] for tag in tags} == {"slow"}


def _ids(server: Sidecar, most: int) -> list[str]:
    return [row.decision_id for row in server.last(most)]


def test_what_a_caller_gives_is_for_all_choices_together(tmp_path: Path) -> None:
    """A call of 100 tokens of the cloud may cost 0.05 dollars here, and a little for the prompt."""
    (tmp_path / "prices.yaml").write_text(PRICES, encoding="utf-8")
    with serving(tmp_path, config=PRICED) as server:
        asked = {"model": "cloud", "messages": user("hm"), "max_tokens": 100}
        one = server.call(asked, headers={"x-firsthop-cost-usd": "0.06"})
        assert one.status == 200, one.body
        two = server.call({**asked, "n": 2}, headers={"x-firsthop-cost-usd": "0.06"})
        assert (two.status, two.code) == (402, "cost_limit_reached")
        assert server.call({**asked, "n": 2}, headers={"x-firsthop-cost-usd": "0.12"}).status == 200
