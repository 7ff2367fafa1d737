"""What a worker has learned, kept in a small file for the next one.

In goes a `Kept`, out comes one again, or None with a line in the log where the file can't be used.
One file for each model, device and set of options, in the user's cache; written whole or not.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from pathlib import Path

import msgspec

from .learned import FILE_VERSION, Kept

log = logging.getLogger("firsthop")


def file_for(name: str) -> Path:
    """Where what was learned at the meeting place `name` is kept.

    In ``$FIRSTHOP_HOME/speeds`` where that is set, else in the user's cache folder.
    """
    home = os.environ.get("FIRSTHOP_HOME")
    if home:
        return Path(home, "speeds", f"{name}.json")
    import platformdirs

    return Path(platformdirs.user_cache_dir("firsthop", appauthor=False), "speeds", f"{name}.json")


def load(path: Path) -> Kept | None:
    """What was kept there. None: nothing, or nothing that can be used."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        log.warning("what was learned of the device's speed can't be read, %s: %s", path, exc)
        return None
    if kept.version != FILE_VERSION or not _is_sound(kept):
        log.warning("what was learned of the device's speed can't be used: %s", path)
        return None
    return kept


def save(path: Path, kept: Kept) -> None:
    """Put it there. What can't be written is only lost, with a line in the log."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        # How long answers are is nobody else's business.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(kept))
        draft.replace(path)
    except OSError as exc:
        log.warning("what was learned of the device's speed can't be kept: %s", exc)
        with contextlib.suppress(OSError):
            draft.unlink()


def _is_sound(kept: Kept) -> bool:
    """Whether its numbers can be computed with."""
    rows = [*kept.reading.squares, *kept.writing.squares]
    rows += [kept.reading.products, kept.writing.products]
    numbers = [number for row in rows for number in row]
    positive = (kept.factor, kept.chunk)
    return (
        all(len(row) == 3 for row in rows)
        and len(rows) == 8
        and all(math.isfinite(number) for number in (*numbers, *positive, kept.start_s))
        and all(number > 0 for number in positive)
    )
