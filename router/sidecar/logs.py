"""The access log: one JSON object a request, with decision ids and without a word of anybody's.

It is written off the path of requests. What they asked, what was answered, tags and paths are not
in it. What the process says of itself is another log: see `loglines`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError
from ..hops import Outcome
from .after import Over, Turned
from .callers import KEY_TAG
from .loglines import at

log = logging.getLogger("firsthop.sidecar")
STDOUT = "-"

_encode = msgspec.json.Encoder(decimal_format="string").encode


class AccessLog:
    """An `Observer` that writes a line for each request."""

    traces = False

    def __init__(self, where: str) -> None:
        """Open it, at its end if it is there.

        Args:
            where: A path, or ``-`` for standard output.

        Raises: ConfigError, when it can't be written.
        """
        self._path = None if where == STDOUT else Path(where)
        self._failed = False
        try:
            self._file = self._open()
        except OSError as exc:
            raise ConfigError(
                f"can't be written: {exc.strerror or exc}", file=where, field="--access-log"
            ) from exc

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        """See `Observer`. A disk that is full costs lines, and never a request."""
        lines = [
            _encode(_turned(one) if isinstance(one, Turned) else _over(one)) + b"\n" for one in seen
        ]
        try:
            for whole in lines if self._path is None else [b"".join(lines)]:
                left = whole
                while left:
                    left = left[self._file.write(left) :]
        except OSError as exc:
            if not self._failed:
                log.error("the access log can't be written: %s", exc.strerror or exc)
            self._failed = True
        else:
            self._failed = False

    def reopen(self) -> None:
        """See `Observer`: for logs that are moved away once they are large."""
        if self._path is None:
            return
        try:
            new = self._open()
        except OSError as exc:
            log.error("the access log stays as it was: %s", exc.strerror or exc)
            return
        old, self._file = self._file, new
        old.close()

    def close(self) -> None:
        """See `Observer`."""
        self._file.close()

    def _open(self) -> FileIO:
        """Without a buffer: what a full disk did not take must not come back at the next line.

        Several processes may write to it. What is added to a file stays whole, and to a pipe what
        is short; so a pipe gets one line at a time.
        """
        if self._path is None:
            return FileIO(sys.stdout.fileno(), "wb", closefd=False)
        return FileIO(self._path, "ab")


def _over(one: Over) -> dict[str, Any]:
    closed = one.closed
    outcome: Outcome = closed.outcome
    hop = None if outcome.answered_by is None else outcome.hops[outcome.answered_by]
    return {
        "time": at(outcome.started_at + outcome.total_s),
        "event": "request",
        "decision_id": outcome.decision_id,
        "policy": f"{outcome.policy}@{outcome.policy_revision}",
        "status": outcome.status,
        "route": [hop.target for hop in outcome.hops if not hop.aside],
        "answered_by": None if hop is None else hop.target,
        "errors": [a.error_kind for h in outcome.hops for a in h.attempts if a.error_kind],
        "flags": outcome.flags,
        "label": closed.label,
        "key": closed.tags.get(KEY_TAG),
        "input_tokens": None if hop is None else hop.last.usage.input_tokens,
        "output_tokens": None if hop is None else hop.last.usage.output_tokens,
        "cost_usd": None if outcome.cost_usd is None else format(outcome.cost_usd, "f"),
        "ttfb_s": None if outcome.ttfb_s is None else round(outcome.ttfb_s, 6),
        "total_s": round(outcome.total_s, 6),
    }


def _turned(one: Turned) -> dict[str, Any]:
    return {
        "time": at(one.at),
        "event": "turned_away",
        "status": one.status,
        "code": one.code,
        "key": one.key,
    }
