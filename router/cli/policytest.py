"""`firsthop policy test`: policies against the cases beside them, and which rules they touched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import config as configs
from ..errors import PolicyError
from ..policy import load as policies
from .exits import Exit
from .options import JsonOption
from .screen import counted, table

if TYPE_CHECKING:
    from ..policy.selftest import Failure, Report


def run_cases(
    files: Annotated[
        list[str],
        typer.Argument(help="Policies, or their cases: paths, or names.", metavar="FILE..."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Play each policy's cases; every rule has to be seen firing and not firing.

    Exits with 1 when a case comes out otherwise or a rule was not seen one way, with 2 when there
    are no cases.
    """
    reports = [_report(path) for path in dict.fromkeys(map(_policy_file, files))]
    if as_json:
        typer.echo(json.dumps([_as_json(report) for report in reports], indent=2))
    else:
        for number, report in enumerate(reports):
            if number:
                typer.echo()
            _show(report)
    if not all(report.ok for report in reports):
        raise typer.Exit(Exit.FAILED)


def _policy_file(file: str) -> Path:
    """The policy that is meant: by its name, its path, or the path of its cases."""
    from ..policy.cases import policy_of

    path = policies.find(file, (Path("policies"), configs.shipped("policies")))
    return policy_of(path) if path.name.endswith((".test.yaml", ".test.yml")) else path


def _report(path: Path) -> Report:
    from ..policy.load import cases_beside
    from ..policy.selftest import selftest_beside

    report = selftest_beside(path)
    if report is None:
        policies.load(path)  # a policy that is wrong is told before the want of its cases
        raise PolicyError(
            "there are no cases beside it", file=path, hint=f"write {cases_beside(path).name}"
        )
    return report


def _show(report: Report) -> None:
    failed = _by_case(report.failures)
    end = f"{len(failed)} failed" if failed else "all as expected"
    typer.echo(f"{report.policy}@{report.revision}: {counted(report.cases, 'case')}, {end}")
    for failures in failed:
        typer.echo()
        typer.echo(f"FAILED {failures[0].case.name}{_line(failures[0])}")
        for failure in failures:
            typer.echo(f"  {failure.field:<8} {failure.came}")
            typer.echo(f"  expected {failure.expected}")
        for line in failures[0].lines:
            typer.echo(f"  {line}")
    if report.coverage:
        typer.echo()
        table(
            None,
            ("rule", "", "firing", "not firing"),
            [(c.kind, c.id, _times(c.fired), _times(c.rested)) for c in report.coverage],
            right="firing|not firing",
        )
    for unseen in report.uncovered:
        typer.echo(unseen)


def _by_case(failures: Sequence[Failure]) -> list[list[Failure]]:
    """A case that came out otherwise in several ways is one: its trace is the same for each."""
    found: dict[str, list[Failure]] = {}
    for failure in failures:
        found.setdefault(failure.case.name, []).append(failure)
    return list(found.values())


def _line(failure: Failure) -> str:
    return "" if failure.case.line is None else f" (line {failure.case.line})"


def _times(count: int) -> str:
    return str(count) if count else "never"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "policy": report.policy,
        "revision": report.revision,
        "ok": report.ok,
        "cases": report.cases,
        "failures": [
            {
                "case": failure.case.name,
                "line": failure.case.line,
                "field": failure.field,
                "expected": failure.expected,
                "came": failure.came,
                "trace": list(failure.lines),
            }
            for failure in report.failures
        ],
        "coverage": [
            {"kind": c.kind, "id": c.id, "firing": c.fired, "not_firing": c.rested}
            for c in report.coverage
        ],
        "uncovered": list(report.uncovered),
    }
