"""Ids that sort by time: 48 bits of milliseconds, 80 random bits, in Crockford's base 32."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(wall_s: float) -> str:
    """26 characters; ids made later sort after ids made a millisecond earlier.

    Source: the ULID layout, https://github.com/ulid/spec.
    """
    number = (int(wall_s * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
