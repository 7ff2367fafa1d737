"""Tools that came before, by the JSON they came as: an app sends the same with each request.

To read and check them costs more than all else of a usual body. What was found good once is good
again, and it is the very same value, so that what others keep of it they keep once, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...asking import CheckedTools, checked_tools
from ...errors import ConfigError

_MOST = 256
_MOST_BYTES = 512 * 1024
"""Of JSON, all together; what is made of it takes several times as much."""

_known: dict[bytes, CheckedTools] = {}


def get(written: bytes) -> CheckedTools | None:
    """What these bytes were found to say. None: they did not come yet, or were forgotten."""
    return _known.get(written)


def keep(
    written: bytes, given: Sequence[Mapping[str, Any]]
) -> CheckedTools | Sequence[Mapping[str, Any]]:
    """Check tools and remember them. What is wrong comes back as it is: `asking` tells it."""
    try:
        found = checked_tools(given)
    except ConfigError:
        return given
    if len(written) <= _MOST_BYTES:
        if len(_known) == _MOST or held_bytes() + len(written) > _MOST_BYTES:
            forget()  # apps have few, so who fills it brings new ones each time
        _known[written] = found
    return found


def held_bytes() -> int:
    """How much JSON is remembered."""
    return sum(map(len, _known))


def forget() -> None:
    """Know nothing any more."""
    _known.clear()
