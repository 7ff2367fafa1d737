"""`firsthop policy`: check, test and compare policies, and the schema that editors read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import config as configs
from ..config import Config
from ..document import Document, read_yaml
from ..errors import ConfigError, PolicyError
from ..policy import load as policies
from ..policy.build import build
from ..policy.lint import Served, Warning, lint
from ..policy.rules import Policy
from .exits import Exit
from .options import ConfigOption, JsonOption
from .policydiff import diff
from .policytest import run_cases
from .screen import counted

app = typer.Typer(help="Check, test and compare policies.", no_args_is_help=True)

FilesArgument = Annotated[
    list[str], typer.Argument(help="Policies: paths, or names of shipped ones.", metavar="FILE...")
]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file: a policy with warnings, or an error.

    Attributes:
        cases: How many, where the file is one of cases; `policy` is then whose they are.
    """

    file: str
    policy: Policy | None = None
    cases: int | None = None
    warnings: tuple[Warning, ...] = ()
    error: ConfigError | None = None


@app.command()
def check(
    files: FilesArgument,
    config: ConfigOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on a warning.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a policy, and what is odd: rules that never match, bars out of reach.

    Tiers and signals are held against the targets of the config that `ask` would use.
    """
    used, why_not = _config(config)
    found = [_checked(file, used) for file in files]
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=2))
    else:
        _say(found, used, why_not)
    if any(one.error for one in found):
        raise typer.Exit(Exit.USAGE)
    if strict and any(one.warnings for one in found):
        raise typer.Exit(Exit.FAILED)


def _config(given: str | None) -> tuple[Config | None, str]:
    """The config whose targets are looked at; or none, and why, if nobody asked for it by name."""
    try:
        return configs.load(configs.find(given)), ""
    except ConfigError as error:
        if given is not None:
            raise
        return None, str(error)


def _checked(file: str, config: Config | None) -> Checked:
    folders = (configs.shipped("policies"),) if config is None else config.policy_folders
    try:
        path = policies.find(file, folders)
        if path.name.endswith((".test.yaml", ".test.yml")):
            return _cases(file, path)
        document = read_yaml(path, kind=PolicyError)
        policy = build(document, policies.revision_of(document.source))
        warnings = lint(document, policy, _served(config))
        return Checked(file, policy, warnings=(*warnings, *_failing(path, document, policy)))
    except ConfigError as error:
        return Checked(file, error=error)


def _served(config: Config | None) -> Served | None:
    if config is None:
        return None
    from ..served import served

    return served(config)


def _failing(path: Path, document: Document, policy: Policy) -> tuple[Warning, ...]:
    """A warning when the cases beside a policy come out otherwise."""
    from ..policy.selftest import selftest_beside

    report = selftest_beside(path, policy)
    if report is None or not report.failures:
        return ()
    cases = len({failure.case.name for failure in report.failures})
    at = document.error(PolicyError, "", ("policy",))
    message = f"{counted(cases, 'case')} beside it {'fails' if cases == 1 else 'fail'}"
    hint = f"see: firsthop policy test {path}"
    return (Warning(message, ("policy",), document.file, at.line, at.column, at.field, hint),)


def _cases(file: str, path: Path) -> Checked:
    from ..policy.cases import load_cases, policy_of

    policy = policies.load(policy_of(path))
    return Checked(file, policy, len(load_cases(path, policy)))


def _say(found: Sequence[Checked], config: Config | None, why_not: str) -> None:
    for one in found:
        if one.policy is None:
            typer.echo(str(one.error), err=True)
            continue
        if one.cases is not None:
            typer.echo(f"{one.file}: {counted(one.cases, 'case')} of {one.policy.name}")
            continue
        for warning in one.warnings:
            typer.echo(str(warning))
        typer.echo(f"{one.policy.name}@{one.policy.revision}: {_parts(one.policy)}; {_odd(one)}")
    if config is None and why_not:
        typer.echo(f"not held against a config: {why_not}", err=True)
    elif config is not None and any(one.warnings for one in found):
        typer.echo(f"(targets as in {config.file})")


def _parts(policy: Policy) -> str:
    """``1 guard, 4 route rules, 5 requirements``."""
    parts = [
        counted(len(policy.guards), "guard"),
        counted(len(policy.route), "route rule"),
        counted(len(policy.accept), "requirement"),
    ]
    if policy.early:
        parts.append(counted(len(policy.early), "early commit"))
    if policy.abort:
        parts.append(counted(len(policy.abort), "early abort"))
    return ", ".join(parts)


def _odd(one: Checked) -> str:
    return counted(len(one.warnings), "warning") if one.warnings else "no warnings"


def _as_json(one: Checked) -> dict[str, Any]:
    policy = one.policy
    return {
        "file": one.file,
        "policy": None if policy is None else policy.name,
        "revision": None if policy is None else policy.revision,
        "cases": one.cases,
        "error": None if one.error is None else _place(one.error),
        "warnings": [_place(warning) for warning in one.warnings],
    }


def _place(problem: ConfigError | Warning) -> dict[str, Any]:
    return {
        name: getattr(problem, name)
        for name in ("file", "line", "column", "field", "message", "hint")
    }


app.command("test")(run_cases)
app.command("diff")(diff)


@app.command()
def schema(
    cases: Annotated[
        bool, typer.Option("--cases", help="The schema of a NAME.test.yaml instead.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write it there, and say how an editor finds it."),
    ] = None,
) -> None:
    """Print the JSON Schema with which an editor completes and checks a policy as it is written."""
    from ..policy.schema import case_schema, json_schema, modeline

    text = json.dumps(case_schema() if cases else json_schema(), indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ConfigError(f"{out} can't be written: {reason}", field="--out") from exc
    what = "NAME.test.yaml" if cases else "policy"
    typer.echo(f"written to {out}; put this on top of a {what} in the same folder:")
    typer.echo(modeline(out.name))
