"""The work file: rows that are made one by one, and what a kill may take of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..labels.fields import Bad
from ..labels.lines import complaint, lines, parsed


class WorkFile:
    """Rows that are made one by one, kept so that a kill loses at most the one under way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it, so that no other run cuts off a line that is being written, or spends the same
        dollars again; let go of by the kernel when its holder dies.

        Raises:
            ConfigError: another run holds it, or it can't be held.
        """
        from filelock import FileLock, Timeout

        self._check_plain()
        lock = FileLock(str(self.path.with_name(f".{self.path.name}.lock")), blocking=False)
        try:
            lock.acquire()
        except Timeout as exc:
            raise ConfigError(
                "another run is making labels in it", file=self.path, hint="wait for its end"
            ) from exc
        except OSError as exc:
            raise ConfigError(f"cannot be held: {exc.strerror or exc}", file=self.path) from exc
        try:
            yield
        finally:
            lock.release()

    def _check_plain(self) -> None:
        if self.path.suffix == ".gz":
            raise ConfigError(
                "is written line by line, so it can't be gzipped",
                file=self.path,
                hint="name it .jsonl",
            )

    def rows(self) -> list[Mapping[str, Any]]:
        """What is there already. A last line that a kill has torn is cut off.

        Raises:
            ConfigError: it can't be read, or holds a line that was never written here.
        """
        self._check_plain()
        if not self.path.exists():
            return []
        self._cut_torn()
        found = []
        for number, line in lines(self.path):
            try:
                found.append(parsed(line))
            except Bad as exc:
                raise complaint(self.path, number, exc) from exc
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """One line more, on the disk when this returns. Raises: OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, 0o600)  # prompts are nobody else's business
        with os.fdopen(handle, "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _cut_torn(self) -> None:
        try:
            with self.path.open("r+b") as file:
                whole = file.read()
                file.truncate(whole.rfind(b"\n") + 1)
        except OSError as exc:
            raise ConfigError(f"cannot be read: {exc.strerror or exc}", file=self.path) from exc
