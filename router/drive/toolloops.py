"""Which target made a tool call, so that the call's result goes back to it."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Protocol

from ..types import Message, ToolCall


class Kept(Protocol):
    """Where targets are kept by the digest of what they asked for."""

    def put(self, digest: bytes, target: str) -> None:
        """Keep it, and drop what was unused for longest if there is no room."""
        ...

    def get(self, digest: bytes) -> str | None:
        """The target; it counts as used now. None: it was not kept, or was dropped."""
        ...


class _Here:
    """In this process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._targets: OrderedDict[bytes, str] = OrderedDict()

    def put(self, digest: bytes, target: str) -> None:
        self._targets[digest] = target
        self._targets.move_to_end(digest)
        while len(self._targets) > self._size:
            self._targets.popitem(last=False)

    def get(self, digest: bytes) -> str | None:
        if digest not in self._targets:
            return None
        self._targets.move_to_end(digest)
        return self._targets[digest]


class ToolLoops:
    """The last tool calls made, by whom. Never found by another tenant than the one they were for.

    A digest is kept, not the calls: arguments may quote the caller.
    """

    def __init__(self, size: int = 10_000, kept: Kept | None = None) -> None:
        """Remember nothing yet.

        Args:
            size: Answers with tool calls to remember; the one unused for longest is dropped.
            kept: Where else to keep them; it has a size of its own.
        """
        self._kept: Kept = _Here(size) if kept is None else kept

    def remember(self, calls: tuple[ToolCall, ...], tenant: str, target: str) -> None:
        """Note that `target` asked for all of these calls in one answer."""
        if not calls:
            return
        self._kept.put(_digest(calls, tenant), target)

    def target_of(self, messages: tuple[Message, ...], tenant: str) -> str | None:
        """Whose tool call the conversation's last message answers.

        None: its last message is no tool's result, or nobody here is known to have asked for it.
        """
        if not messages or messages[-1].role != "tool":
            return None
        asked = (m.tool_calls for m in reversed(messages) if m.role == "assistant" and m.tool_calls)
        calls = next(asked, ())
        return self._kept.get(_digest(calls, tenant))


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
