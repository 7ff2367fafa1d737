"""Ids that sort by time: 48 bits of milliseconds, 80 random bits, in Crockford's base 32."""

from __future__ import annotations

import os
import sys
from itertools import product

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(map("".join, product(_ALPHABET, repeat=2)))
_OF_BYTES = (_ALPHABET * 8).encode()
"""The character that stands for the five lower bits of each byte."""
_RANDOM_BYTES = 16
_DRAWN_AT_ONCE = 256
_SHIFTS = tuple(range(30, -1, -10))

_drawn: list[str] = []
"""Random ends that no id has yet: asking the kernel costs as much as all else an id takes."""
_begun = [(-1, "")]
"""What all ids of the same 1,024 ms begin with: one pair, so that threads see both or neither."""


def new_id(wall_s: float) -> str:
    """26 characters; ids made later sort after ids made a millisecond earlier.

    Source: the ULID layout, https://github.com/ulid/spec.
    """
    ms = int(wall_s * 1000)
    slow, begun = _begun[0]
    if ms >> 10 != slow:
        slow = ms >> 10
        begun = "".join([_PAIRS[(slow >> shift) & 1023] for shift in _SHIFTS])
        _begun[0] = slow, begun
    try:
        end = _drawn.pop()  # one step of the interpreter, so no two threads get the same
    except IndexError:
        end = _draw()
    return begun + _PAIRS[ms & 1023] + end


def _draw() -> str:
    fresh = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE).translate(_OF_BYTES).decode()
    _drawn.extend(
        fresh[at : at + _RANDOM_BYTES] for at in range(_RANDOM_BYTES, len(fresh), _RANDOM_BYTES)
    )
    return fresh[:_RANDOM_BYTES]


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_drawn.clear)  # else both would make the same ids
