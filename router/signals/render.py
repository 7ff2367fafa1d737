"""The catalogue of signals as a page for people, docs/signals.md, and one signal as a card."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .catalogue import CATALOGUE, CHEAP_US, FAMILIES, Signal

_HEAD = f"""\
# Signals

What a policy can speak of. Generated from `router/signals/catalogue/`; don't edit it here:
`python -m router.signals.render > docs/signals.md`. `firsthop signals` shows the same.

A number is compared with `gt`, `gte`, `lt`, `lte`, `is`, `is_not`; a word with `is`, `is_not`,
`in`, `not_in`; a flag with `is`, `is_not` and `true` or `false`. A signal that is **unknown** is
neither: a guard that meets it forbids, a route rule does not match, a requirement does not hold.
**Unknown is not absent**: where there is nothing to measure, such as no battery, a signal has the
value under *when absent*, and that is known. A number may be known only to be *at most* something.
Such a bound decides what it can: "at most 350" is certainly not above 3,500, and whether it is
above 100 is unknown.

A name with a `*` is a family: a tag of the caller's, or a tier of the policy, goes there. *Cost* is
about what it takes to find out, in microseconds of one core, for a prompt or draft of 1,000
characters. Only what the policy speaks of is found out, and what `record_signals` adds: `cheap`
adds all of at most {CHEAP_US:g} µs, `all` adds all. A signal of a draft marked *whole* says
something only of a finished one, and neither an early commit nor an abort can wait for it.
"""

_SECTIONS = (
    ("Of the request", ("prompt", "request"), "Read from the request itself."),
    (
        "Complexity",
        ("complexity",),
        "How involved a request looks. A prior, not a judge of quality: it hardly tells whether a "
        "small model gets it right.",
    ),
    ("Of the device", ("device",), "What takes the first hop, and how it is doing."),
    ("Of the world", ("world", "tier"), "Network, money, time, and how the tiers have been doing."),
    ("Of a draft", ("draft",), "Known once a target has answered: under `accept`."),
)

_COLUMNS = "| signal | what it says | can be | unknown | when absent | cost | where it comes from |"


def page(signals: Iterable[Signal] = (*CATALOGUE.values(), *FAMILIES.values())) -> str:
    """The page, in Markdown, ending with a newline."""
    parts = [_HEAD]
    found = list(signals)
    for title, rooms, when in _SECTIONS:
        rows = [_row(signal) for signal in found if signal.name.partition(".")[0] in rooms]
        table = "\n".join([_COLUMNS, "|---|---|---|---|---|---:|---|", *rows])
        parts.append(f"## {title}\n\n{when}\n\n{table}\n")
    return "\n".join(parts)


def card(signal: Signal) -> list[tuple[str, str]]:
    """What there is to say of one signal, as pairs of a heading and a text."""
    lines = [
        ("signal", signal.name),
        ("says", signal.summary),
        ("type", signal.type),
        ("can be", values(signal).replace("`", "")),
        ("known", _known(signal)),
        ("unknown", "possible" if signal.may_be_unknown else "never"),
        ("when absent", _plain(signal.absent) or "-"),
        ("cost", f"about {cost(signal)} µs"),
        ("comes from", signal.source.replace("`", "")),
    ]
    return lines


def values(signal: Signal) -> str:
    """Which values it can have, in words."""
    if signal.type == "flag":
        return "`true`, `false`"
    if signal.type == "word":
        return ", ".join(f"`{word}`" for word in signal.words) or "any word"
    if signal.low is not None and signal.high is not None:
        bounds = f"{signal.low:g} to {signal.high:g}"
    elif signal.low is not None:
        bounds = f"from {signal.low:g}"
    else:
        bounds = "any number" if signal.high is None else f"up to {signal.high:g}"
    return f"{bounds}, {signal.unit}" if signal.unit else bounds


def _row(signal: Signal) -> str:
    absent = _plain(signal.absent)
    whole = " *Whole.*" if signal.whole_draft else ""
    cells = (
        f"`{signal.name}`",
        signal.summary + whole,
        values(signal),
        "yes" if signal.may_be_unknown else "no",
        f"`{absent}`" if absent else "–",
        cost(signal),
        signal.source,
    )
    return f"| {' | '.join(cells)} |"


def cost(signal: Signal) -> str:
    """About what it takes to find out, microseconds, for people."""
    return f"{signal.cost_us:,.0f}" if signal.cost_us >= 1e4 else f"{signal.cost_us:g}"


def _known(signal: Signal) -> str:
    if signal.known == "request":
        return "before any model has run"
    return (
        "once a draft is finished" if signal.whole_draft else "while a draft is coming, and after"
    )


def _plain(value: object) -> str:
    """A value as a policy writes it; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) and value < 1e5 else (str(value) or '""')


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(page())
