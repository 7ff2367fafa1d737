"""What the command's exit status says, in one place; `docs/cli.md` has the same table."""

from __future__ import annotations

from enum import IntEnum

from ..errors import ConfigError, Forbidden, LimitReached, NoAnswer, RouterError


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    """No target answered, the command could not do its work, or what it tested is not as it
    should be."""
    USAGE = 2
    """An argument, a config or a policy is wrong."""
    FORBIDDEN = 3
    """Guards left no target that may answer."""
    LIMIT = 4
    """A limit of hops, time or dollars was reached without an answer."""
    INTERRUPTED = 130
    """Ctrl-C."""


def code_of(error: RouterError) -> Exit:
    """The exit code an error ends the command with."""
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, Forbidden):
        return Exit.FORBIDDEN
    if isinstance(error, LimitReached):
        return Exit.LIMIT
    return Exit.FAILED


def causes_of(error: RouterError) -> list[str]:
    """What lay behind an error, a line each, for those that have several causes."""
    group = error.__cause__
    if isinstance(error, NoAnswer | LimitReached) and isinstance(group, BaseExceptionGroup):
        return [str(cause) for cause in group.exceptions]
    return []
