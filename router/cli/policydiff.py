"""`firsthop policy diff`: which recorded requests would have gone elsewhere, and what it costs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import config as configs
from ..policy import load as policies
from ..policy.explain import usd
from ..policy.rules import Policy
from .options import ConfigOption, JsonOption
from .screen import counted, table

if TYPE_CHECKING:
    from ..policy.diff import Difference, Move, Sum, Way

DAY_S = 86_400


def diff(
    a: Annotated[str, typer.Argument(help="A policy: a path, or a name.", metavar="A")],
    b: Annotated[str, typer.Argument(help="The one to compare it with.", metavar="B")],
    ledger: Annotated[
        Path | None,
        typer.Option(help="A ledger's folder; the config's own if not given.", metavar="FOLDER"),
    ] = None,
    since: Annotated[
        float | None, typer.Option(help="Only the last so many days.", min=0, metavar="DAYS")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide the ledger's requests again under A and under B: who goes elsewhere, at what cost.

    Nothing is guessed: what would need a signal or an answer that was not recorded is counted
    apart. A tier that was not called costs the mean of its recorded hops, marked with ~.
    """
    from ..ledger import recorded
    from ..policy.diff import diff as compare
    from ..served import served

    used = configs.load(configs.find(config))
    policy_a, policy_b = (
        policies.load(policies.find(name, used.policy_folders)) for name in (a, b)
    )
    # A ledger from elsewhere was filled under other targets, unless somebody says which.
    here = ledger is None or config is not None
    start = None if since is None else time.time() - since * DAY_S
    found = compare(
        policy_a,
        policy_b,
        recorded(ledger or used.ledger_folder, start),
        served(used).tiers if here else None,
    )
    if as_json:
        typer.echo(json.dumps(_as_json(policy_a, policy_b, found), indent=2))
    else:
        _show(policy_a, policy_b, found)


def _show(a: Policy, b: Policy, found: Difference) -> None:
    typer.echo(f"A {_named(a)}\nB {_named(b)}\n")
    typer.echo(
        f"{counted(found.requests, 'request')}: {found.same} go the same way, "
        f"{found.different} go elsewhere, {found.undecidable} can't be told"
    )
    if found.different or found.same:
        typer.echo(f"by A {_sum(found.usd_a)}, by B {_sum(found.usd_b)}")
    if found.moves:
        typer.echo()
        table(
            None,
            ("requests", "A", "B", "change"),
            [(str(m.count), _way(m.a), _way(m.b), _change(m.change)) for m in found.moves],
            right="requests|change",
        )
        typer.echo()
        for move in found.moves:
            typer.echo(f"from {_way(move.a)} to {_way(move.b)}:\n  {_examples(move.examples)}")
    _show_undecidable(found)
    for note in _left_out(a, b):
        typer.echo(note)


def _show_undecidable(found: Difference) -> None:
    if not found.undecidable:
        return
    typer.echo(f"\n{found.undecidable} can't be told:")
    for name, count in found.missing:
        typer.echo(f"  {count:>6}  signal not recorded: {name}")
    for reason, count in found.reasons:
        typer.echo(f"  {count:>6}  {reason}")
    if found.missing:
        typer.echo("  (a policy with `record_signals: all` records every signal)")
    typer.echo(_examples(found.examples))


def _examples(ids: tuple[str, ...]) -> str:
    """Two fit on a line of 80; there are more in the JSON."""
    return f"for example {', '.join(ids[:2])}"


def _left_out(a: Policy, b: Policy) -> list[str]:
    """What a recording can't hold a policy to."""
    notes = [
        f"\n{policy.name}: limits.{name} is not held here; prices at their worst are not recorded"
        for policy in (a, b)
        for name in ("cost_usd", "day_usd")
        if getattr(policy.limits, name) is not None
    ]
    notes = list(dict.fromkeys(notes))
    return [note if i == 0 else note.strip() for i, note in enumerate(notes)]


def _named(policy: Policy) -> str:
    return f"{policy.name}@{policy.revision}"


def _way(way: Way) -> str:
    """``device > cloud-fast``; with what came of it where the last tier did not answer."""
    path, end = way
    text = " > ".join(path)
    if not end:
        return f"{text} > ?"
    if path and end == f"answered by {path[-1]}":
        return text
    return f"{text} ({end})" if text else end


def _sum(sum_: Sum) -> str:
    text = ("~" if sum_.estimated else "") + usd(sum_.usd)
    return f"{text} and {sum_.unknown} unknown" if sum_.unknown else text


def _change(change: Sum) -> str:
    sign = "-" if change.usd < 0 else "+" if change.usd > 0 else ""
    text = sign + ("~" if change.estimated else "") + usd(abs(change.usd))
    return f"{text} and {change.unknown} unknown" if change.unknown else text


def _as_json(a: Policy, b: Policy, found: Difference) -> dict[str, Any]:
    return {
        "a": {"policy": a.name, "revision": a.revision, "usd": _sum_json(found.usd_a)},
        "b": {"policy": b.name, "revision": b.revision, "usd": _sum_json(found.usd_b)},
        "requests": found.requests,
        "same": found.same,
        "different": found.different,
        "undecidable": found.undecidable,
        "signals_not_recorded": dict(found.missing),
        "reasons": dict(found.reasons),
        "examples_undecidable": list(found.examples),
        "moves": [_move_json(move) for move in found.moves],
    }


def _move_json(move: Move) -> dict[str, Any]:
    return {
        "requests": move.count,
        "a": {"path": list(move.a[0]), "end": move.a[1] or None},
        "b": {"path": list(move.b[0]), "end": move.b[1] or None},
        "change": _sum_json(move.change),
        "examples": list(move.examples),
    }


def _sum_json(sum_: Sum) -> dict[str, Any]:
    """Dollars as a string, so that they stay exact."""
    return {
        "usd": format(sum_.usd, "f"),
        "estimated_hops": sum_.estimated,
        "unknown_requests": sum_.unknown,
    }
