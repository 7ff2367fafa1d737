"""What a cut call probably used: from the surest there is to a rule of thumb."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.drive.estimate import estimate
from router.types import Ask, Image, Message, TokenStat, Tool, ToolCall, Usage


def asks(*texts: str, **more: object) -> Ask:
    messages = tuple(Message(role="user", content=text) for text in texts)
    return Ask(attempt_id="", messages=messages, max_output_tokens=9, **more)  # type: ignore[arg-type]


def used(ask: Ask, text: str = "", **more: object) -> tuple[int | None, int | None]:
    given_: dict[str, object] = {"said": Usage(), "tokens": (), "calls": (), **more}
    found = estimate(
        ask, given_.pop("said"), [text], given_.pop("tokens"), given_.pop("calls"), **given_
    )  # type: ignore[arg-type]
    assert found is not None
    return found.input_tokens, found.output_tokens


def test_by_bytes_and_characters_when_nothing_better_is_known() -> None:
    assert used(asks("a" * 40), "b" * 9) == (14, 3)
    assert used(asks("a" * 40, "ü" * 4)) == (20, 0)


def test_a_tokenizers_count_and_tokens_that_came_are_better() -> None:
    assert used(asks("a" * 40), "b" * 9, counted=7, tokens=[TokenStat(-0.1)] * 5) == (7, 5)


def test_what_the_target_said_is_best() -> None:
    said = Usage(input_tokens=3, output_tokens=2)

    assert used(asks("a" * 40), "b" * 9, counted=7, said=said) == (3, 2)


def test_calls_tools_and_schemas_count() -> None:
    call = ToolCall(id="1", name="look", arguments="{}" * 10)

    assert used(asks("a"), calls=[call])[1] == 6
    assert used(asks("a", tools=(Tool(name="look", description="x" * 36),)))[0] == 15
    assert used(asks("a", json_schema={"type": "object"}))[0] == 9


def test_of_pictures_there_is_no_telling() -> None:
    picture = Message(role="user", content="see", images=(Image(url="https://example/a.png"),))
    ask = Ask(attempt_id="", messages=(picture,), max_output_tokens=9)

    assert estimate(ask, Usage(), ["a"], (), ()) is None
    assert estimate(ask, Usage(input_tokens=9), ["abcd"], (), ()) == Usage(
        input_tokens=9, output_tokens=1
    )


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4), st.text(min_size=1))
def test_more_text_is_never_estimated_at_less(
    prompts: list[str], pieces: list[str], more: str
) -> None:
    before = estimate(asks(*prompts), Usage(), pieces, (), ())
    after = estimate(asks(*prompts, more), Usage(), [*pieces, more], (), ())

    assert before is not None
    assert after is not None
    assert (before.input_tokens or 0) < (after.input_tokens or 0)
    assert (before.output_tokens or 0) <= (after.output_tokens or 0)
