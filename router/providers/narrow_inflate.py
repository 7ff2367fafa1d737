"""Content encodings undone, so much at a time: a small body may swell a thousandfold.

Comes in: the bytes of a body encoded by gzip or deflate, in pieces. Goes out: what they stand for.
"""

from __future__ import annotations

import zlib

MOST_BYTES = 262_144
"""Of one piece that goes out."""

OFFERED = "gzip, deflate"
"""What a request says it takes."""

_GZIP = b"\x1f\x8b"


class UnknownEncoding(Exception):
    """A body in an encoding that was not offered."""


class Inflate:
    """One body. Whether it is whole is for the framing to say: some servers never end a gzip."""

    def __init__(self, encodings: tuple[str, ...]) -> None:
        """`encodings` are those of the body, in lower case, as they were applied."""
        self._unknown = len(encodings) != 1 or encodings[0] not in ("gzip", "x-gzip", "deflate")
        self._encodings = encodings
        self._gzip = encodings[-1] != "deflate"
        self._wbits = 31 if self._gzip else 0
        self._unpacker = zlib.decompressobj(31) if self._gzip else None
        self._packed = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; best when `take` has given nothing."""
        self._packed = self._packed + data if self._packed else data

    def take(self) -> bytes:
        """At most `MOST_BYTES`; empty: it needs more. Raises: zlib.error, UnknownEncoding."""
        if self._unknown and self._packed:
            raise UnknownEncoding(", ".join(self._encodings))
        while True:
            if self._unpacker is None and not self._next():
                return b""
            unpacker = self._unpacker
            assert unpacker is not None
            out = unpacker.decompress(self._packed, MOST_BYTES)
            if unpacker.eof:
                self._packed, self._unpacker = unpacker.unused_data, None
                self._wbits = 31
            else:
                self._packed = unpacker.unconsumed_tail
            if out or not self._packed:
                return out

    def _next(self) -> bool:
        """Begin the body, or what follows a gzip's end: another gzip, or nothing of use."""
        if not self._packed or (self._wbits and len(self._packed) < len(_GZIP)):
            return False
        if not self._wbits:
            # "deflate" means zlib's format, and half of those who say it send the bare one.
            self._wbits = 15 if self._packed[0] & 0x0F == 8 else -15
        elif not (self._gzip and self._packed.startswith(_GZIP)):
            self._packed = b""
            return False
        self._unpacker = zlib.decompressobj(self._wbits)
        return True


def inflate_for(header: str | None) -> Inflate | None:
    """What undoes the encoding that a content-encoding header names. None: there is none."""
    if header is None:
        return None
    names = (name.strip().lower() for name in header.split(","))
    encodings = tuple(name for name in names if name not in ("", "identity"))
    return Inflate(encodings) if encodings else None
