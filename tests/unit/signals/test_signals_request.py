"""What is known of a request before any model has run; and that the catalogue says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals import CATALOGUE, AtMost, draft_signals, prompt_bound, request_signals
from router.signals.render import page
from router.types import LABELS, Completion, Finish, Message, Request, TokenStat, Usage

PAGE = Path(__file__).parents[3] / "docs" / "signals.md"


def request(*texts: str, **fields: object) -> Request:
    turns = tuple(Message(role="user", content=text) for text in texts)
    return Request(messages=turns, **fields)  # type: ignore[arg-type]


def test_the_devices_own_count_is_taken_where_there_is_one() -> None:
    found = request_signals(request("hello", "again", label="pii"), 17)

    assert found == {"prompt.tokens": 17, "prompt.turns": 2, "request.label": "pii"}


def test_without_a_count_there_is_a_bound_by_bytes_that_says_it_is_one() -> None:
    found = request_signals(request("h\N{LATIN SMALL LETTER E WITH ACUTE}", "ab"), None)

    assert found["prompt.tokens"] == AtMost(3 + 2 + 2 * 64 + 256)
    assert str(found["prompt.tokens"]) == "at most 389"


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_the_bound_is_never_below_a_token_for_each_byte(texts: list[str]) -> None:
    messages = tuple(Message(role="user", content=text) for text in texts)

    bytes_ = sum(len(text.encode("utf-8")) for text in texts)

    assert prompt_bound(messages).bound >= bytes_ + len(messages)


def test_half_a_surrogate_pair_has_a_bound_too() -> None:
    assert prompt_bound((Message(role="user", content="\ud800"),)).bound >= 3


# The catalogue


def test_the_page_of_signals_is_the_catalogues() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/signals.md is behind the catalogue; run: "
        "python -m router.signals.render > docs/signals.md"
    )


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_signal_is_documented(name: str) -> None:
    row = next(r for r in PAGE.read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in r)

    assert CATALOGUE[name].summary in row
    assert CATALOGUE[name].source in row


def test_signals_are_measured_when_the_catalogue_says_they_are_known() -> None:
    of_request = request_signals(request("x"), None)
    of_draft = draft_signals(Completion(text="x"))

    assert [s.name for s in CATALOGUE.values() if s.known == "request"] == list(of_request)
    assert [s.name for s in CATALOGUE.values() if s.known == "draft"] == list(of_draft)


def test_each_signal_has_a_room_and_words_or_a_number() -> None:
    for name, signal in CATALOGUE.items():
        room, _, word = name.partition(".")
        assert signal.name == name
        assert room in ("prompt", "request", "draft")
        assert word
        assert bool(signal.words) == (signal.type == "word")
        assert signal.summary.endswith(".")


stats = st.builds(
    TokenStat,
    st.floats(-50, 0),
    entropy=st.none() | st.floats(0, 12),
    margin=st.none() | st.floats(0, 1),
)
finishes: st.SearchStrategy[Finish | None] = st.sampled_from(
    [None, "stop", "length", "content_filter", "cancelled"]
)


@given(
    tokens=st.lists(stats, max_size=8),
    finish=finishes,
    output_tokens=st.none() | st.integers(0, 9),
    counted=st.none() | st.integers(1, 9),
    label=st.sampled_from(LABELS),
)
def test_every_value_is_one_that_the_catalogue_allows(
    tokens: list[TokenStat],
    finish: Finish | None,
    output_tokens: int | None,
    counted: int | None,
    label: str,
) -> None:
    usage = Usage(output_tokens=output_tokens)
    draft = Completion(text="x", tokens=tuple(tokens), finish=finish, usage=usage)
    found = {**request_signals(request("x", label=label), counted), **draft_signals(draft)}

    for name, value in found.items():
        signal = CATALOGUE[name]
        if value is None or isinstance(value, AtMost):
            assert signal.may_be_unknown
        elif signal.type == "word":
            assert value in signal.words
        else:
            assert isinstance(value, (int, float))
            assert signal.low is None or value >= signal.low
            assert signal.high is None or value <= signal.high + 1e-12
