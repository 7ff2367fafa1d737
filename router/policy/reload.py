"""One policy file, watched: what is in force, and what is wrong with what came after it.

Comes in: a path. Goes out: the `Policy` to decide by, always a whole one. A changed file is read,
checked, held against its own cases and linted, and only then replaces the one in force, by one
assignment; so a request that took a policy at its start has the same one at its end. A file that
is bad or gone leaves the last good one in force, and `problem` says why. A file that is still being
written is left alone until it has kept still from one look to the next.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..clock import Clock
from ..document import Document, read_yaml
from ..errors import ConfigError, PolicyError
from .build import build
from .lint import Served, lint
from .load import cases_beside, revision_of
from .rules import Policy

log = logging.getLogger("firsthop")

EVERY_S = 1.0

Fits = Callable[[Policy], None]
"""Raises `ConfigError` when a policy does not fit the config it is to run under."""


class _Mark(NamedTuple):
    """What tells one state of a file from the next without reading it."""

    mtime_ns: int
    size: int
    inode: int


_Marks = tuple[_Mark | None, _Mark | None]
"""Of the policy and of its cases. None: it is not there."""


class Watched:
    """A policy file and the policy in force. Every method may be called from any thread.

    Attributes:
        path: The file.
        problem: Why the file as it is now is not in force. None: it is, as far as was looked.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        served: Served | None = None,
        fits: Fits | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        """Read the file for the first time. Its cases wait for the first change.

        Args:
            served: What the config's targets serve, for the linter.
            fits: Holds a policy against the config. None: any policy fits.
            every_s: Seconds between two looks at the file.

        Raises:
            ConfigError: it can't be read, is wrong, or does not fit.
        """
        self.path = path
        self.problem: str | None = None
        self._clock = clock
        self._served = served
        self._fits = fits
        self._every_s = every_s
        self._due = clock.now() + every_s
        self._working = threading.Lock()
        self._seen = self._marks()
        self._changed = self._seen
        _, self._policy = self._read()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def check(self) -> Policy:
        """The policy in force; for the event loop, at the start of each request.

        At most every `every_s` it asks the system whether a file has changed, which takes
        microseconds. Once a change has kept still from one look to the next, a thread reads it;
        requests go on under the one in force.
        """
        now = self._clock.now()
        if now >= self._due and self._working.acquire(blocking=False):
            self._due = now + self._every_s
            if not self._start():
                self._working.release()
        return self._policy

    def _start(self) -> bool:
        """Start a thread if there is something to read; it lets go of `_working`."""
        marks = self._marks()
        if marks == self._seen:
            return False
        if marks != self._changed:
            # It may be half written, and the half a policy of its own that has lost its guards.
            self._changed = marks
            return False
        try:
            threading.Thread(
                target=self._work, args=(marks,), name="firsthop-policy", daemon=True
            ).start()
        except RuntimeError as exc:  # no more threads, or Python is ending: look again later
            log.warning("%s can't be looked at now: %s", self.path, exc)
            return False
        return True

    def reload_now(self) -> Policy:
        """Read the file now and wait for it. Returns the policy in force from here on.

        Raises:
            ConfigError: the file is bad. The last good one stays in force.
        """
        with self._working:
            self._due = self._clock.now() + self._every_s
            error = self._take(self._marks())
        if error is not None:
            raise error
        return self._policy

    def _work(self, marks: _Marks) -> None:
        """The thread's own."""
        try:
            self._take(marks, still=True)
        except Exception as exc:  # the thread's door: whatever it is, the last good one stays
            log.exception("%s can't be looked at", self.path)
            self._say(f"{self.path}: {type(exc).__name__}: {exc}")
        finally:
            self._working.release()

    def _take(self, marks: _Marks, *, still: bool = False) -> ConfigError | None:
        """Put the file in force, or say why not.

        Args:
            marks: Taken before it is read.
            still: Take no notice of what was read while somebody was writing it.
        """
        self._seen = marks
        try:
            document, policy = self._read()
            _hold_against_cases(self.path, policy)
            warnings = lint(document, policy, self._served)
        except ConfigError as error:
            if still and self._marks() != marks:
                return None
            self._say(str(error))
            return error
        if still and self._marks() != marks:
            return None
        old, was = self._policy, self.problem
        self.problem = None  # first, so that nobody sees the new policy beside the old complaint
        if policy.revision != old.revision:
            self._policy = policy
            log.info("policy %s@%s replaces %s", policy.name, policy.revision, old.revision)
            for warning in warnings:
                log.warning("%s", warning)
        elif was is not None:
            log.info("%s is good again: %s@%s", self.path, old.name, old.revision)
        return None

    def _read(self) -> tuple[Document, Policy]:
        document = read_yaml(self.path, kind=PolicyError)
        policy = build(document, revision_of(document.source))
        if self._fits is not None:
            self._fits(policy)
        return document, policy

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("policy %s stays in force: %s", self._policy.revision, problem)
        self.problem = problem

    def _marks(self) -> _Marks:
        return _mark(self.path), _mark(cases_beside(self.path))


def _mark(path: Path) -> _Mark | None:
    """None: it is not there, or can't be asked."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return _Mark(facts.st_mtime_ns, facts.st_size, facts.st_ino)


def _hold_against_cases(path: Path, policy: Policy) -> None:
    """Raises PolicyError for the first case that comes out otherwise.

    A rule that no case touches is a matter for ``policy test``, not a reason to refuse a policy.
    """
    if not cases_beside(path).is_file():
        return
    from .selftest import selftest_beside  # most policies have no cases beside them

    report = selftest_beside(path, policy)
    if report is None or not report.failures:
        return
    first, more = report.failures[0], len(report.failures) - 1
    raise PolicyError(
        f"case {first.case.name!r} fails: {first.field} is {first.came}, not {first.expected}",
        file=cases_beside(path),
        line=first.case.line,
        hint=f"and {more} more; see `firsthop policy test`" if more else None,
    )
