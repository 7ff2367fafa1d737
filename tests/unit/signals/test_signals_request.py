"""What is known of a request before any model has run; and that the catalogue says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.confided import OF_CONFIDENCE
from router.policy.opinions import OPINIONS
from router.signals import (
    CATALOGUE,
    AtMost,
    Signal,
    Value,
    draft_signals,
    prompt_bound,
    request_signals,
    wanted_signals,
)
from router.signals.catalogue import FAMILIES, find_signal
from router.signals.prompt import PER_TOOL, _counted
from router.signals.render import page
from router.types import (
    LABELS,
    Completion,
    Finish,
    Image,
    Label,
    Message,
    Request,
    TokenStat,
    Tool,
    ToolCall,
    Usage,
)

PAGE = Path(__file__).parents[3] / "docs" / "signals.md"
OF_REQUEST = frozenset(
    name
    for name in CATALOGUE
    if name.partition(".")[0] in ("prompt", "request", "complexity")
    and name != "prompt.escalation_chance"
)
OF_DRAFT = (
    frozenset(name for name in CATALOGUE if name.startswith("draft."))
    - OF_CONFIDENCE
    - OPINIONS
    - {"draft.same_as_before"}
)


def request(*texts: str, **fields: Any) -> Request:
    return Request(messages=tuple(Message(role="user", content=t) for t in texts), **fields)


def found(asked: Request, *names: str, **given_: Value) -> dict[str, Value]:
    values = {name.replace("_", ".", 1): value for name, value in given_.items()}
    return request_signals(asked, asked.label or "public", frozenset(names), values)


def test_the_devices_own_count_is_taken_where_there_is_one() -> None:
    assert found(request("hello"), "prompt.tokens", prompt_tokens=17) == {"prompt.tokens": 17}


def test_without_a_count_there_is_a_bound_by_bytes_that_says_it_is_one() -> None:
    asked = request("h\N{LATIN SMALL LETTER E WITH ACUTE}", "ab")

    bound = found(asked, "prompt.tokens")["prompt.tokens"]

    assert bound == AtMost(3 + 2 + 2 * 64 + 256)
    assert str(bound) == "at most 389"


def test_only_what_is_wanted_and_known_here_is_found_out() -> None:
    names = ("prompt.turns", "device.queue", "world.hour", "prompt.escalation_chance", "no.such")

    assert found(request("x"), *names, prompt_tokens=17) == {"prompt.turns": 1}
    assert found(request("x")) == {}


def test_a_request_without_anything_has_what_the_catalogue_says_for_absent() -> None:
    values = found(request("x"), *OF_REQUEST)

    for name, value in values.items():
        if CATALOGUE[name].absent is not None:
            assert value == CATALOGUE[name].absent, name
    assert "request.max_output_tokens" not in values, "only the caller or the device says"


def test_what_the_caller_said_is_passed_on() -> None:
    asked = request("x", tenant="acme", tags={"team": "search"}, max_output_tokens=9, label="pii")
    names = ("request.tenant", "request.tags.team", "request.tags.floor", "request.label")

    assert found(asked, *names, "request.max_output_tokens") == {
        "request.tenant": "acme",
        "request.tags.team": "search",
        "request.tags.floor": "",
        "request.label": "pii",
        "request.max_output_tokens": 9,
    }
    capped = found(request("x"), "request.max_output_tokens", request_max_output_tokens=512)
    assert capped == {"request.max_output_tokens": 512}


def test_pictures_and_their_frames_are_counted_and_an_unknown_one_makes_the_sum_unknown() -> None:
    def pictures(*frames: int | None) -> Request:
        images = tuple(Image(url="https://example.org/a.gif", frames=count) for count in frames)
        return Request(messages=(Message(role="user", content="see", images=images),))

    names = ("prompt.images", "prompt.frames")

    assert found(pictures(1, 12), *names) == {"prompt.images": 2, "prompt.frames": 13}
    assert found(pictures(1, None), *names) == {"prompt.images": 2, "prompt.frames": None}


def test_tools_json_and_a_tool_loop_are_seen() -> None:
    messages = (
        Message(role="user", content="What time is it?"),
        Message(
            role="assistant", content="", tool_calls=(ToolCall(id="1", name="clock", arguments=""),)
        ),
        Message(role="tool", content="noon", tool_call_id="1"),
    )
    names = ("request.tools", "request.json", "request.tool_result")

    inside = Request(messages=messages, tools=(Tool(name="clock"),), json=True, json_schema={})

    assert found(inside, *names) == {
        "request.tools": 1,
        "request.json": "schema",
        "request.tool_result": True,
    }
    assert found(request("x", json=True), "request.json") == {"request.json": "object"}


def test_a_short_last_message_is_in_the_language_of_the_one_before() -> None:
    asked = request("Warum ist das Meer blau?", "Und 7 * 3?")

    assert found(asked, "prompt.language") == {"prompt.language": "de"}
    assert found(request("OK"), "prompt.language") == {"prompt.language": None}


def test_the_assistants_words_are_not_the_users() -> None:
    messages = (
        Message(role="user", content="2 + 2?"),
        Message(role="assistant", content="The answer to your question is four, of course."),
    )

    asked = Request(messages=messages)

    assert found(asked, "prompt.language", "prompt.task") == {
        "prompt.language": None,
        "prompt.task": "mathematics",
    }


# The bound


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_the_bound_is_never_below_a_token_for_each_byte(texts: list[str]) -> None:
    messages = tuple(Message(role="user", content=text) for text in texts)

    bytes_ = sum(len(text.encode("utf-8")) for text in texts)

    assert prompt_bound(messages).bound >= bytes_ + len(messages)


def test_half_a_surrogate_pair_has_a_bound_too() -> None:
    assert prompt_bound((Message(role="user", content="\ud800"),)).bound >= 3


@given(
    st.text(max_size=50),
    st.text(max_size=50),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9)),
)
def test_the_bound_holds_tools_calls_and_the_schema(
    name: str, arguments: str, parameters: dict[str, str]
) -> None:
    plain = (Message(role="user", content="x"),)
    calling = Message(
        role="assistant",
        content="",
        tool_calls=(ToolCall(id="call-1", name=name, arguments=arguments),),
    )
    tool = Tool(name=name, description=arguments, parameters=parameters)
    said = len(json.dumps([name, arguments, parameters], indent=4).encode("ascii"))

    base = prompt_bound(plain).bound

    assert prompt_bound((*plain, calling)).bound - base >= len(json.dumps([name, arguments]))
    assert prompt_bound(plain, (tool,)).bound - base >= said
    assert prompt_bound(plain, (), parameters).bound - base >= len(json.dumps(parameters, indent=4))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
)


@given(st.dictionaries(st.text(max_size=9), JSON))
def test_a_schema_counts_as_json_on_lines_of_its_own(schema: dict[str, object]) -> None:
    plain = (Message(role="user", content="x"),)
    written = json.dumps({"json_schema": {"schema": schema}}, indent=4)

    bound = prompt_bound(plain, (), schema).bound - prompt_bound(plain).bound

    assert bound == PER_TOOL + len(written)


def test_of_large_tools_nothing_is_kept() -> None:
    large = (Tool(name="look", description="x" * 300_000),)
    plain = (Message(role="user", content="hi"),)

    prompt_bound(plain, large)

    assert all(tools is not large for tools, _ in _counted.values())


def test_tools_that_are_sent_again_are_counted_as_they_are_then() -> None:
    plain = (Message(role="user", content="hm?"),)
    tools = (Tool(name="look"),)
    listed = [*tools]

    first = prompt_bound(plain, tools).bound
    assert prompt_bound(plain, tools).bound == prompt_bound(plain, listed).bound == first
    listed.append(Tool(name="find"))
    more = prompt_bound(plain, listed).bound
    assert more > first
    assert prompt_bound(plain, tuple(listed)).bound == more
    many = [(Tool(name="n" * size),) for size in range(1, 100)]
    bounds = [prompt_bound(plain, one).bound for one in many]
    assert [prompt_bound(plain, one).bound for one in many] == bounds == sorted(set(bounds))


def test_the_signal_counts_the_tools_too() -> None:
    with_tools = request("x", tools=(Tool(name="clock", description="d" * 500),))

    bound = found(with_tools, "prompt.tokens")["prompt.tokens"]

    assert isinstance(bound, AtMost)
    assert bound.bound > 500


# What is wanted


def test_a_policy_that_records_nothing_wants_what_it_asks() -> None:
    asked = frozenset({"prompt.tokens", "draft.refusal"})

    assert wanted_signals(asked, "policy", ["device"]) == asked


def test_recording_adds_the_cheap_ones_or_all_and_each_tiers() -> None:
    cheap = wanted_signals(frozenset({"prompt.language"}), "cheap", ["device", "a.b"])
    everything = wanted_signals(frozenset(), "all", ["device", "a.b"])

    assert {name for name, signal in CATALOGUE.items() if signal.cheap} <= cheap
    assert "draft.language" not in cheap
    assert "prompt.language" in cheap, "the policy asks for it"
    assert set(CATALOGUE) <= everything
    for wanted in (cheap, everything):
        assert {"tier.device.breaker", "tier.a.b.end_s"} <= wanted
        assert not [name for name in wanted if "*" in name]


# The catalogue


def test_the_page_of_signals_is_the_catalogues() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/signals.md is behind the catalogue; run: "
        "python -m router.signals.render > docs/signals.md"
    )


@pytest.mark.parametrize("name", [*CATALOGUE, *FAMILIES])
def test_every_signal_is_documented(name: str) -> None:
    row = next(r for r in PAGE.read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in r)
    signal = CATALOGUE.get(name) or FAMILIES[name]

    assert signal.summary in row
    assert signal.source in row


def test_each_signal_has_a_room_and_words_or_a_number() -> None:
    for name, signal in {**CATALOGUE, **FAMILIES}.items():
        room, _, word = name.partition(".")
        assert signal.name == name
        assert room in ("prompt", "request", "complexity", "device", "world", "tier", "draft")
        assert word
        assert signal.summary.endswith(".")
        assert signal.type == "word" or not signal.words


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = "{'py3langid', 'numpy', 'jsonschema', 'referencing', 'pydantic', 'yaml'}"
    program = f"import router.signals, sys; print(sorted({heavy} & set(sys.modules)))"

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "[]"


stats = st.builds(
    TokenStat,
    st.floats(-50, 0),
    entropy=st.none() | st.floats(0, 12),
    margin=st.none() | st.floats(0, 1),
)
finishes: st.SearchStrategy[Finish | None] = st.sampled_from(
    [None, "stop", "length", "tool_calls", "content_filter", "cancelled"]
)


@given(
    question=st.text(max_size=200),
    answer=st.text(max_size=200),
    tokens=st.lists(stats, max_size=8),
    finish=finishes,
    output_tokens=st.none() | st.integers(0, 9),
    label=st.sampled_from(LABELS),
    asked_json=st.booleans(),
)
def test_every_value_is_one_that_the_catalogue_allows(
    question: str,
    answer: str,
    tokens: list[TokenStat],
    finish: Finish | None,
    output_tokens: int | None,
    label: Label,
    asked_json: bool,
) -> None:
    usage = Usage(output_tokens=output_tokens)
    draft = Completion(text=answer, tokens=tuple(tokens), finish=finish, usage=usage)
    asked = request(question, json=asked_json)
    before = request_signals(asked, label, OF_REQUEST, {"request.max_output_tokens": 9})
    after = draft_signals(draft, asked, OF_DRAFT, before)

    assert set(before) == OF_REQUEST
    assert set(after) == OF_DRAFT
    for name, value in {**before, **after}.items():
        signal = find_signal(name)
        assert signal is not None
        _allows(signal, value)


def _allows(signal: Signal, value: Value) -> None:
    if value is None or isinstance(value, AtMost):
        assert signal.may_be_unknown, signal.name
    elif signal.type == "word":
        assert isinstance(value, str)
        assert not signal.words or value in signal.words
    elif signal.type == "flag":
        assert isinstance(value, bool)
    else:
        assert isinstance(value, (int, float))
        assert not isinstance(value, bool)
        assert signal.low is None or value >= signal.low
        assert signal.high is None or value <= signal.high + 1e-12
