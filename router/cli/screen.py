"""Tables and bars for a terminal; plain text when standard output is a pipe."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

RULE_INDENT = 42
"""Where a trace's line says what was tested."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from ..models.progress import OnProgress, Progress


def console(*, stderr: bool = False) -> Console:
    """A console that neither colours nor wraps what goes into a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(stderr=stderr, width=width, highlight=False)


def say_it_once() -> None:
    """Keep warnings of ours and of Azure's library off the terminal: this command says them itself.

    Handlers that are there are left alone; without any, logging would print to standard error.
    """
    for name in ("firsthop", "azure"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def table(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = ""
) -> None:
    """Print a table; `right` names the columns that stand to the right, as in ``"s|$"``."""
    from rich.table import Table
    from rich.text import Text

    aligned = set(right.split("|")) if right else set()
    if not sys.stdout.isatty() or _width(columns, rows) > console().width:
        _plain(title, columns, rows, aligned)
        return
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name, justify="right" if name in aligned else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    console().print(shown)


def _plain(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], aligned: set[str]
) -> None:
    """Columns kept apart by two spaces, so that a script can cut them.

    Also for a terminal that is too narrow: it breaks all lines at one place, and no id or number.
    """
    if title:
        print(title)
    widths = _widths(columns, rows)
    for row in (columns, *rows):
        cells = [
            cell.rjust(width) if name in aligned else cell.ljust(width)
            for cell, width, name in zip(row, widths, columns, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(r[i]) for r in (columns, *rows)) for i in range(len(columns))]


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(_widths(columns, rows)) + 2 * (len(columns) - 1)


_PHASES = {
    "wait": "waiting for another pull",
    "look": "looking",
    "download": "downloading",
    "unpack": "unpacking",
    "convert": "converting",
    "check": "checking",
    "place": "placing",
    "done": "ready",
}


@contextmanager
def pulling(name: str) -> Iterator[OnProgress]:
    """A bar with speed and time left on a terminal; a line a phase anywhere else."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console(stderr=True), transient=True) as bars:
        yield _Bars(name, bars)


class _Lines:
    def __init__(self, name: str) -> None:
        self.name = name
        self.phase = ""

    def __call__(self, now: Progress) -> None:
        if now.phase != self.phase:
            self.phase = now.phase
            size = f" {megabytes(now.bytes_total)}" if now.bytes_total else ""
            print(f"{self.name}: {_PHASES[now.phase]}{size}", file=sys.stderr, flush=True)


class _Bars:
    """One bar a phase: bytes where the phase counts them, hundredths where it doesn't."""

    def __init__(self, name: str, bars: RichProgress) -> None:
        self.name = name
        self.bars = bars
        self.phase = ""
        self.task: TaskID | None = None

    def __call__(self, now: Progress) -> None:
        if now.phase != self.phase:
            if self.task is not None:
                self.bars.remove_task(self.task)
            self.phase = now.phase
            # What an earlier, broken-off pull had fetched is not part of this one's speed.
            self.task = self.bars.add_task(
                f"{self.name}: {_PHASES[now.phase]}", total=None, completed=now.bytes_done or 0
            )
        assert self.task is not None
        if now.bytes_total is not None:
            self.bars.update(self.task, total=now.bytes_total, completed=now.bytes_done or 0)
        elif now.fraction is not None:
            self.bars.update(self.task, total=100, completed=100 * now.fraction)


def megabytes(size: int | None) -> str:
    """Bytes for people."""
    if size is None:
        return "size unknown"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def say(line: str, *, indent: int | None = None, skip: int = 0) -> None:
    """Print a line of a trace; on a terminal that is too narrow, folded.

    Args:
        indent: Where it goes on. None: where what a trace's line says begins.
        skip: Characters at its begin that stand on the terminal already.
    """
    if sys.stdout.isatty():
        line = folded(line, shutil.get_terminal_size().columns, indent)
    print(line[skip:])


def folded(line: str, width: int, indent: int | None = None) -> str:
    """A line of a trace within `width` columns; it goes on where what it says begins."""
    if len(line) <= width:
        return line
    begin = len(line) - len(line.lstrip())
    if indent is None:
        indent = RULE_INDENT if begin <= 1 and width >= 2 * RULE_INDENT - 10 else begin + 2
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_on_hyphens=False)


def counted(count: int, word: str) -> str:
    """``1 guard``, ``2 guards``."""
    return f"{count} {word}{'' if count == 1 else 's'}"
