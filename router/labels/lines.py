"""*Edge:* the lines of a labelled file, plain or gzipped: each a row, or what is wrong with it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .fields import Bad
from .row import Row, is_failed, kind_of, row_of


def read_rows(
    path: Path, tasks: Collection[str] = (), *, drafted: bool = False
) -> Iterator[Row | ConfigError]:
    """Every line that says something: its row, or a complaint with file, line and field.

    A prompt of a work file that could not be judged is passed over.

    Args:
        tasks: Only rows of these, chosen before the rest of a line is looked at. Empty: all.
        drafted: Whether a row has to have a prompt and a draft.

    Raises:
        ConfigError: the file can't be read.
    """
    for number, line in lines(path):
        try:
            found = parsed(line)
            if is_failed(found) or (tasks and kind_of(found) not in tasks):
                continue
            row = row_of(found)
            if drafted and row.asked is None:
                raise Bad("prompt", "is missing, and so is messages")
            if drafted and row.draft is None:
                raise Bad("draft", "is missing")
            yield row
        except Bad as exc:
            yield complaint(path, number, exc)


def complaint(path: Path, number: int, bad: Bad) -> ConfigError:
    """What is wrong with a line, with its place."""
    return ConfigError(bad.problem, file=path, line=number, field=bad.field)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that say something, with their numbers from 1.

    Raises: ConfigError, when it can't be read.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot be read: {why}", file=path) from exc


def parsed(line: bytes) -> Mapping[str, Any]:
    """One line's object. Raises: Bad."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise Bad(None, f"is no JSON ({exc})") from exc
    if not isinstance(found, dict):
        raise Bad(None, f"has to be an object, not {type(found).__name__}")
    return found
