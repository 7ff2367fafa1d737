"""What the drive hands to the ledger: an attempt that begins, an attempt that ended, a request
that is over. And what is taken out before any of it is written.

Comes in: values of `router.hops` and `router.types`. Goes out: the same values without the
caller's words, unless text is kept. Keys and endpoints have no field here, so they can't get in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..hops import Attempt, Cause, Hop, Outcome
from ..quick import quick
from ..types import Label, Message

MASK = "[text not kept]"

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """An attempt that is about to be sent: enough for every row of a request a crash cuts off.

    Attributes:
        decision_id: Names the request.
        hop: Index of the hop within the request, 0 for the first.
        attempt_id: Unique for this call on the wire.
        number: 1 for the first call of the hop.
        started_at: Seconds since 1970-01-01 UTC.
        because: Why the hop is taken, in words. Made of signal names, values and error kinds,
            never of an error's message: a message may quote the caller.
    """

    decision_id: str
    hop: int
    attempt_id: str
    number: int
    started_at: float
    policy: str
    policy_revision: str
    target: str
    tier: str
    provider: str
    model: str
    cause: Cause
    because: str
    label: Label
    tags: Mapping[str, str] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A request that is over, with the two things its outcome does not carry.

    Attributes:
        messages: Kept only by a ledger that keeps text.
        answer: What was returned. Kept only by a ledger that keeps text. None: nothing was.
    """

    outcome: Outcome
    label: Label
    tags: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[Message, ...] | None = None
    answer: str | None = None


class Sink(Protocol):
    """Where the drive books. Every method is cheap enough to be called on an event loop."""

    def begin(self, began: Began) -> None:
        """Before an attempt is sent.

        Raises `LedgerError` when it could not be booked; the attempt must then not be sent.
        """
        ...

    def end(
        self, decision_id: str, hop: int, attempt: Attempt, *, more_follows: bool = False
    ) -> None:
        """After an attempt, before its answer goes on. Never raises for want of disk.

        With `more_follows` the caller books again (the next `begin`, or `close_request`) before it
        waits for anything, and the two may go out as one.
        """
        ...

    def close_request(self, request: Closed) -> None:
        """Before the answer returns. Never raises for want of disk."""
        ...


def without_text(attempt: Attempt) -> Attempt:
    """The attempt without what the target said in words, which may quote the prompt.

    Its own error code stays where it can be one, and is `MASK` where it can't.
    """
    code = attempt.error_code
    if code is not None and not _CODE.fullmatch(code):
        code = MASK
    if attempt.error_message is None and code == attempt.error_code:
        return attempt
    return replace(attempt, error_message=None, error_code=code)


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes the error messages of one outcome out of the words that were made from them.

    Reasons and traces should be made of kinds and numbers only. Should one quote an error's
    message all the same, the message is cut out here: it may hold the caller's text.

    Attributes:
        messages: What to cut out. Empty: everything passes as it is.
    """

    messages: tuple[str, ...] = ()

    @classmethod
    def of(cls, hops: tuple[Hop, ...]) -> Mask:
        """A mask for the messages of these hops' attempts; the longest is looked for first."""
        found = set()
        for hop in hops:
            for attempt in hop.attempts:
                if attempt.error_message:
                    found.add(attempt.error_message)
        return cls(tuple(sorted(found, key=len, reverse=True))) if found else NO_MASK

    def words(self, text: str) -> str:
        """`text` with every message in it replaced by `MASK`."""
        for message in self.messages:
            text = text.replace(message, MASK)
        return text

    def value(self, value: Any) -> Any:
        """The same for plain JSON values, to any depth."""
        if not self.messages:
            return value
        if isinstance(value, str):
            return self.words(value)
        if isinstance(value, Mapping):
            return {self.words(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


NO_MASK = Mask()
