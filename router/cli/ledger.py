"""`firsthop ledger`: the last requests, one of them as a waterfall, totals."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from .. import config as configs
from ..answer import certainty
from ..ledger.report import AttemptRow, Report, RequestDetail, RequestRow
from ..ledger.totals import Spread, Totals
from ..policy.explain import seconds, usd
from ..policy.explain import show as shown
from ..recorded import signal_value
from .options import ConfigOption, JsonOption
from .screen import counted, table

app = typer.Typer(help="What was asked, who answered, what it cost.", invoke_without_command=True)
BAR = 40


@app.callback()
def recent(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--last", "-n", help="How many.", min=1)] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last requests, newest first."""
    if context.invoked_subcommand is not None:
        return
    with _report(config) as report:
        rows = report.recent(limit)
    if as_json:
        _print_json(rows)
        return
    table(
        None,
        ("decision", "when", "policy", "status", "path", "total", "cost", "flags"),
        [_line(row) for row in rows],
        right="total|cost",
    )


@app.command()
def show(
    decision_id: Annotated[
        str, typer.Argument(help="A decision's id, or how it begins.", metavar="ID")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one request: its hops as a waterfall, what was measured, and what it cost."""
    with _report(config) as report:
        detail = report.request(decision_id)
    if as_json:
        _print_json(detail)
        return
    for line in waterfall(detail):
        typer.echo(line)


@app.command()
def totals(
    days: Annotated[float | None, typer.Option(help="Only the last so many days.", min=0)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show counts, dollars and times by target."""
    since = 0.0 if days is None else time.time() - days * 86_400
    with _report(config) as report:
        found = report.totals(since)
    if as_json:
        _print_json(found)
        return
    _show_totals(found)


def _report(config: str | None) -> Report:
    return Report.open(configs.load(configs.find(config)).ledger_folder)


def _line(row: RequestRow) -> tuple[str, ...]:
    return (
        row.decision_id,
        _when(row.started_at),
        f"{row.policy}@{row.policy_revision}",
        row.status,
        " > ".join(row.path),
        seconds(row.total_s),
        usd(row.cost_usd),
        " ".join(row.flags),
    )


def _when(at: float | None) -> str:
    if at is None:
        return "unknown"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def waterfall(detail: RequestDetail) -> list[str]:
    """A request's attempts as bars over its time, then what was measured of each draft."""
    request = detail.request
    start = request.started_at or 0.0
    attempts = [(hop, a) for hop in detail.hops for a in hop.attempts]
    whole = max(
        (
            request.total_s or 0.0,
            *((a.started_at or start) - start + (a.total_s or 0.0) for _, a in attempts),
        )
    )
    lines = [
        f"{request.decision_id}  {_when(request.started_at)}  {request.status}"
        f"  policy {request.policy}@{request.policy_revision}  label {request.label}",
        "",
    ]
    for hop, attempt in attempts:
        took = attempt.total_s
        lines.append(
            f"{hop.hop + 1}.{attempt.number} {hop.target:<12} {_bar(attempt, start, whole)} "
            f"{seconds(took):>10}  first token {seconds(attempt.ttft_s):>10}  "
            f"{_tokens(attempt)}  {_cost(attempt)}  {_end(attempt)}"
        )
    if detail.signals:
        lines += ["", "request"]
        lines += [f"  {name} = {_signal(detail.signals[name])}" for name in sorted(detail.signals)]
    for hop in detail.hops:
        lines += ["", f"hop {hop.hop + 1} {hop.target}: {hop.cause}, {hop.because}"]
        lines += [f"  left: {hop.left_because}"] if hop.left_because else []
        lines += [f"  {name} = {_signal(value)}" for name, value in hop.signals.items()]
    mark = certainty(request.certified)
    total = f"total {seconds(request.total_s)}, {usd(request.cost_usd)}{mark}"
    flags = f"   [{', '.join(request.flags)}]" if request.flags else ""
    lines += ["", total + flags]
    lines += [_label(label) for label in detail.labels]
    return lines


def _bar(attempt: AttemptRow, start: float, whole: float) -> str:
    """Waiting for the first token is drawn light, the answer coming is drawn solid."""
    if whole <= 0 or attempt.started_at is None or attempt.total_s is None:
        return "?".center(BAR)
    scale = BAR / whole
    begin = min(BAR - 1, int((attempt.started_at - start) * scale))
    end = max(begin + 1, min(BAR, round((attempt.started_at - start + attempt.total_s) * scale)))
    waited = attempt.total_s if attempt.ttft_s is None else attempt.ttft_s
    light = min(end - begin, round(waited * scale))
    return " " * begin + "-" * light + "=" * (end - begin - light) + " " * (BAR - end)


def _tokens(attempt: AttemptRow) -> str:
    def known(count: int | None) -> str:
        return "?" if count is None else str(count)

    return f"{known(attempt.input_tokens)} in, {known(attempt.output_tokens)} out"


def _end(attempt: AttemptRow) -> str:
    if attempt.status != "finished":
        return attempt.status
    return attempt.error_kind or attempt.finish or "ended"


def _signal(value: object) -> str:
    return shown(signal_value(value))


def _label(label: Any) -> str:
    said = [w for w in (_good(label.good), label.note) if w]
    said += [f"score {label.score:g}"] if label.score is not None else []
    return f"feedback from {label.source} at {_when(label.at)}: {', '.join(said)}"


def _good(good: bool | None) -> str:
    return "" if good is None else "good" if good else "not good"


def _show_totals(found: Totals) -> None:
    ended = ", ".join(f"{count} {status}" for status, count in sorted(found.by_status.items()))
    typer.echo(f"{found.requests} requests{': ' + ended if ended else ''}")
    if found.deferral_rate is not None:
        typer.echo(f"deferral rate {found.deferral_rate:.1%}")
    typer.echo(f"cost {usd(found.cost_usd)}{_unknown(found.cost_unknown)}{_about(found)}")
    typer.echo(
        f"first byte p50 {seconds(found.ttfb_s.p50)}, p95 {seconds(found.ttfb_s.p95)}; "
        f"whole answer p50 {seconds(found.total_s.p50)}, p95 {seconds(found.total_s.p95)}"
    )
    late = found.escalation_delay_s
    if late.p50 is not None:
        typer.echo(f"escalation delay p50 {seconds(late.p50)}, p95 {seconds(late.p95)}")
    given_up = [t for t in found.targets if t.aborted]
    for t in given_up:
        drafts = counted(t.aborted, "draft")
        in_vain = f"{t.wasted_tokens} tokens and {seconds(t.wasted_s)} in vain"
        typer.echo(f"{drafts} of {t.target} given up before the end: {in_vain}")
    for t in found.targets:
        if t.opinions:
            typer.echo(f"{t.target} was asked for its opinion of {counted(t.opinions, 'draft')}")
    typer.echo()
    table(
        None,
        (
            "target", "tier", "hops", "kept", "sent on", "failed", "cut off", "calls",
            "in", "out", "cost", "TTFT p50", "p95", "TPOT p50", "total p50",
        ),
        [
            (
                t.target, t.tier, str(t.hops), str(t.answered), str(t.deferred), str(t.failed),
                str(t.interrupted + t.cancelled), str(t.attempts), str(t.input_tokens),
                str(t.output_tokens), usd(t.cost_usd) + _unknown(t.cost_unknown),
                *_spread(t.ttft_s), seconds(t.tpot_s.p50), seconds(t.total_s.p50),
            )
            for t in found.targets
        ],
        right="hops|kept|sent on|failed|cut off|calls|in|out|cost|TTFT p50|p95|TPOT p50|total p50",
    )  # fmt: skip


def _unknown(count: int) -> str:
    return f" and {count} unknown" if count else ""


def _about(found: Totals) -> str:
    """What the cut ones probably cost, kept apart from what is known."""
    if not found.estimated:
        return ""
    answers = "answer" if found.estimated == 1 else "answers"
    return f" + about {usd(found.estimate_usd)} for {found.estimated} cut {answers}"


def _cost(attempt: AttemptRow) -> str:
    about = attempt.estimate_usd
    return usd(attempt.cost_usd) + ("" if about is None else f" (about {usd(about)})")


def _spread(spread: Spread) -> tuple[str, str]:
    return seconds(spread.p50), seconds(spread.p95)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(_plain(value), indent=2))  # ASCII: exact whatever the pipe's encoding


def _plain(value: Any) -> Any:
    """Rows as JSON knows them; dollars as strings, so that they stay exact."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
