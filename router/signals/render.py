"""The catalogue of signals as a page for people, docs/signals.md."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .catalogue import CATALOGUE, Signal

_HEAD = """\
# Signals

What a policy can speak of. Generated from `router/signals/catalogue.py`; don't edit it here:
`python -m router.signals.render > docs/signals.md`.

A number is compared with `gt`, `gte`, `lt`, `lte`, `is`, `is_not`; a word with `is`, `is_not`,
`in`, `not_in`. A signal that is **unknown** is neither: a guard that meets it forbids, a route rule
does not match, a requirement does not hold. A number may be known only to be *at most* something.
Such a bound decides what it can: "at most 350" is certainly not above 3,500, and whether it is
above 100 is unknown.
"""

_WHEN = {
    "request": (
        "Of the request",
        "Known before any model has run: under `guards`, `route` and `accept`.",
    ),
    "draft": ("Of a draft", "Known once a target has answered: under `accept`."),
}


def page(signals: Iterable[Signal] = CATALOGUE.values()) -> str:
    """The page, in Markdown, ending with a newline."""
    parts = [_HEAD]
    found = list(signals)
    for known, (title, when) in _WHEN.items():
        rows = [_row(signal) for signal in found if signal.known == known]
        table = "\n".join(
            [
                "| signal | what it says | can be | can be unknown | where it comes from |",
                "|---|---|---|---|---|",
                *rows,
            ]
        )
        parts.append(f"## {title}\n\n{when}\n\n{table}\n")
    return "\n".join(parts)


def _row(signal: Signal) -> str:
    unknown = "yes" if signal.may_be_unknown else "no"
    cells = (f"`{signal.name}`", signal.summary, _range(signal), unknown, signal.source)
    return f"| {' | '.join(cells)} |"


def _range(signal: Signal) -> str:
    if signal.type == "word":
        return ", ".join(f"`{word}`" for word in signal.words)
    if signal.low is not None and signal.high is not None:
        bounds = f"{signal.low:g} to {signal.high:g}"
    elif signal.low is not None:
        bounds = f"from {signal.low:g}"
    else:
        bounds = "any number" if signal.high is None else f"up to {signal.high:g}"
    return f"{bounds}, {signal.unit}" if signal.unit else bounds


if __name__ == "__main__":
    sys.stdout.write(page())
