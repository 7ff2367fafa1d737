"""`firsthop prices`: what each target costs, by whose word, who disagrees, when it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import typer

from .. import config as configs
from ..catalogue.target import TargetFacts, facts_of
from ..clock import SystemClock
from ..document import nearest
from ..errors import ConfigError
from ..ledger.pricing import PriceLine, PriceTier
from .options import ConfigOption, JsonOption
from .screen import say, table

NameArgument = Annotated[
    str | None,
    typer.Argument(help="One target of the config, in full. All of them when left out."),
]


def prices(
    name: NameArgument = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show what the config's targets cost, who says so, and when they end."""
    from ..compose import price_lists, today

    loaded = configs.load(configs.find(config))
    lists, on = price_lists(loaded), today(SystemClock())
    bounds = [bound for bound in loaded.targets if name in (None, bound.target.name)]
    if not bounds:
        names = [bound.target.name for bound in loaded.targets]
        raise ConfigError(
            f"the config has no target {name!r}", field="NAME", hint=nearest(str(name), names)
        )
    found = [facts_of(b.target, b.price, lists, on, conflicts=True) for b in bounds]
    if as_json:
        plain = [_plain(facts, on) for facts in found]
        typer.echo(json.dumps(plain if name is None else plain[0], indent=2, ensure_ascii=False))
    elif name is not None:
        for heading, text in _card(found[0], on):
            say(f"{heading:<12} {text}")
    else:
        _table(found, on)


def _table(found: Sequence[TargetFacts], on: date) -> None:
    columns = ("target", "model", "in", "cached", "out", "by whose word", "ends")
    table(
        "dollars per million tokens", columns, [_row(f, on) for f in found], right="in|cached|out"
    )
    for facts in found:
        for sentence in (*facts.conflicts_say(), *facts.warnings(on)):
            say(f"{facts.target}: {sentence}")


def _row(facts: TargetFacts, on: date) -> tuple[str, ...]:
    line = facts.line
    ends = " or ".join(str(day) for day in sorted({e.on for f in facts.lives for e in f.ends}))
    if line is None:
        return (facts.target, facts.model, "?", "?", "?", "nobody's: the cost is unknown", ends)
    word = f"{line.source}; free: {line.basis}" if line.basis else line.source
    cached = line.cached_input_usd_per_1m
    return (
        facts.target,
        facts.model,
        _usd(line.input_usd_per_1m),
        "" if cached is None else _usd(cached),
        _usd(line.output_usd_per_1m),
        word,
        ends,
    )


def _card(facts: TargetFacts, on: date) -> list[tuple[str, str]]:
    line, known = facts.line, facts.facts
    lines = [("target", facts.target), ("model", facts.model)]
    if line is None:
        lines.append(
            ("price", "not known; name a line with `price:` or declare one under `prices:`")
        )
    else:
        since = "" if line.valid_from == date.min else f", valid from {line.valid_from}"
        checked = "" if line.checked is None else f", checked {line.checked}"
        lines += [("line", line.id), ("price", rates(line))]
        lines += [
            ("", f"{rates(t)} above {t.above_input_tokens} prompt tokens") for t in line.tiers
        ]
        lines += [("free", f"{line.basis}")] if line.basis else []
        lines.append(("source", f"{line.source}{checked}{since}"))
    lines += [("conflict", sentence) for sentence in facts.conflicts_say()]
    if known is not None:
        most = (known.max_input_tokens, known.max_output_tokens)
        size = [
            f"{tokens} tokens {way}"
            for tokens, way in zip(most, ("in", "out"), strict=True)
            if tokens
        ]
        lines += [("takes", ", ".join(size))] if size else []
        if known.abilities is not None:
            lines.append(("can", ", ".join(("text", *sorted(known.abilities)))))
        lines.append(("known from", f"{known.source}, checked {known.checked}"))
    lines += [("life", life.says(on)) for life in facts.lives]
    return lines


def rates(line: PriceLine | PriceTier) -> str:
    """Dollars per million tokens in words."""
    parts = [f"${_usd(line.input_usd_per_1m)} in"]
    for amount, word in (
        (line.cached_input_usd_per_1m, "cached"),
        (line.cache_write_input_usd_per_1m, "written to a cache"),
    ):
        if amount is not None:
            parts.append(f"${_usd(amount)} {word}")
    return ", ".join((*parts, f"${_usd(line.output_usd_per_1m)} out"))


def _plain(facts: TargetFacts, on: date) -> dict[str, Any]:
    known = facts.facts
    return {
        "target": facts.target,
        "model": facts.model,
        "price": None if facts.line is None else _plain_line(facts.line),
        "conflicts": [_plain_line(line) for line in facts.price_conflicts],
        "lives": [
            {
                "what": life.what,
                "state": life.state(on),
                "ends": [{"on": str(end.on), "source": end.source} for end in life.ends],
                "successors": life.successors,
            }
            for life in facts.lives
        ],
        "max_input_tokens": facts.max_input_tokens,
        "max_output_tokens": None if known is None else known.max_output_tokens,
        "abilities": None if known is None or known.abilities is None else sorted(known.abilities),
    }


def _plain_line(line: PriceLine) -> dict[str, Any]:
    cached, written = line.cached_input_usd_per_1m, line.cache_write_input_usd_per_1m
    return {
        "id": line.id,
        "input_usd_per_1m": _usd(line.input_usd_per_1m),
        "cached_input_usd_per_1m": None if cached is None else _usd(cached),
        "cache_write_input_usd_per_1m": None if written is None else _usd(written),
        "output_usd_per_1m": _usd(line.output_usd_per_1m),
        "tiers": [
            {"above_input_tokens": t.above_input_tokens, "says": rates(t)} for t in line.tiers
        ],
        "basis": line.basis,
        "source": line.source,
        "checked": None if line.checked is None else str(line.checked),
        "valid_from": None if line.valid_from == date.min else str(line.valid_from),
    }


def _usd(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
