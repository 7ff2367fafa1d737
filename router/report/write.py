"""`write_report`: findings in, one HTML file out. It loads nothing from anywhere."""

from __future__ import annotations

from pathlib import Path

from .. import __version__
from ..errors import ConfigError
from ..evaluation.findings import Findings
from .page import page


def write_report(path: Path, found: Findings) -> None:
    """Write the report of some findings, over what was there.

    Raises:
        ConfigError: The extra `report` is not installed.
        OSError: The file can't be written.
    """
    path.write_text(report(found), encoding="utf-8", newline="\n")


def check_drawable() -> None:
    """Whether a report can be drawn at all, to be asked before long or dear work.

    Raises:
        ConfigError: The extra `report` is not installed.
    """
    try:
        from . import sections  # noqa: F401
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"a report is drawn with matplotlib ({exc})",
            field="--report",
            hint="pip install 'firsthop[report]'",
        ) from exc


def report(found: Findings) -> str:
    """The report as HTML.

    Raises:
        ConfigError: The extra `report` is not installed.
    """
    check_drawable()
    from . import sections

    return page(
        f"What confidence is worth: {found.name}",
        sections.lead(found),
        sections.figures(found),
        sections.plotted(found),
        f"Made by firsthop {__version__}. Intervals are 90 %: the 5 % and 95 % quantile over rows "
        "drawn again, those of one prompt together; of shares in a bin or a group, Wilson's.",
    )
