"""How often labelled drafts of one model have been tested: a small file in the ledger's folder.

A look is a test of a goal on labelled drafts of one model and build. It is written down, with its
number, before its verdict is known, whatever that will be. All looks at a model and build are of
one count, whatever labels they had: nobody knows beforehand which labels will be brought together,
and two sets that were each a first look would have spent more than the whole doubt.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec

from .. import __version__
from ..confidence.stored import SIGNALS, Binding
from ..errors import ConfigError
from .goal import Goal, in_words
from .labelled import Labelled

NAME = "looks.json"
_FORMAT = 2


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look.

    Attributes:
        model: Whose drafts were tested; likewise `quantisation`.
        number: From 1, of its model and build; it says which share of the doubt was spent.
        at: Seconds since 1970-01-01 UTC.
        labels: How many there were.
        goal: In words.
        digest: Of goal and labels: the same test again is no other look.
    """

    model: str
    quantisation: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    at: float
    labels: int
    goal: str
    digest: str


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    looks: list[Look] = []


class Looks:
    """The looks that are remembered in one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def so_far(
        self, rows: Sequence[Labelled], goal: Goal, binding: Binding
    ) -> tuple[tuple[Look, ...], Goal]:
        """The looks at this model and build, in order, and the goal with the number that a look at
        these labels now would have: that of the same test, if there was one.

        Raises:
            ConfigError: what is remembered can't be read.
        """
        own = _own(self._read(), binding)
        return own, replace(goal, look=_number(own, _digest(rows, goal)))

    def take(
        self,
        rows: Sequence[Labelled],
        goal: Goal,
        binding: Binding,
        at: float,
        counts: Callable[[Goal], bool],
    ) -> Goal:
        """The goal with the number of the look that is taken now, which is written down.

        Args:
            at: Seconds since 1970-01-01 UTC.
            counts: Whether a test of that goal could pass at all, whatever the labels say. One
                that couldn't uses no doubt and is not written down.

        Raises:
            ConfigError: it can't be read, written or held.
        """
        digest = _digest(rows, goal)
        with self._held():
            found = self._read()
            own = _own(found, binding)
            goal = replace(goal, look=_number(own, digest))
            if all(look.digest != digest for look in own) and counts(goal):
                look = Look(
                    model=binding.model,
                    quantisation=binding.quantisation,
                    number=goal.look,
                    at=at,
                    labels=len(rows),
                    goal=in_words(goal),
                    digest=digest,
                )
                self._write(msgspec.structs.replace(found, looks=[*found.looks, look]))
        return goal

    def _read(self) -> _File:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _File(format=_FORMAT)
        except OSError as exc:
            raise ConfigError(f"cannot be read: {exc.strerror or exc}", file=self.path) from exc
        try:
            found = msgspec.json.decode(data, type=_File)
        except msgspec.MsgspecError as exc:
            raise self._strange(f"is no record of looks ({exc})") from exc
        if found.format != _FORMAT:
            raise self._strange(f"has format {found.format}; this version reads {_FORMAT}")
        return found

    def _strange(self, problem: str) -> ConfigError:
        return ConfigError(
            problem,
            file=self.path,
            hint="move it away to count from one again; a promise made then knows of no look "
            "before",
        )

    def _write(self, found: _File) -> None:
        draft = self.path.with_name(f".{NAME}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(msgspec.json.encode(found))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise ConfigError(f"cannot be written: {exc.strerror or exc}", file=self.path) from exc

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Two runs at once would both be the same look."""
        from filelock import FileLock

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(str(self.path.with_name(f".{NAME}.lock")))
            lock.acquire()
        except OSError as exc:
            raise ConfigError(f"cannot be held: {exc.strerror or exc}", file=self.path) from exc
        try:
            yield
        finally:
            lock.release()


def _own(found: _File, binding: Binding) -> tuple[Look, ...]:
    """The looks at this model and build, in order."""
    made_for = (binding.model, binding.quantisation)
    own = (look for look in found.looks if (look.model, look.quantisation) == made_for)
    return tuple(sorted(own, key=lambda look: look.number))


def _number(own: Sequence[Look], digest: str) -> int:
    """Of the look with that digest, or of the next."""
    for look in own:
        if look.digest == digest:
            return look.number
    return own[-1].number + 1 if own else 1


def _digest(rows: Sequence[Labelled], goal: Goal) -> str:
    """Of all that a test's verdict on all requests follows from; where a label lies is none of it.
    Nor is whether tasks have promises of their own: those are other promises. Another version of
    this package may fit otherwise, and so is another test."""
    said = asdict(replace(goal, each=True, look=1))
    found = sha256(_bytes(repr((__version__, SIGNALS, sorted(said.items())))))
    for row in rows:
        found.update(_bytes(repr(replace(row, source=""))))
    return found.hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
