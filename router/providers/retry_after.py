"""How long a service asks us to wait: in milliseconds, seconds, a date, a duration, or in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from .rate_limit import duration_s, rate_limit

_WAIT = re.compile(
    r"(?:wait|retry after|retry in|try again (?:in|after)) +"
    r"(?P<number>\d+(?:\.\d+)?)(?P<more>(?:ms|[hms])(?:\d+(?:\.\d+)?(?:ms|[hms]))*)?"
    r"(?: *(?P<word>millisecond|second|sec|minute|hour))?",
    re.I,
)
_WORD_S = {"millisecond": 0.001, "second": 1.0, "sec": 1.0, "minute": 60.0, "hour": 3600.0}


def retry_after(headers: Mapping[str, str], message: str, wall_s: float) -> float | None:
    """Seconds to wait, by the most exact place that says so. None: nobody says.

    Args:
        headers: Names in lower case.
        message: The error's text.
        wall_s: Seconds since 1970, for a date in an answer that doesn't carry its own.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is None and after:
        seconds = _seconds_until(after, headers.get("date"), wall_s)
    if seconds is None:
        seconds = _number(headers.get("x-ratelimit-timeremaining"))
    if seconds is None:
        seconds = _seconds_in(message)
    if seconds is None:
        limit = rate_limit(headers)
        return None if limit is None else limit.empty_for_s
    return seconds


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(date: str, now: str | None, wall_s: float) -> float | None:
    """Seconds to an HTTP date, by the server's own clock where the answer shows it."""
    then = _seconds_of(date)
    if then is None:
        return None
    start = _seconds_of(now) if now else None
    return max(0.0, then - (wall_s if start is None else start))


def _seconds_of(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds_in(message: str) -> float | None:
    """Seconds in sentences such as "Please wait 12 seconds" and "try again in 6m0.5s"."""
    found = _WAIT.search(message)
    if not found:
        return None
    number, more, word = found.group("number", "more", "word")
    if more:
        return duration_s(number + more)
    return float(number) * _WORD_S[(word or "second").lower()]
