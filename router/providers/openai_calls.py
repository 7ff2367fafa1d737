"""Tool calls of a chat-completions stream, out of the pieces they come in.

Comes in: one entry of a delta's `tool_calls` after the other. Goes out: whole `ToolCall`s, once the
answer has ended. The wire's rule is simple: an entry's `index` says which call it belongs to, id
and name come once, the arguments are a text in pieces. Services depart from it, and these are met:
an index that is left out or always 0, an id that is left out or changes, a name on every piece, a
call sent whole.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import msgspec

from ..errors import BadWire
from ..types import ToolCall

MAX_CALLS = 128


class Function(msgspec.Struct):
    """The called function, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct):
    """One entry of a delta's `tool_calls`."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


@dataclass(slots=True)
class _Call:
    """A call as far as it has come; an empty id or name has not come yet."""

    order: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Calls:
    """Puts the calls of one answer together. Cost is linear in the pieces."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        """Whether any call has begun."""
        return bool(self._calls)

    def add(self, piece: CallPiece) -> None:
        """Take the next piece.

        Raises: BadWire for more than `MAX_CALLS` calls.
        """
        function = piece.function or Function()
        call_id, name, arguments = piece.id or "", function.name or "", function.arguments or ""
        if not (call_id or name or arguments):
            return
        call = self._place(piece.index, call_id)
        if call is None or _begins_another(call, call_id, name, arguments):
            call = self._begin(piece.index)
        call.id = call.id or call_id
        call.name = call.name or name
        if arguments:
            call.arguments.append(arguments)

    def complete(self) -> tuple[ToolCall, ...]:
        """The calls, in the order of their indexes. Their arguments are the text as it was sent.

        A call without an id is given one: the tool's result has to name it, and two calls of two
        answers must not share theirs.

        Raises: BadWire for a call without a name.
        """
        if not all(call.name for call in self._calls):
            raise BadWire("the answer calls a tool, but does not say which")
        return tuple(
            ToolCall(
                id=call.id or f"call_{secrets.token_hex(12)}",
                name=call.name,
                arguments="".join(call.arguments),
            )
            for call in sorted(self._calls, key=lambda call: call.order)
        )

    def _place(self, index: int | None, call_id: str) -> _Call | None:
        """The call that a piece belongs to by its index, else by its id, else the last one."""
        if index is not None:
            return self._at.get(index)
        known = (call for call in self._calls if call_id and call.id == call_id)
        return next(known, self._calls[-1] if self._calls else None)

    def _begin(self, index: int | None) -> _Call:
        if len(self._calls) == MAX_CALLS:
            raise BadWire(f"the answer calls more than {MAX_CALLS} tools")
        call = _Call(order=len(self._calls) if index is None else index)
        self._calls.append(call)
        if index is not None:
            self._at[index] = call
        return call


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether a piece that stands at the place of `call` is the start of a call of its own."""
    if not (name and call.name):
        return False
    if call_id and call.id:
        return call_id != call.id
    if name != call.name:
        return True
    # The same tool again, or the same call with its name repeated. No JSON text has "}{" outside
    # its strings, so an object that opens after one that closed is another call's.
    opens = arguments.lstrip().startswith("{")
    return opens and bool(call.arguments) and call.arguments[-1].rstrip().endswith("}")
