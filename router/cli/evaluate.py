"""`firsthop eval`: what a confidence is worth on labelled answers, as a table and as a report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .options import JsonOption
from .screen import table

if TYPE_CHECKING:
    from ..evaluation.findings import Findings
    from ..evaluation.labelled import Labelled
    from ..evaluation.sources import Source
    from ..report.tables import Table

CROSSED = "crossed"
_SIGNALS = 10


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="Labelled answers, JSONL, also gzipped.", metavar="DATA")
    ],
    confidence: Annotated[
        str | None,
        typer.Option(
            help="A calibration file, a signal's name, or `crossed`: fitted on the other rows.",
            metavar="SOURCE",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Another confidence on the same rows, likewise.", metavar="SOURCE"),
    ] = None,
    bar: Annotated[
        float | None,
        typer.Option(help="Keep drafts of at least this confidence.", metavar="CHANCE"),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only rows of this task; may be repeated.")
    ] = None,
    cheap: Annotated[
        str | None,
        typer.Option(
            help="Which of the rows' peers or tiers is the cheap cloud tier.", metavar="MODEL"
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the plots to this HTML file.", metavar="FILE")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the JSON to this file.", metavar="FILE"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a confidence on labelled answers: ranking, calibration, and what a cascade saves.

    Costs are held against always the device, always each cloud tier, blind mixtures of two tiers,
    and who knows beforehand. Nothing is asked of any model.
    """
    from ..evaluation.asjson import plain
    from ..evaluation.compare import compare as compared
    from ..evaluation.findings import find
    from ..evaluation.readfile import read
    from ..report.write import check_drawable, write_report

    if bar is not None and not 0 <= bar <= 1:
        raise ConfigError(f"{bar:g} is no chance from 0 to 1", field="--bar")
    if report is not None:
        check_drawable()
    rows = read(data, task or (), cheap)
    one = _source(rows, confidence, "--confidence")
    judged = one.judged(rows)
    found = find(
        judged,
        bar=bar,
        chosen="by --bar",
        certificate=one.certificate,
        promise=one.promise,
        says=one.says,
        without=one.without,
        notes=one.notes,
    )
    if compare is not None:
        other = _source(rows, compare, "--compare")
        changes = compared(judged, other.judged(rows))
        found = replace(found, other=other.said, changes=changes, notes=found.notes + other.notes)
    if out is not None:
        out.write_text(json.dumps(plain(found), indent=2) + "\n", encoding="utf-8")
    if report is not None:
        write_report(report, found)
    if as_json:
        typer.echo(json.dumps(plain(found), indent=2))
    else:
        _show(found)
        if report is not None:
            typer.echo(f"\nplots: {report}")


def _source(rows: Labelled, word: str | None, option: str) -> Source:
    from ..evaluation.sources import calibrated, crossed, of_signal

    if word is None:
        word = CROSSED if rows.confidence is None else "confidence"
    if word == CROSSED:
        return crossed(rows)
    if Path(word).is_file():
        return calibrated(rows, Path(word).read_bytes(), word)
    return of_signal(rows, word, option)


def _show(found: Findings) -> None:
    from ..report import tables, words

    typer.echo(f"{found.name}: {found.rows} answers of {found.device}\nconfidence: {found.source}")
    for note in found.notes:
        typer.echo(note)
    typer.echo()
    figures = tables.figures(found)
    _print(replace(figures, rows=tuple(row[:4] for row in figures.rows), columns=_SHORT))
    typer.echo(f"\n{words.bar_said(found)}")
    if found.changes:
        typer.echo(f"\none: {found.source}\nother: {found.other}\n")
        _print(tables.changes(found))
    if found.routing is not None:
        typer.echo()
        _print(tables.ways(found.routing))
        typer.echo(f"\n{words.breaks_said(found, found.routing)}")
    for kind, groups in (("task", found.tasks), ("language", found.languages)):
        if len(groups) > 1:
            typer.echo()
            _print(tables.groups(kind, groups))
    if found.signals:
        typer.echo()
        _print(tables.signals(found, _SIGNALS))


_SHORT = ("figure", "value", "90 % interval", "better")


def _print(shown: Table) -> None:
    table(None, shown.columns, shown.rows, right="|".join(shown.right))
