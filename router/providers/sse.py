"""Server-sent events out of raw bytes: pieces as the socket gave them in, whole events out.

Follows the WHATWG rules (https://html.spec.whatwg.org/multipage/server-sent-events.html) for
lines, comments and fields. It departs from them once: an event that the end of the stream cut off
from its blank line is still given out, because servers exist that leave that line away.

Bytes stay bytes: a character split over two pieces is never decoded in halves.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import BadWire

MAX_LINE_BYTES = 1_000_000
MAX_TOTAL_BYTES = 64_000_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = b"\r\n"


class Event(NamedTuple):
    """One event.

    Attributes:
        name: The `event` field; empty when there was none.
        data: The `data` lines, joined by line feeds.
    """

    name: bytes
    data: bytes


class Parser:
    """Reads one stream. Cost is linear in its bytes, however they are cut into pieces."""

    def __init__(
        self, *, max_line_bytes: int = MAX_LINE_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_total_bytes = max_total_bytes
        self._total_bytes = 0
        self._first_line = True
        self._after_cr = False
        self._tail = bytearray()
        self._name = b""
        self._data: list[bytes] = []

    def lines(self, piece: bytes) -> list[bytes] | None:
        """Take the next bytes if they are nothing but whole events of one `data` line each.

        So most services send. Returns the data of each. None: they are other bytes, and nothing
        has been taken; they are for `feed`.
        """
        total_bytes = self._total_bytes + len(piece)
        if (
            not (piece.startswith(b"data: ") and piece.endswith(b"\n\n"))
            or len(piece) > self._max_line_bytes
            or total_bytes > self._max_total_bytes
            or self._after_cr
            or self._tail
            or self._data
            or self._name
            or b"\r" in piece
        ):
            return None
        found = piece[6:-2].split(b"\n\ndata: ")
        if piece.count(b"\n") != 2 * len(found):
            return None
        self._total_bytes = total_bytes
        self._first_line = False
        return found

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes; return the events they completed.

        Raises: BadWire when a line or the stream is longer than the limits.
        """
        self._total_bytes += len(piece)
        if self._total_bytes > self._max_total_bytes:
            raise BadWire(f"the answer is longer than {self._max_total_bytes} bytes")
        if self._after_cr and piece:
            # The line ended with a carriage return; its line feed comes only now.
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        events: list[Event] = []
        for line in piece.splitlines(keepends=True):
            if len(self._tail) + len(line) > self._max_line_bytes:
                raise BadWire(f"a line of the answer is longer than {self._max_line_bytes} bytes")
            if line[-1] not in _LINE_ENDS:
                self._tail += line
                break
            text = line.rstrip(_LINE_ENDS)
            if self._tail:
                text = bytes(self._tail) + text
                self._tail.clear()
            self._take(text, events)
        self._after_cr = piece.endswith(b"\r") or (self._after_cr and not piece)
        return events

    def close(self) -> list[Event]:
        """The stream has ended; return the event it left open, if any."""
        events: list[Event] = []
        if self._tail:
            text = bytes(self._tail)
            self._tail.clear()
            self._take(text, events)
        self._take(b"", events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            if self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
            self._name = b""
            self._data = []
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
