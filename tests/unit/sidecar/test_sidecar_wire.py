"""The sidecar's wire by itself: bodies read, errors told, answers written."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import openai.types.chat.completion_create_params as params
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.outcomes import outcome

from router.errors import (
    AuthFailed,
    BadWire,
    ConfigError,
    ContentFiltered,
    Filtered,
    Forbidden,
    Gone,
    HopError,
    Incapable,
    LedgerError,
    LimitReached,
    ModelError,
    NoAnswer,
    NotSent,
    RateLimited,
    Refused,
    RouterError,
    TimedOut,
    Unavailable,
)
from router.sidecar.wire import answers, caller, chat, text
from router.sidecar.wire.failure import Refusal, failure_of, router_headers
from router.types import ToolCall, Usage


def body(**more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], **more}).encode()


def refusal(raw: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        chat.read(raw)
    return caught.value


def test_every_field_that_openai_documents_is_passed_on_or_refused_never_dropped() -> None:
    """A field of ours that is neither in a table nor read by name would be dropped in silence."""
    documented = set(params.CompletionCreateParamsBase.__annotations__) | {"stream"}
    passed = set(chat.PASSED)
    by_name = {"messages", "model", "stream", "stream_options", "max_tokens"}
    by_name |= {"max_completion_tokens", "metadata", "user", "n", "prompt_cache_key"}
    ours = set(chat.Body.__struct_fields__)

    assert ours == passed | by_name | set(chat.NEUTRAL)
    assert ours <= documented
    for name in documented - ours:
        assert refusal(body(**{name: "x"})).failure.param == name


@pytest.mark.parametrize(
    ("name", "value"), [("n", True), ("store", 0), ("response_format", {"type": "json_schema"})]
)
def test_what_only_python_takes_for_the_same_is_refused(name: str, value: Any) -> None:
    assert (refusal(body(**{name: value})).failure.param or "").startswith(name)


@pytest.mark.parametrize("name", sorted(chat.NEUTRAL))
def test_a_field_that_can_not_be_honoured_may_only_say_what_changes_nothing(name: str) -> None:
    for value in (None, *chat.NEUTRAL[name]):
        chat.read(body(**{name: value}))
    assert refusal(body(**{name: "something else"})).failure.param == name


def test_what_clients_send_back_of_an_answer_is_taken() -> None:
    said = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}],
    }
    raw = json.dumps({"messages": [{"role": "developer", "content": "be kind"}, said]}).encode()

    assert chat.read(raw).messages == [
        {"role": "system", "content": "be kind"},
        {"role": "assistant", "tool_calls": said["tool_calls"]},
    ]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": "x", "name": "Ada"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "high"}}],
        },
    ],
)
def test_what_a_turn_says_and_no_target_hears_is_refused(turn: Any) -> None:
    raw = json.dumps({"messages": [turn]}).encode()
    param = refusal(raw).failure.param

    assert param is not None
    assert param.startswith("messages[0].")


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(st.sampled_from(chat.Body.__struct_fields__), inside, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    for read in (chat.read, text.read):
        with contextlib.suppress(Refusal):
            read(raw)


@given(st.text(), st.sampled_from(["chat", "text"]), st.booleans())
def test_any_text_comes_through_a_chunk_as_it_was(said: str, surface: Any, usage: bool) -> None:
    chunks = answers.Chunks(surface, "D", 1, "m", usage=usage)
    if any("\ud800" <= letter <= "\udfff" for letter in said):
        return  # the street lets no such text in
    event = chunks.text(said).decode()

    assert event.count("\n\n") == 1
    choice = json.loads(event.removeprefix("data: "))["choices"][0]
    assert (choice["delta"]["content"] if surface == "chat" else choice["text"]) == said


@pytest.mark.parametrize(
    ("finish", "calls", "wanted"),
    [
        ("stop", False, "stop"),
        ("length", False, "length"),
        ("content_filter", False, "content_filter"),
        ("stop", True, "tool_calls"),
        (None, True, "tool_calls"),
        (None, False, "stop"),
    ],
)
def test_the_finish_reason_is_one_that_openai_has(finish: Any, calls: bool, wanted: str) -> None:
    made = [ToolCall(id="1", name="f", arguments="{}")] if calls else []
    said = json.loads(answers.whole("chat", 1, "", made, outcome(finish)))

    assert said["choices"][0]["finish_reason"] == wanted
    assert said["router"]["finish"] == finish


def test_what_nobody_counted_or_priced_is_not_said() -> None:
    said = json.loads(answers.whole("chat", 1, "x", [], outcome(usage=Usage(input_tokens=3))))

    assert "usage" not in said
    assert said["router"]["cost_usd"] is None
    assert b"x-firsthop-cost-usd" not in dict(router_headers(outcome()))


def unanswered(*causes: HopError, kind: type[NoAnswer] = NoAnswer) -> NoAnswer:
    error = kind("nobody")
    error.__cause__ = ExceptionGroup("hops", list(causes)) if causes else None
    return error


ERRORS: list[tuple[RouterError, int]] = [
    (ConfigError("wrong", field="x"), 400),
    (ModelError("not there"), 503),
    (LedgerError("full"), 503),
    (Forbidden("no"), 403),
    (LimitReached("no", limit="deadline_s"), 504),
    (LimitReached("no", limit="cost_usd"), 402),
    (LimitReached("no", limit="hops"), 502),
    (unanswered(), 503),
    (unanswered(Incapable("x"), Incapable("y")), 400),
    (unanswered(Refused("x")), 400),
    (unanswered(Filtered("x")), 400),
    (unanswered(Filtered("x"), kind=ContentFiltered), 400),
    (unanswered(RateLimited("x")), 429),
    (unanswered(TimedOut("x")), 504),
    (unanswered(Unavailable("x")), 503),
    (unanswered(NotSent("x")), 503),
    (unanswered(AuthFailed("x")), 502),
    (unanswered(Gone("x")), 502),
    (unanswered(BadWire("x")), 502),
    (unanswered(Unavailable("x"), RateLimited("y")), 502),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_every_error_has_its_status_and_openais_shape(error: RouterError, status: int) -> None:
    failure = failure_of(error)
    said = json.loads(failure.body())["error"]

    assert failure.status == status
    assert set(said) == {"message", "type", "param", "code"}
    assert said["code"]
    again = dict(failure.headers)[b"x-should-retry"]
    assert again == (b"true" if status in (429, 503) else b"false")


def test_every_kind_of_hop_error_was_tried_above() -> None:
    tried = {
        type(c)
        for e, _ in ERRORS
        if isinstance(e.__cause__, ExceptionGroup)
        for c in e.__cause__.exceptions
    }
    assert tried == set(HopError.__subclasses__())


def test_the_shortest_wait_of_all_is_what_a_client_is_told() -> None:
    error = unanswered(RateLimited("x", retry_after_s=7.2), RateLimited("y", retry_after_s=0.1))
    assert dict(failure_of(error).headers)[b"retry-after"] == b"1"


def test_headers_beat_metadata_and_other_words_of_it_are_tags() -> None:
    found = caller.options_of(
        caller.headers_of(
            [
                (b"x-firsthop-label", b"pii"),
                (b"x-firsthop-tags", "a=1, b=é".encode()),
                (b"x-other", b"1"),
            ]
        ),
        {"firsthop_label": "public", "firsthop_cost_usd": "0.01", "a": "0", "team": "t"},
    )

    assert found == {
        "label": "pii",
        "cost_usd": "0.01",
        "tags": {"a": "1", "b": "é", "team": "t"},
    }
    assert Decimal(str(found["cost_usd"])) == Decimal("0.01")
