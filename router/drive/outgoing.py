"""What leaves for a target: the conversation, the draft with it if the policy says so, transformed.

The one place where text that leaves can be changed. `Transform` is the seam: each is given the
messages as they would leave and gives back what leaves instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..providers.base import Target
from ..signals import prompt_bound
from ..signals.size import PromptSize
from ..types import Message

BYTES_PER_TOKEN = 8
"""Most bytes an attached draft has for each token its target may write; a longer one stays."""

_AROUND = (
    "The message before this one is a draft by a smaller model. It may be wrong or incomplete. "
    "Answer what was asked before it yourself, and use of the draft only what is right. "
    "Don't mention the draft."
)


class Transform(Protocol):
    """Changes what leaves for a target, such as by taking names out."""

    def __call__(self, messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        """What leaves instead of `messages`. Raising means that nothing leaves."""
        ...


def outgoing(
    messages: tuple[Message, ...],
    draft: str | None,
    target: Target,
    transforms: Sequence[Transform] = (),
) -> tuple[Message, ...]:
    """The messages to send to `target`.

    Args:
        draft: A weaker target's answer to go along as a turn of its own, followed by a word on
            what it is. None or empty: only the conversation goes.
        transforms: Applied in order.
    """
    if draft:
        messages = (*messages, *_attached(draft))
    for transform in transforms:
        messages = transform(messages, target)
    return messages


def outgoing_bound(prompt: PromptSize, draft_tokens: int | None) -> int:
    """Most tokens any tokenizer makes of the text that leaves.

    Args:
        prompt: What the caller asked.
        draft_tokens: Most tokens an attached draft can have. None: none is attached.
    """
    bound = prompt.most
    if draft_tokens is not None:
        bound += prompt_bound(_attached("")).bound + BYTES_PER_TOKEN * draft_tokens
    return int(bound)


def attachable(draft: str, tokens: int) -> bool:
    """Whether a draft of at most `tokens` tokens keeps within what `outgoing_bound` allowed it."""
    return len(draft.encode("utf-8", "surrogatepass")) <= BYTES_PER_TOKEN * tokens


def _attached(draft: str) -> tuple[Message, Message]:
    return Message(role="assistant", content=draft), Message(role="user", content=_AROUND)
