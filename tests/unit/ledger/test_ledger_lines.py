from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from support.booking import (
    StepTrace,
    attempt,
    began,
    begin_line,
    close_line,
    closed,
    end_line,
    hop,
    label_line,
)

from router.hops import Attempt
from router.ledger.entry import MASK
from router.ledger.lines import (
    Begin,
    Close,
    End,
    Ended,
    Judged,
    Tokens,
    as_text,
    messages_of,
    read_line,
)
from router.types import Message, Usage

ERROR = "can't parse 'my secret plan'"


def test_every_line_is_one_line_and_reads_back_as_it_was() -> None:
    begin = begin_line(began("d1", tags={"a": "two\nlines\r\n\u2028"}))
    end = end_line("d1", 0, attempt("d1", cost_usd="0.0000382"), keep_text=False)
    close = close_line(closed("d1", hop("d1")), keep_text=False)
    label = label_line("d1", label_id="l1", at=1.0, good=True, score=0.5, note="fine", source="me")

    for line in (begin, end, close, label):
        assert line.endswith(b"\n")
        assert len(line.splitlines()) == 1

    read = read_line(begin)
    assert isinstance(read, Begin)
    assert (read.decision_id, read.target, read.cause) == ("d1", "device", "start")
    back = read_line(end)
    assert isinstance(back, End)
    assert back.attempt.cost_usd == Decimal("0.0000382")
    assert (back.attempt.usage.input_tokens, back.attempt.ttft_s) == (41, 0.25)
    over = read_line(close)
    assert isinstance(over, Close)
    assert over.hops[0].cost_usd == Decimal("0.25")
    assert as_text(over.trace) == '[{"kind":"route","start":"device"}]'
    judged = read_line(label)
    assert isinstance(judged, Judged)
    assert (judged.good, judged.score, judged.note) == (True, 0.5, "fine")


def test_what_is_not_known_stays_unknown() -> None:
    line = end_line("d1", 0, attempt("d1", cost_usd=None, ttft_s=None), keep_text=False)
    read = read_line(line)
    assert isinstance(read, End)
    assert read.attempt.cost_usd is None
    assert read.attempt.ttft_s is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"[]",
        b"{}",
        b'["begin"]',
        b'["begin",{}]',
        b'["begin",{"decision_id":"d","hop":-1,"attempt_id":"a","number":1,"target":"t"}]',
        b'["later",{"decision_id":"d"}]',
        b'["end",{"decision_id":"d","hop":0,"attempt":{"attempt_id":"a","number":99999999999999999999}}]',
        b'["end",{"decision_id":"d","hop":0,"attempt":{"attempt_id":"a","num',
        b'["label",{"decision_id":"\xff\xfe"}]',
        b"\x00" * 80,
        b'["begin",' + b"[" * 100_000,
    ],
)
def test_a_line_that_does_not_fit_is_none_and_never_half_a_row(raw: bytes) -> None:
    assert read_line(raw) is None


def test_a_line_of_an_older_version_may_lack_what_is_new_and_one_of_a_newer_may_have_more() -> None:
    old = (
        b'["begin",{"decision_id":"d","hop":0,"attempt_id":"a","number":1,"target":"t","new":[1]}]'
    )
    read = read_line(old)
    assert isinstance(read, Begin)
    assert read.policy is None
    assert as_text(read.tags) == "{}"


def test_a_result_of_an_older_version_says_nothing_of_queue_connection_and_estimate() -> None:
    old = b'["end",{"decision_id":"d","hop":0,"attempt":{"attempt_id":"a","number":1}}]'
    read = read_line(old)
    assert isinstance(read, End)
    told = read.attempt
    assert (told.queue_s, told.connect_s, told.reached, told.estimate_usd) == (None,) * 4


def test_odd_values_in_signals_and_tags_never_cost_a_line() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    signals: Any = {"a": Odd(), "b": Decimal("0.5"), "c": float("nan"), "d": {1, 2}.__class__}
    request = closed(
        "d1", hop("d1", signals=MappingProxyType(signals)), tags=MappingProxyType({"k": "v"})
    )
    read = read_line(close_line(request, keep_text=False))
    assert isinstance(read, Close)
    assert as_text(read.tags) == '{"k":"v"}'
    assert '"a":"odd"' in as_text(read.hops[0].signals)
    assert '"c":null' in as_text(read.hops[0].signals)


def test_half_a_surrogate_pair_is_replaced_and_the_rest_kept() -> None:
    odd = began("d1", tags={"name": "a\ud800b", "\udc00": ""}, started_at=float("nan"))
    read = read_line(begin_line(odd))
    assert isinstance(read, Begin)
    assert as_text(read.tags) == '{"name":"a?b","?":""}'
    assert read.started_at is None


