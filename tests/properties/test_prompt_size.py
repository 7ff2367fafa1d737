"""A prompt's least size is never above its greatest, so what may fit is never kept back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.signals.size import PromptSize
from router.types import Message, Request, Role

ROLES: list[Role] = ["system", "user", "assistant"]
MESSAGES = st.builds(
    lambda role, content: Message(role=role, content=content),
    st.sampled_from(ROLES),
    st.text(max_size=300)
    | st.lists(st.sampled_from(["a", "Wort", "語", "\u3000", "\n"])).map(" ".join),
)


@given(st.lists(MESSAGES, min_size=1, max_size=4), st.integers(0, 2000))
def test_over_a_size_is_only_what_has_more_words_than_it(
    messages: list[Message], tokens: int
) -> None:
    size = PromptSize(Request(messages=tuple(messages)))
    words = sum(len(message.content.split()) for message in messages)

    assert size.fewest == words <= size.most
    assert size.surely_over(tokens) == (words > tokens)
