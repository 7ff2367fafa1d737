"""The scripted provider: says what its script says, the same every time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from router import providers
from router.clock import ManualClock
from router.errors import BadWire, ConfigError, HopError, Incapable, RateLimited
from router.providers.base import Target
from router.providers.scripted import Scripted
from router.types import Ask, Chunk, Message, TokenLogprob, TokenStat, Usage


def target(*steps: dict[str, Any] | str, **options: Any) -> Target:
    script = steps[0] if steps and isinstance(steps[0], str) else list(steps)
    return Target(
        name="t",
        tier="x",
        provider="scripted",
        model="script",
        options={"steps": script, **options},
    )


def ask(text: str = "Hello there?", attempt_id: str = "a1", most: int = 100) -> Ask:
    messages = (Message(role="user", content=text),)
    return Ask(attempt_id=attempt_id, messages=messages, max_output_tokens=most)


def said(provider: Any, *asks: Ask) -> list[list[Chunk]]:
    async def main() -> list[list[Chunk]]:
        return [[chunk async for chunk in provider.stream(one)] for one in asks or (ask(),)]

    return asyncio.run(main())


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def test_it_streams_word_by_word_with_its_log_probabilities() -> None:
    step = {"text": "Thirty days, I  think.\n", "mean_logprob": -0.25}

    (chunks,) = said(providers.build(target(step)))

    assert [c.text for c in chunks] == ["Thirty", " days,", " I", "  think.\n", ""]
    assert all(c.tokens == (TokenStat(-0.25),) for c in chunks[:-1])
    assert (chunks[-1].finish, chunks[-1].usage) == ("stop", Usage(input_tokens=2, output_tokens=4))
    assert chunks[0].model == "script"


def test_log_probabilities_that_are_asked_for_are_told_or_refused() -> None:
    asked = replace(ask(), logprobs=2)
    (chunks,) = said(providers.build(target({"text": "a é", "logprobs": [-0.1, -0.2]})), asked)

    assert [one for chunk in chunks for one in chunk.logprobs] == [
        TokenLogprob(token="a", logprob=-0.1, raw=b"a"),
        TokenLogprob(token=" é", logprob=-0.2, raw=" é".encode()),
    ]
    with pytest.raises(Incapable, match="no log-probabilities"):
        said(providers.build(target({"text": "a b"})), asked)


def test_log_probabilities_may_be_given_one_by_one_or_not_at_all() -> None:
    given = {"text": "a b", "logprobs": [-0.1, -0.2]}
    spelled = {"tokens": [{"text": "a", "logprob": -1, "entropy": 2, "margin": 0.5}, {"text": "b"}]}

    one, two, three = said(providers.build(target(given, spelled, {"text": "a"})), *[ask()] * 3)

    assert [t.logprob for c in one for t in c.tokens] == [-0.1, -0.2]
    assert [t for c in two for t in c.tokens] == [TokenStat(-1, 2, 0.5)]
    assert [t for c in three for t in c.tokens] == []


def test_a_match_answers_every_call_that_says_it_and_the_rest_go_in_order() -> None:
    steps = [{"text": "first"}, {"match": "REFUND", "text": "money"}, {"text": "second"}]
    asks = [ask(t) for t in ("x", "my refund", "y", "a Refund!", "z")]

    answers = said(providers.build(target(*steps)), *asks)

    assert [text_of(a) for a in answers] == ["first", "money", "second", "money", "second"]


def test_a_question_no_step_answers_is_refused() -> None:
    with pytest.raises(HopError, match="no step") as caught:
        said(providers.build(target({"match": "x", "text": "y"})))

    assert (caught.value.kind, caught.value.target) == ("refused", "t")


def test_time_is_the_clocks() -> None:
    clock = ManualClock()
    step = {"text": "a b c", "ttft_s": 2.0, "tpot_s": 0.5}

    said(Scripted(target(step), clock=clock))

    assert clock.now() == 3.0


def test_usage_is_what_the_script_says_even_nothing() -> None:
    told = {"input_tokens": 7, "output_tokens": 3, "cached_input_tokens": 2}

    one, two = said(providers.build(target({"usage": told}, {"usage": None})), ask(), ask())

    assert one[-1].usage == Usage(**told)
    assert two[-1].usage is None


def test_an_answer_longer_than_allowed_ends_with_length() -> None:
    (chunks,) = said(providers.build(target({"text": "a b c"})), ask(most=2))

    assert text_of(chunks) == "a b"
    assert chunks[-1].finish == "length"
    assert chunks[-1].usage == Usage(input_tokens=2, output_tokens=2)


def heard(provider: Any) -> tuple[str, HopError]:
    """Text before it failed, and how it failed."""

    async def main() -> tuple[str, HopError]:
        text = ""
        try:
            async for chunk in provider.stream(ask()):
                text += chunk.text
        except HopError as error:
            return text, error
        pytest.fail("it did not fail")

    return asyncio.run(main())


def test_it_fails_as_told() -> None:
    fail = {"kind": "rate_limited", "retry_after_s": 2, "status": 429, "code": "c", "message": "no"}
    provider = providers.build(target({"text": "a b", "fail": fail}, {"text": "fine"}))

    text, error = heard(provider)

    assert text == ""
    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.status, error.code) == (2, 429, "c")
    assert (error.retryable, error.message, error.target) == (True, "no", "t")
    assert text_of(said(provider)[0]) == "fine"


def test_it_can_fail_in_the_middle_and_be_cut_off() -> None:
    fail = {"kind": "unavailable", "retryable": False}

    failed = heard(providers.build(target({"text": "a b c", "cut_after": 1, "fail": fail})))
    cut = heard(providers.build(target({"text": "a b c", "cut_after": 2})))

    assert (failed[0], failed[1].kind, failed[1].retryable) == ("a", "unavailable", False)
    assert cut[0] == "a b"
    assert isinstance(cut[1], BadWire)


def test_it_can_hang_until_it_is_left() -> None:
    async def main() -> str:
        text = ""
        stream = providers.build(target({"text": "a b", "hang": True, "cut_after": 1})).stream(
            ask()
        )
        async for chunk in stream:
            text += chunk.text
            waiting = asyncio.ensure_future(anext(stream))
            done, _ = await asyncio.wait([waiting], timeout=0.02)
            waiting.cancel()
            assert not done
            break
        return text

    assert asyncio.run(main()) == "a"


def test_what_was_served_to_the_end_is_logged_with_its_price(tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"
    price = {
        "input_usd_per_1m": "0.15",
        "output_usd_per_1m": 0.6,
        "cached_input_usd_per_1m": "0.075",
    }
    steps = [
        {"text": "a", "usage": {"input_tokens": 10, "output_tokens": 5, "cached_input_tokens": 4}},
        {"text": "a b", "cut_after": 1},
        {"text": "a", "usage": None},
    ]
    provider = providers.build(target(*steps, price=price, served_log=str(log)))

    said(provider, ask(attempt_id="one"))
    heard(provider)
    said(provider, ask(attempt_id="three"))

    one, three = [json.loads(line) for line in log.read_text().splitlines()]
    assert (one["attempt_id"], one["target"], one["usage"]["input_tokens"]) == ("one", "t", 10)
    assert Decimal(one["charge_usd"]) == Decimal("0.0000042")
    assert (three["attempt_id"], three["usage"], three["charge_usd"]) == ("three", None, None)


def test_the_log_line_is_there_before_the_last_chunk_is(tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"
    provider = providers.build(target({"text": "a"}, served_log=str(log)))

    async def main() -> None:
        stream = provider.stream(ask())
        async for chunk in stream:
            assert log.exists() == (chunk.finish is not None)

    asyncio.run(main())


def test_a_log_that_cannot_be_written_is_no_surprise_for_the_drive(tmp_path: Path) -> None:
    _, error = heard(providers.build(target({"text": "a"}, served_log=str(tmp_path / "no" / "x"))))

    assert (error.kind, error.retryable) == ("unavailable", False)


def test_steps_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("steps:\n  - text: from a file\n")

    assert text_of(said(providers.build(target(str(file))))[0]) == "from a file"


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"txt": "x"}, r"steps\[0\]\.txt: unknown field .*'text'"),
        ({"text": "a b", "logprobs": [-1]}, "1 logprobs for 2 words"),
        ({"text": "a", "logprobs": [-1], "mean_logprob": -1}, "not both"),
        ({"text": "a", "tokens": []}, "stands alone"),
        ({"fail": {"kind": "rate_limit"}}, "did you mean 'rate_limited'"),
        ({"fail": {"kind": "gone"}, "hang": True}, "both fail and hang"),
        ({"mean_logprob": 0.5}, r"steps\[0\]\.mean_logprob"),
        ({"finish": "done"}, "'done' is not a valid word"),
        ({"ttft_s": -1}, r"steps\[0\]\.ttft_s"),
    ],
)
def test_a_wrong_step_is_named_with_its_field(step: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        providers.build(target(step))


def test_a_wrong_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("steps:\n  - text: fine\n  - finish: done\n")

    with pytest.raises(ConfigError) as caught:
        providers.build(target(str(file)))

    assert (caught.value.file, caught.value.line) == (str(file), 3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": []}, "steps"),
        ({}, "steps"),
        ({"steps": [{}], "prices": {}}, "did you mean 'price'"),
        ({"steps": [{}], "price": {"input_usd_per_1m": 1}}, "output_usd_per_1m: is missing"),
        ({"steps": [{}], "served_log": 3}, "has to be a path"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], says: str) -> None:
    bound = Target(name="t", tier="x", provider="scripted", model="m", options=options)

    with pytest.raises(ConfigError, match=says):
        providers.build(bound)
