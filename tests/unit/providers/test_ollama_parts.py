"""What the config may say of an Ollama target, and how its lines are cut."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import providers
from router.errors import BadWire, ConfigError
from router.providers.base import Target
from router.providers.ollama_body import most_tokens
from router.providers.ollama_chunks import MAX_CALLS, LineReader, Lines
from router.providers.ollama_facts import version_number, where
from router.redaction import remember
from router.types import Ask, Message, Tool

LOOPBACK = "http://127.0.0.1:11434"


def build(model: str = "m", base_url: str | None = None, **options: Any) -> Any:
    target = Target(
        name="t", tier="x", provider="ollama", model=model, base_url=base_url, options=options
    )
    return providers.build(target)


@pytest.mark.parametrize("base_url", [None, LOOPBACK, "http://localhost:1", "http://[::1]:11434/"])
def test_a_local_model_on_this_machine_is_here(base_url: str | None) -> None:
    assert build("llama3.2:3b", base_url).here is True


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-oss:120b-cloud", None),
        ("kimi-k2.6:cloud", None),
        ("Qwen3:CLOUD", None),
        ("small-cloud", None),
        ("llama3.2", "http://192.168.0.7:11434"),
        ("llama3.2", "https://ollama.com"),
        ("llama3.2", "http://localhost.example"),
    ],
)
def test_a_cloud_model_and_another_machine_are_not_here(model: str, base_url: str | None) -> None:
    assert build(model, base_url).here is False


def test_a_name_that_only_sounds_like_a_cloud_is_here() -> None:
    assert build("cloudy:7b").here is True
    assert build("cloud-atlas").here is True
    assert build("mycloud").here is True
    assert build("llama3.2:nocloud").here is True


def test_a_proxy_lies_between_the_device_and_what_is_here() -> None:
    target = Target(
        name="t",
        tier="x",
        provider="ollama",
        model="m",
        base_url=LOOPBACK,
        proxy="http://proxy.example:3128",
    )
    provider: Any = providers.build(target)

    assert provider.here is False


def test_the_config_may_say_that_an_address_is_this_machine_but_not_of_a_cloud_model() -> None:
    assert build("m", "http://host.docker.internal:11434", here=True).here is True
    assert build("m", here=False).here is False
    assert build("m", here="auto").here is True
    with pytest.raises(ConfigError, match=r"options\.here.*Ollama's cloud"):
        build("gpt-oss:120b-cloud", here=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"here": "yes"}, "here.*true, false or auto"),
        ({"num_ctx": 0}, "num_ctx.*whole number"),
        ({"num_ctx": True}, "num_ctx.*whole number"),
        ({"num_ctx": "8k"}, "num_ctx.*whole number"),
        ({"think": "hihg"}, "think.*did you mean 'high'"),
        ({"think": 1}, "think"),
        ({"keep_alive": "long"}, "keep_alive.*duration"),
        ({"keep_alive": "-1"}, "keep_alive.*duration"),
        ({"keep_alive": True}, "keep_alive"),
        ({"logprobs": "yes"}, "logprobs.*true or false"),
        ({"abilities": ["tool"]}, "abilities.*did you mean 'tools'"),
        ({"num_ctxt": 1}, "did you mean 'num_ctx'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(**options)


@pytest.mark.parametrize("keep_alive", ["10m", "1h30m", "500ms", 0, -1, 2.5])
def test_the_ways_to_say_how_long_a_model_stays(keep_alive: object) -> None:
    assert build(keep_alive=keep_alive).here is True


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/api", "/api/chat"])
def test_an_address_with_a_path_of_ollamas_is_refused_with_what_to_write(path: str) -> None:
    with pytest.raises(ConfigError, match=r"base_url.*such as http://127\.0\.0\.1:11434"):
        build(base_url=LOOPBACK + path)


@pytest.mark.parametrize(
    "base_url",
    ["http://gateway.example/ollama", "http://gateway.example/api/ollama", "http://v1"],
)
def test_an_address_with_a_path_of_its_own_is_taken(base_url: str) -> None:
    assert build(base_url=base_url).here is False


def test_what_it_takes_beside_text_is_as_the_config_says() -> None:
    assert build().abilities == {"json", "tools"}
    assert build(abilities=["images"]).abilities == {"images"}


@pytest.mark.parametrize(
    ("version", "number"),
    [("0.12.6", (0, 12, 6)), ("0.13.0-rc1", (0, 13, 0)), ("v0.9.1+git.7", (0, 9, 1)), ("", ())],
)
def test_a_version_is_its_first_three_numbers(version: str, number: tuple[int, ...]) -> None:
    assert version_number(version) == number


@pytest.mark.parametrize(
    ("shown", "host"),
    [
        (b'{"details": {}}', None),
        (b'{"remote_host": "", "remote_model": null}', None),
        (b'{"remote_host": "https://ollama.com:443"}', "https://ollama.com:443"),
        (b'{"remote_model": "big"}', "the host of big"),
    ],
)
def test_where_a_model_runs_is_read_from_either_field(shown: bytes, host: str | None) -> None:
    assert where(shown) == host


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5), st.integers(1, 99))
def test_the_bound_is_never_below_the_bytes_that_are_sent(texts: list[str], cap: int) -> None:
    messages = tuple(Message(role="user", content=text) for text in texts)
    ask = Ask(attempt_id="a", messages=messages, max_output_tokens=cap)
    with_tool = Ask(
        attempt_id="a", messages=messages, max_output_tokens=cap, tools=(Tool(name="look_up"),)
    )

    size = sum(len(text.encode()) for text in texts)
    assert most_tokens(ask) > size + cap
    assert most_tokens(with_tool) > most_tokens(ask)


@given(
    st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=10),
    st.lists(st.integers(0, 250), max_size=10),
)
def test_lines_are_the_same_however_their_bytes_are_cut(
    lines: list[bytes], cuts: list[int]
) -> None:
    data = b"\n".join(lines)
    ends = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    cutter = Lines()

    found = [line for a, b in pairwise(ends) for line in cutter.feed(data[a:b])]
    found += cutter.close()

    assert found == [line.strip() for line in lines if line.strip()]


def test_a_line_and_an_answer_past_the_limits_are_refused() -> None:
    with pytest.raises(BadWire, match="a line of the answer is longer than 10 bytes"):
        Lines(max_line_bytes=10).feed(b"1234567890\n12345678901\n")
    cutter = Lines(max_total_bytes=10)
    cutter.feed(b"1234567\n")
    with pytest.raises(BadWire, match="the answer is longer than 10 bytes"):
        cutter.feed(b"123")


def test_more_calls_than_anyone_needs_are_refused() -> None:
    call = '{"function":{"name":"f"}}'
    line = '{"message":{"tool_calls":[%s]}}'
    reader = LineReader("m")

    assert reader.read((line % ",".join([call] * MAX_CALLS)).encode()) is not None
    with pytest.raises(BadWire, match="more than 128 tools"):
        reader.read((line % call).encode())


@given(st.binary(max_size=60))
def test_no_line_raises_anything_but_our_errors(line: bytes) -> None:
    with suppress(BadWire):
        LineReader("m").read(line)


def test_a_key_that_comes_back_as_the_model_is_not_handed_on() -> None:
    remember("ollama-key-0123456789")
    chunk = LineReader("m").read(b'{"model":"ollama-key-0123456789","message":{"content":"x"}}')

    assert chunk is not None
    assert chunk.model == "[secret]"
