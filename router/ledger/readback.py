"""Whether a line that is still in memory is what its reader would find: else it has to be read.

What an attempt's result says comes from a provider, and one may break its promise (a negative
count, a word where a number belongs). The reader of a journal takes such a line for torn. Whoever
takes lines in without reading them has to come to the same end, and asks here. So with feedback,
which is a caller's. All other values are the router's own.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from typing import Annotated, Any, get_type_hints

import msgspec

from .lines import End, Ended, Judged, Line, Tokens, line_of, read_line

_MOST = sys.float_info.max
_FINITE = Annotated[float, msgspec.Meta(ge=-_MOST, le=_MOST)]
"""JSON has no word for what is infinite, or no number."""


def _fields(kind: type[msgspec.Struct], before: str) -> dict[str, Any]:
    """What a reader takes in each field, by its path."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        f"{before}.{name}": _FINITE | None if hints[name] == float | None else hints[name]
        for name in kind.__struct_fields__
        if hints[name] is not Tokens
    }


_FIELDS = {
    **_fields(Ended, "attempt"),
    **_fields(Tokens, "attempt.usage"),
    **_fields(Tokens, "attempt.estimate"),
}
_values = attrgetter(*_FIELDS)
# A struct, as those are made ready once; any other type would be for each line, at ten times the
# cost.
_Told = msgspec.defstruct(
    "_Told",
    [(name.replace(".", "_"), hint) for name, hint in _FIELDS.items()],
    array_like=True,
    gc=False,
)


def reads_the_same(line: Line) -> bool:
    """Whether every value is one that a reader of the line takes as it is. A few microseconds."""
    if isinstance(line, Judged):  # few, so they may cost what reading costs
        return read_line(line_of(line)) is not None
    if not isinstance(line, End):
        return True
    try:
        msgspec.convert(_values(line), _Told)
    except msgspec.ValidationError:
        return False
    return True
