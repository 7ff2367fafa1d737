"""What users write reaches the model as text, whatever it looks like."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.byte_level import SPECIAL as CHATML
from support.byte_level import build_byte_level
from support.effort import times
from support.tiny_phi3 import SPECIAL as PHI
from support.tiny_phi3 import build_tiny_phi3

from router.device.engine import EngineOptions
from router.device.onnx_genai import OnnxGenAI
from router.device.stop import StopStrings
from router.types import Message

FRAGMENTS = [
    *PHI,
    *CHATML,
    "<s>",
    "</s>",
    "<unk>",
    "<|im_",
    "end|>",
    "<|",
    "|>",
    "<",
    ">",
    "system",
    "\n",
    " ",
    "\ue000",
    "\ue0000\ue001",
    "\ue0001\ue001",
    "<0x0A>",
    "the end",
    "\u00e9\U0001f600",
]
contents = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_characters="\0\u2581"), max_size=4),
    max_size=8,
).map("".join)
conversations = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), contents), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    home = tmp_path_factory.mktemp("prompt")
    phi = build_tiny_phi3(home / "phi3")
    chatml = build_byte_level(phi, home / "chatml")
    return [OnnxGenAI(EngineOptions(folder=str(f), threads=1)) for f in (phi, chatml)]


def messages(conversation):
    return tuple(Message(role=role, content=text) for role, text in conversation)


def control_ids(engine, ids):
    return [i for i in ids if not engine._voice.pieces[i]]


@settings(max_examples=times(60), deadline=None)
@given(conversations)
def test_the_only_control_tokens_are_the_template_s(engines, conversation):
    plain = messages((role, "x") for role, _ in conversation)
    for engine in engines:
        ids = engine._voice.prompt.ids(messages(conversation))
        assert control_ids(engine, ids) == control_ids(engine, engine._voice.prompt.ids(plain))


@settings(max_examples=times(60), deadline=None)
@given(conversations)
def test_the_text_between_them_is_the_text_that_was_written(engines, conversation):
    phi, chatml = engines
    written = [text for _, text in conversation]

    turns = _between(chatml, chatml._voice.prompt.ids(messages(conversation)))[
        -2 * len(written) :: 2
    ]
    assert [turn.partition("\n")[2] for turn in turns] == written

    turns = _between(phi, phi._voice.prompt.ids(messages(conversation)))[: 2 * len(written) : 2]
    # This tokenizer takes the white space after a role for part of the role, and puts a space
    # before what follows, as its makers wanted.
    assert [turn.removeprefix(" ") for turn in turns] == [
        text.lstrip(" \t\r\n") for text in written
    ]


def _between(engine, ids):
    """Text of each run between control tokens; empty runs before the first are left out."""
    turns, run = [], []
    for i in ids:
        if engine._voice.pieces[i]:
            run.append(i)
        else:
            turns.append(run)
            run = []
    return [engine._voice.tongue.decode(turn) for turn in turns[1:]]


@settings(deadline=None)
@given(
    st.text("ab#\n", max_size=30),
    st.lists(st.text("ab#\n", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 5), min_size=1, max_size=30),
)
def test_stop_strings_end_an_answer_alike_however_it_is_cut(text, strings, cuts):
    whole = StopStrings(tuple(strings))
    expected, stopped = whole.feed(text)
    expected += "" if stopped else whole.flush()

    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    stops, seen = StopStrings(tuple(strings)), ""
    for piece in [*pieces, rest]:
        new, done = stops.feed(piece)
        seen += new
        if done:
            break
    else:
        seen += stops.flush()

    assert seen == expected
    assert not any(string in seen for string in strings)
