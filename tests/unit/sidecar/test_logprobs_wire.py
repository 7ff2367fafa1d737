"""Log-probabilities and embeddings on the wire by themselves."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from support.outcomes import outcome
from support.strict import strictly

from router.sidecar.wire import answers, chat, embeddings, logprobs
from router.sidecar.wire.failure import Refusal
from router.types import Chunk, TokenLogprob


def body(**more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], **more}).encode()


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 0}, {"logprobs": False}),
        ({"top_logprobs": 0}, {}),
        ({"logprobs": None, "top_logprobs": None}, {}),
    ],
)
def test_none_of_no_log_probabilities_asks_for_nothing(said: Any, wanted: Any) -> None:
    assert chat.read(body(**said)).options == wanted


PIECES = (  # a letter of two bytes, in two tokens
    TokenLogprob(token="é", logprob=-0.5),
    TokenLogprob(token="\ufffd", logprob=-1.0, raw=b"\xc3"),
    TokenLogprob(token="\ufffd", logprob=-2.0, raw=b"\xa9"),
    TokenLogprob(token="!", logprob=0.0, top=(TokenLogprob(token="?", logprob=-3.0),)),
)


def test_log_probabilities_have_the_shape_of_their_api() -> None:
    events = answers.Chunks("chat", "D", 1, "m", usage=False)
    event = events.chunk(Chunk(text="éé!", logprobs=PIECES)).decode()
    choice = strictly(ChatCompletionChunk, json.loads(event.removeprefix("data: "))).choices[0]

    assert choice.delta.content == "éé!"
    assert [one.bytes for one in choice.logprobs.content] == [None, [0xC3], [0xA9], None]
    assert choice.logprobs.content[3].top_logprobs[0].token == "?"
    old = json.loads(answers.whole("text", 1, "éé!", [], outcome(), PIECES))
    told = strictly(Completion, old, "router").choices[0].logprobs
    assert told.text_offset == [0, 1, 1, 2]
    assert told.token_logprobs == [-0.5, -1.0, -2.0, 0.0]
    assert told.top_logprobs[3] == {"?": -3.0}
    assert logprobs.part(PIECES)[0]["bytes"] == [0xC3, 0xA9]


def test_offsets_go_on_from_event_to_event() -> None:
    events = answers.Chunks("text", "D", 1, "m", usage=False)
    told = [
        json.loads(events.chunk(Chunk(text="x", logprobs=(one,))).removeprefix(b"data: "))
        for one in PIECES
    ]
    offsets = [event["choices"][0]["logprobs"]["text_offset"] for event in told]
    assert offsets == [[0], [1], [1], [2]]


def test_a_whole_answer_without_them_says_null() -> None:
    for kind in ("chat", "text"):
        said = json.loads(answers.whole(kind, 1, "x", [], outcome()))
        assert said["choices"][0]["logprobs"] is None


def test_texts_and_nothing_else_are_embedded() -> None:
    raw = json.dumps({"input": "x", "dimensions": 2, "user": "u"}).encode()
    asked, fields = embeddings.read(raw)
    assert asked.messages == [{"role": "user", "content": "x"}]
    assert (asked.model, asked.options, fields) == (
        "auto",
        {"tags": {"user": "u"}},
        {"dimensions": 2},
    )


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=5))
def test_any_input_is_a_request_or_a_refusal(said: Any) -> None:
    with contextlib.suppress(Refusal):
        embeddings.read(json.dumps({"input": said}).encode())
