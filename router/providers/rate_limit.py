"""What a service says of its limits: ``x-ratelimit-*`` headers to a `RateLimit`.

Comes in: the headers of an answer, good or bad. OpenAI, Azure, NVIDIA's gateway and vLLM's proxies
name them alike; a reset is a duration there, such as ``12ms`` or ``6m0s``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..types import RateLimit

LONGEST_S = 31 * 86_400.0
"""A reset that is further away is no duration but a date, or nonsense."""

_REMAINING = ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens")
_PART = r"(\d+(?:\.\d+)?)(ms|[dhms])"
_DURATION = re.compile(rf"(?:{_PART})+", re.I)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What is left, and when it is as at first. None: the headers don't say.

    A limit of zero or less, which Azure sends for some of its APIs, says nothing, and neither does
    what is left of it.

    Args:
        headers: Names in lower case.
    """
    if not any(map(headers.__contains__, _REMAINING)):
        return None
    requests, requests_s = _left(headers, "requests")
    tokens, tokens_s = _left(headers, "tokens")
    if requests is None and tokens is None:
        return None
    return RateLimit(
        remaining_requests=requests,
        remaining_tokens=tokens,
        reset_requests_s=requests_s,
        reset_tokens_s=tokens_s,
    )


def duration_s(text: str) -> float | None:
    """Seconds of ``6m0s``, ``12ms``, ``1d2h`` or a plain number of seconds. None: it is neither."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        if not _DURATION.fullmatch(text):
            return None
        parts = re.findall(_PART, text.lower())
        seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return seconds if 0 <= seconds <= LONGEST_S else None


def _left(headers: Mapping[str, str], what: str) -> tuple[int | None, float | None]:
    """What is left of requests or tokens, and seconds until it is as at first."""
    left = _whole(headers.get(f"x-ratelimit-remaining-{what}"))
    if left is None or left < 0:
        return None, None
    limit = _whole(headers.get(f"x-ratelimit-limit-{what}"))
    if limit is not None and limit <= 0:
        return None, None
    return left, duration_s(headers.get(f"x-ratelimit-reset-{what}", ""))


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
