"""Which target made a tool call, so that the call's result goes back to it."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict

from ..types import Message, ToolCall


class ToolLoops:
    """The last tool calls made, by whom. Never found by another tenant than the one they were for.

    A digest is kept, not the calls: arguments may quote the caller.
    """

    def __init__(self, size: int = 10_000) -> None:
        """Remember nothing yet.

        Args:
            size: Answers with tool calls to remember; the one unused for longest is dropped.
        """
        self._size = size
        self._targets: OrderedDict[bytes, str] = OrderedDict()

    def remember(self, calls: tuple[ToolCall, ...], tenant: str, target: str) -> None:
        """Note that `target` asked for all of these calls in one answer."""
        if not calls:
            return
        digest = _digest(calls, tenant)
        self._targets[digest] = target
        self._targets.move_to_end(digest)
        while len(self._targets) > self._size:
            self._targets.popitem(last=False)

    def target_of(self, messages: tuple[Message, ...], tenant: str) -> str | None:
        """Whose tool call the conversation's last message answers.

        None: its last message is no tool's result, or nobody here is known to have asked for it.
        """
        if not messages or messages[-1].role != "tool":
            return None
        asked = (m.tool_calls for m in reversed(messages) if m.role == "assistant" and m.tool_calls)
        calls = next(asked, ())
        digest = _digest(calls, tenant)
        if digest not in self._targets:
            return None
        self._targets.move_to_end(digest)
        return self._targets[digest]


def _digest(calls: tuple[ToolCall, ...], tenant: str) -> bytes:
    """SHA-256 of a JSON list, whose parts can't run into each other."""
    parts = [tenant, *([call.id, call.name, _plain(call.arguments)] for call in calls)]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).digest()


def _plain(arguments: str) -> str:
    """Arguments without the accidents of JSON's spelling.

    Frameworks parse a call's arguments and write them anew before they send the call back.
    What is no JSON stays as it is.
    """
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
