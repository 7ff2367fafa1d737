"""How much of a prompt to come needn't be read, by how it was with those before. Pure.

In go prompts and what was known of each, out comes a guess in two parts. Requests with a system
prompt or a template in common share so many tokens, whatever their length; those of conversations
that go on share most of theirs. So both are followed, and the one that has been closer speaks.
"""

from __future__ import annotations

_WEIGHT = 0.2


class Familiar:
    """Follows both."""

    def __init__(self) -> None:
        self._share = self._tokens = 0.0
        self._off_share = self._off_tokens = 0.0

    def saw(self, prompt: int, known: int) -> None:
        """A prompt of so many tokens came, and so many of them were known."""
        self._off_share += _WEIGHT * (abs(self._share * prompt - known) - self._off_share)
        self._off_tokens += _WEIGHT * (abs(self._tokens - known) - self._off_tokens)
        self._share += _WEIGHT * (known / max(1, prompt) - self._share)
        self._tokens += _WEIGHT * (known - self._tokens)

    @property
    def share(self) -> float:
        """Share of the next prompt that will be known; 0 where `tokens` speaks."""
        return self._share if self._off_share <= self._off_tokens else 0.0

    @property
    def tokens(self) -> float:
        """Tokens of it; 0 where `share` speaks."""
        return 0.0 if self._off_share <= self._off_tokens else self._tokens
