"""Whose words the door speaks: OpenAI's or Anthropic's, told by the path before anything is read.

Errors, their statuses and what keeps a stream alive are the dialect's; what an answer looks like is
its `Surface`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import answers, message_answers
from .failure import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one of them says what every endpoint has to say.

    Attributes:
        error: An error's body, from what went wrong, the `router` field and the request's id.
        beat: What a stream that waits says.
        statuses: Statuses that it has other numbers for.
        named: Whether responses carry `request-id`.
    """

    error: Callable[[Failure, Mapping[str, Any] | None, str], bytes]
    beat: bytes
    statuses: Mapping[int, int] = field(default_factory=dict)
    named: bool = False


def _error(failure: Failure, router: Mapping[str, Any] | None, request_id: str) -> bytes:
    return failure.body(router)


OPENAI = Dialect(error=_error, beat=answers.BEAT)
ANTHROPIC = Dialect(
    error=message_answers.error,
    beat=message_answers.BEAT,
    statuses=message_answers.STATUSES,
    named=True,
)


def dialect_of(path: str, headers: Mapping[bytes, bytes]) -> Dialect:
    """Which one a request is in. The list of models is in both: a header of Anthropic's tells."""
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    if b"anthropic-version" in headers and path.startswith("/v1/models"):
        return ANTHROPIC
    return OPENAI