def test_text_is_left_out_unless_it_is_kept() -> None:
    said = (Message(role="user", content="my secret plan"),)
    request = closed("d1", hop("d1"), messages=said, answer="a secret answer")

    without = close_line(request, keep_text=False)
    assert b"secret" not in without

    kept = read_line(close_line(request, keep_text=True))
    assert isinstance(kept, Close)
    assert messages_of(as_text(kept.messages)) == said
    assert kept.answer == "a secret answer"


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("context_length_exceeded", "context_length_exceeded"),
        ("Too.Many-2", "Too.Many-2"),
        ("bad input: my plan", MASK),
        ("x" * 65, MASK),
        ("", MASK),
        (None, None),
    ],
)
def test_a_targets_own_code_is_left_out_where_it_can_be_none_unless_text_is_kept(
    code: str | None, kept: str | None
) -> None:
    for keep_text, expected in ((False, kept), (True, code)):
        read = read_line(end_line("d1", 0, attempt("d1", error_code=code), keep_text=keep_text))
        assert isinstance(read, End)
        assert read.attempt.error_code == expected


def test_an_error_message_is_left_out_unless_text_is_kept() -> None:
    failed = attempt("d1", error_kind="refused", error_message=ERROR)
    assert b"secret" not in end_line("d1", 0, failed, keep_text=False)
    assert b"secret" in end_line("d1", 0, failed, keep_text=True)


def test_an_error_message_quoted_in_reasons_or_trace_is_cut_out() -> None:
    failed = attempt("d1", error_kind="refused", error_message=ERROR)
    request = closed(
        "d1",
        hop("d1", status="failed", attempts=(failed,), left=f"refused: {ERROR}"),
        hop("d1", 1, because=f"device failed: {ERROR}"),
        trace=StepTrace(({"kind": "hop", "left": [ERROR], "n": 1}, {ERROR: None})),
    )
    line = close_line(request, keep_text=False)
    assert b"secret" not in line
    read = read_line(line)
    assert isinstance(read, Close)
    assert read.hops[0].left == f"refused: {MASK}"
    assert as_text(read.trace) == f'[{{"kind":"hop","left":["{MASK}"],"n":1}},{{"{MASK}":null}}]'
    assert b"secret" in close_line(request, keep_text=True)


OLD_END = (
    b'["end",{"decision_id":"01M81Y7JVR","hop":0,"attempt":{"attempt_id":"01M81Y7JVRHG","number":1,'
    b'"started_at":1795361590.1367671,"total_s":0.1538,"ttft_s":0.1533,"tpot_s":null,"usage":'
    b'{"input_tokens":500,"output_tokens":20,"cached_input_tokens":null,"reasoning_tokens":null,'
    b'"cache_write_tokens":null},"cost_usd":"0.0000382","price":"openai_compatible/own-box@2024-01-01",'
    b'"model_served":"hop-model-2026-01-01","request_id":"chatcmpl-1","finish":"stop",'
    b'"error_kind":null,"error_code":null,"http_status":null,"error_message":null,"queue_s":0.0,'
    b'"connect_s":0.00144,"reached":true,"estimate_usd":null,"estimate":{"input_tokens":null,'
    b'"output_tokens":null,"cached_input_tokens":null,"reasoning_tokens":null,'
    b'"cache_write_tokens":null}}}]\n'
)
"""As it was written when a result still named all that is not known."""


def test_a_result_that_names_what_is_not_known_says_the_same_as_one_that_does_not() -> None:
    told = Attempt(
        attempt_id="01M81Y7JVRHG",
        number=1,
        started_at=1795361590.1367671,
        total_s=0.1538,
        ttft_s=0.1533,
        usage=Usage(input_tokens=500, output_tokens=20),
        cost_usd=Decimal("0.0000382"),
        price="openai_compatible/own-box@2024-01-01",
        model_served="hop-model-2026-01-01",
        request_id="chatcmpl-1",
        finish="stop",
        queue_s=0.0,
        connect_s=0.00144,
    )
    new = end_line("01M81Y7JVR", 0, told, keep_text=False)
    assert b"null" not in new
    assert len(new) < 0.7 * len(OLD_END)
    read = read_line(new)
    assert isinstance(read, End)
    assert read == read_line(OLD_END)


def test_a_result_s_line_holds_every_field_of_an_attempt() -> None:
    assert set(Ended.__struct_fields__) == {f.name for f in fields(Attempt)}
    assert set(Tokens.__struct_fields__) == {f.name for f in fields(Usage)}


def test_a_line_with_more_in_it_than_kind_and_payload_does_not_fit() -> None:
    line = begin_line(began("d1"))
    assert read_line(line[:-2] + b",1]\n") is None
