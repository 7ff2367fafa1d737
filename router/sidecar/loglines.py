"""How this process's own log is written: for people, or one JSON object a line.

An exception is told by its type and where it was raised: its message may quote a caller.
"""

from __future__ import annotations

import datetime
import logging
import traceback
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def begin(*, json: bool) -> None:
    """Write it on standard error, from warnings on."""
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines() if json else TextLines())


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": at(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().encode(errors="replace").decode(),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            said["error"] = type(error).__name__
            said["raised"] = _raised(error)
        return _encode(said).decode()


class TextLines(logging.Formatter):
    """A log record for people, by the usual format; of an exception, too, not its words."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802 # logging calls it so
        """Its type and where it was raised."""
        error: BaseException = ei[1]
        return "\n".join([*(f"  at {place}" for place in _raised(error)), type(error).__name__])


def _raised(error: BaseException) -> list[str]:
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def at(seconds: float) -> str:
    """Seconds since 1970 as both logs write them: ISO 8601, UTC, to the millisecond."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
