"""Every error this package raises, in one tree.

```
RouterError
├── ConfigError            a file or an argument is wrong: names file, line, field
│   └── PolicyError
├── ModelError             the model store can't do what was asked: .model
├── LedgerError            the ledger can't book or read: .folder
├── HopError               one target failed: .target  .retryable  .retry_after_s
│   └── TimedOut · Unavailable · RateLimited · AuthFailed · Gone · Filtered
│       · Incapable · Refused · BadWire · NotSent
├── Forbidden              guards left no tier that could answer: .guards
├── LimitReached           hops, deadline or dollars: .limit  .outcome so far
└── NoAnswer               every hop failed: .hops; causes in an exception group
    └── ContentFiltered    a content filter stopped it, and the policy ends it there
```

No exception of another library crosses the public door: the room that talks to a library
turns its exceptions into one of these, with `raise ... from`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from .hops import Hop, Outcome
    from .types import Transit


class RouterError(Exception):
    """The root. `except RouterError` catches whatever this package raises on purpose."""


class ConfigError(RouterError):
    """A file or an argument is wrong. Raised at load, never in the middle of a request.

    Attributes:
        file: The file, when there is one.
        line: 1-based line in it, when it can be named.
        column: 1-based column, when it can be named.
        field: Dotted path such as ``targets.cloud.model``.
        hint: What to try; often the nearest valid word.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.file = str(file) if file is not None else None
        self.line = line
        self.column = column
        self.field = field
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        place = ":".join(
            str(p) for p in (self.file, self.line, self.column if self.line else None) if p
        )
        text = ": ".join(p for p in (place, self.field, self.message) if p)
        return f"{text} ({self.hint})" if self.hint else text


class PolicyError(ConfigError):
    """A policy document is wrong."""


class ModelError(RouterError):
    """The model store can't do what was asked: no such model, no room, a wrong checksum.

    Attributes:
        model: The model's name, as asked for.
    """

    def __init__(self, message: str, *, model: str | None = None) -> None:
        self.model = model
        super().__init__(message)


class LedgerError(RouterError):
    """The ledger can't be opened, written or read, or does not know what was asked for.

    Attributes:
        folder: The ledger's folder, when it is known.
    """

    def __init__(self, message: str, *, folder: Path | str | None = None) -> None:
        self.folder = str(folder) if folder is not None else None
        super().__init__(message)


class HopError(RouterError):
    """One target failed. The subclass is what went wrong; a policy can branch on its `kind`.

    Attributes:
        kind: Stable snake_case word for the ledger, one per subclass.
        target: Name from the config. Filled in by the drive when a provider left it out.
        retryable: Whether the same call to the same target may succeed soon.
        retry_after_s: Seconds the target asked us to wait. None: it said nothing.
        status: HTTP status, when there was one.
        code: The target's own error code, when there was one.
        reached: False: the call never got to the target, as with a refused connection.
        no_way: True: the network had no way there: no such name, no route, no connection in time.
            A host that refuses, or answers anything, is one that there is a way to.
        transit: How the call travelled, where an answer's head had come.
    """

    kind = "failed"
    default_retryable = False
    UNBILLED_STATUS = frozenset({401, 403, 404, 405, 410, 429})

    def __init__(
        self,
        message: str,
        *,
        target: str | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        code: str | None = None,
        reached: bool = True,
        no_way: bool = False,
    ) -> None:
        self.message = message
        self.target = target
        self.reached = reached
        self.no_way = no_way
        self.transit: Transit | None = None
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        super().__init__(message)

    @property
    def unbilled(self) -> bool:
        """Whether the call certainly cost nothing: it never arrived, or was turned away unread.

        A 400 or 408 is not among them: Azure bills a prompt its content filter stopped.
        """
        return not self.reached or self.status in self.UNBILLED_STATUS

    def __str__(self) -> str:
        return f"{self.target}: {self.message}" if self.target else self.message


class TimedOut(HopError):
    """No answer in the time allowed."""

    kind = "timed_out"
    default_retryable = True


class Unavailable(HopError):
    """Not reachable, overloaded, crashed, or a 5xx."""

    kind = "unavailable"
    default_retryable = True


class RateLimited(HopError):
    """Too many requests or tokens (429). `retry_after_s` may be hours."""

    kind = "rate_limited"
    default_retryable = True


class AuthFailed(HopError):
    """The key is missing, wrong, or may not do this (401, 403)."""

    kind = "auth_failed"


class Gone(HopError):
    """The service or the model has been retired (410), or never existed (404)."""

    kind = "gone"


class Filtered(HopError):
    """The target's content filter blocked the prompt.

    An answer that a filter cut is no error but ends with the finish reason `content_filter`.

    Attributes:
        categories: What it was blocked for, in the target's words, such as ``"violence"``; empty
            where it did not say.
    """

    kind = "filtered"

    def __init__(self, message: str, *, categories: tuple[str, ...] = (), **more: Any) -> None:
        """`more` is as of any `HopError`."""
        self.categories = categories
        super().__init__(message, **more)


class Incapable(HopError):
    """The target can't do what the request asks: too long, a parameter it lacks."""

    kind = "incapable"


class Refused(HopError):
    """The target rejected the request as invalid (400, 422): our fault or the caller's."""

    kind = "refused"


class BadWire(HopError):
    """The target answered something that isn't its protocol, or stopped in the middle."""

    kind = "bad_wire"
    default_retryable = True


class NotSent(HopError):
    """The call was not made: there is no network, the target asked for more quiet than the request
    can wait, or too many calls are under way. Says nothing against the target."""

    kind = "not_sent"


class Forbidden(RouterError):
    """Guards left no tier that could answer.

    Attributes:
        guards: Ids of the guards that matched, in the order of the document.
        outcome: What was decided, with its trace.
    """

    def __init__(
        self, message: str, *, guards: tuple[str, ...] = (), outcome: Outcome | None = None
    ) -> None:
        self.guards = guards
        self.outcome = outcome
        super().__init__(message)


class LimitReached(RouterError):
    """A limit of the policy or of the call ended the request, and no draft may be returned.

    Attributes:
        limit: ``"hops"``, ``"deadline_s"`` or ``"cost_usd"``.
        outcome: What had happened until then.
    """

    def __init__(self, message: str, *, limit: str, outcome: Outcome | None = None) -> None:
        self.limit = limit
        self.outcome = outcome
        super().__init__(message)


class NoAnswer(RouterError):
    """Every hop failed, and no draft may be returned.

    Attributes:
        hops: The hops, in the order they were tried.
        outcome: The same with its trace.

    `__cause__` is an `ExceptionGroup` of the hops' errors.
    """

    def __init__(
        self, message: str, *, hops: tuple[Hop, ...] = (), outcome: Outcome | None = None
    ) -> None:
        self.hops = hops
        self.outcome = outcome
        super().__init__(message)


class ContentFiltered(NoAnswer):
    """A content filter stopped the prompt or the answer, and the policy's `on_filtered` ends there.

    The hops say whose filter it was, and for what: ``"failed: filtered (prompt: violence)"``.
    """


def let_go(error: BaseException) -> None:
    """Forget where `error` was raised, and what led to it: tracebacks hold frames, and those the
    request and the error itself. For who has told of it and will not raise it again."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        left += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
