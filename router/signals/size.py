"""How few tokens a prompt can be, whatever the tokenizer: so that what can't fit is not sent."""

from __future__ import annotations

from functools import cached_property

from ..types import Request
from .prompt import prompt_bound


class PromptSize:
    """The size of one request's text, found out as far as somebody needs it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._most: float | None = None

    def surely_over(self, tokens: int) -> bool:
        """Whether the prompt has more than so many tokens beyond doubt.

        A text that may fit is none of that: the target's own tokenizer tells.
        """
        return self.most > tokens and self.fewest > tokens

    @property
    def most(self) -> float:
        """No tokenizer makes more of the text; quick to tell."""
        if self._most is None:
            request = self._request
            self._most = prompt_bound(request.messages, request.tools, request.json_schema).bound
        return self._most

    @cached_property
    def fewest(self) -> int:
        """No tokenizer makes fewer of it: a token holds no two words with a space between them.

        So it is with the tokenizers of today's chat models, which split a text at spaces before
        they merge. Of scripts without spaces it says next to nothing; templates, tools, schemas
        and pictures are not counted.
        """
        return sum(len(message.content.split()) for message in self._request.messages)
