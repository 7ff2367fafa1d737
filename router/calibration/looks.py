"""How often these labels have been looked at: a small file in the ledger's folder.

A look is a test of a goal on labelled drafts of one model and build. It is written down before its
verdict is known, whatever that will be. Looks belong together as soon as they have one question in
common, wherever its label lies: labels that are wholly new begin a new count, and labels that
bring two counts together have both. Questions are kept as the beginnings of their digests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import msgspec

from ..confidence.stored import SIGNALS, Binding
from ..errors import ConfigError
from .goal import Goal, in_words
from .labelled import Labelled

NAME = "looks.json"
_FORMAT = 1
_SHOWN = 16
"""Characters of a digest that are kept: of a million questions two meet by chance once in 2^25."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look.

    Attributes:
        at: Seconds since 1970-01-01 UTC.
        labels: How many there were.
        goal: In words.
        digest: Of goal and labels: the same test again is no other look.
    """

    at: float
    labels: int
    goal: str
    digest: str


class _Count(msgspec.Struct, frozen=True, kw_only=True):
    """Looks that belong together, and every question that any of them had."""

    model: str
    quantisation: str
    looks: list[Look]
    questions: list[str]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int = _FORMAT
    counts: list[_Count] = []


class Looks:
    """The looks that are remembered in one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def so_far(
        self, rows: Sequence[Labelled], goal: Goal, binding: Binding
    ) -> tuple[tuple[Look, ...], Goal]:
        """The looks that these labels have a question in common with, in order, and the goal with
        the number that a look now would have: that of the same test, if there was one.

        Raises:
            ConfigError: what is remembered can't be read.
        """
        own, _ = _own(self._read(), _questions(rows), binding)
        return tuple(own.looks), replace(goal, look=_number(own, _digest(rows, goal)))

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
            own, others = _own(found, _questions(rows), binding)
            goal = replace(goal, look=_number(own, digest))
            if goal.look > len(own.looks) and counts(goal):
                look = Look(at=at, labels=len(rows), goal=in_words(goal), digest=digest)
                own = msgspec.structs.replace(own, looks=[*own.looks, look])
                self._write(_File(counts=[*others, own]))
        return goal

    def _read(self) -> _File:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _File()
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


def _own(found: _File, questions: set[str], binding: Binding) -> tuple[_Count, list[_Count]]:
    """The count that these questions belong to, theirs among its own, and all others."""
    made_for = (binding.model, binding.quantisation)
    own = [
        one
        for one in found.counts
        if (one.model, one.quantisation) == made_for and not questions.isdisjoint(one.questions)
    ]
    joined = _Count(
        model=binding.model,
        quantisation=binding.quantisation,
        looks=sorted((look for one in own for look in one.looks), key=lambda look: look.at),
        questions=sorted(questions.union(*(one.questions for one in own))),
    )
    return joined, [one for one in found.counts if one not in own]


def _number(own: _Count, digest: str) -> int:
    """Of the look with that digest, or of the next."""
    digests = [look.digest for look in own.looks]
    return digests.index(digest) + 1 if digest in digests else len(digests) + 1


def _questions(rows: Sequence[Labelled]) -> set[str]:
    return {sha256(_bytes(row.key)).hexdigest()[:_SHOWN] for row in rows}


def _digest(rows: Sequence[Labelled], goal: Goal) -> str:
    """Of all that a test's verdict on all requests follows from; where a label lies is none of it.
    Nor is whether tasks have promises of their own: those are other promises."""
    said = asdict(replace(goal, each=True, look=1))
    found = sha256(_bytes(repr((SIGNALS, sorted(said.items())))))
    for row in rows:
        found.update(_bytes(repr(replace(row, source=""))))
    return found.hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
