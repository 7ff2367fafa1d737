"""*Edge:* a labelled set out of a JSONL file: all of it as columns, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import ConfigError
from ..labels.lines import read_rows
from ..labels.row import Row
from .labelled import Labelled, labelled

_SHOWN = 5


def read(path: Path, tasks: Iterable[str] = (), cheap: str | None = None) -> Labelled:
    """A file's rows as columns.

    Args:
        tasks: Only rows of these. Empty: all.
        cheap: The model or tier that each row tells of which is the cheap cloud tier.

    Raises:
        ConfigError: It can't be read, a line is no labelled answer, or there are none.
    """
    wanted = frozenset(tasks)
    rows: list[Row] = []
    wrong: list[ConfigError] = []
    for found in read_rows(path, wanted):
        if isinstance(found, ConfigError):
            wrong.append(found)
        else:
            rows.append(found)
    if wrong:
        raise _several(wrong)
    if not rows:
        raise ConfigError("there is no labelled answer in it", file=path, hint=_hint(wanted))
    if cheap is not None and not all(cheap in row.beside for row in rows):
        raise ConfigError(
            f"not every row says what {cheap!r} made of it",
            file=path,
            field="--cheap",
            hint="it must be among `peers` or `tiers` of each row, and not the strong one",
        )
    return labelled(path.name, rows, cheap)


def _several(wrong: list[ConfigError]) -> ConfigError:
    """The first, with the places of the others."""
    first, others = wrong[0], wrong[1:]
    if not others:
        return first
    places = [f"line {each.line}" for each in others[:_SHOWN]]
    rest = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    hint = f"also wrong: {', '.join(places)}{rest}"
    return ConfigError(
        first.message, file=first.file, line=first.line, field=first.field, hint=hint
    )


def _hint(wanted: frozenset[str]) -> str | None:
    return f"--task asks for {', '.join(sorted(wanted))} only" if wanted else None
