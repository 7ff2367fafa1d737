"""Signals of how involved a request looks. A prior, not a judge of quality.

Measured on recorded pairs, what a prompt looks like hardly tells on unseen kinds of questions
whether a small model gets it right (AUROC 0.46 to 0.53). It may predict time, or start a race; no
shipped policy lets it alone keep or send away a request.
"""

from __future__ import annotations

from .signal import Signal

_PART = "language-neutral features of the last user's message, its first 16,000 characters"


def _part(name: str, summary: str) -> Signal:
    return Signal(
        name=f"complexity.{name}",
        type="number",
        low=0,
        high=1,
        known="request",
        may_be_unknown=False,
        cost_us=110,
        source=_PART,
        summary=summary,
    )


COMPLEXITY = (
    _part("score", "How involved the request looks: the mean of its parts."),
    _part("length", "Part: how long the last user's message is."),
    _part("numbers", "Part: how much of it is numbers and operators."),
    _part("structure", "Part: code, tables, lists and quoted blocks."),
    _part("steps", "Part: how many sentences, questions and enumerated steps it has."),
    _part("variety", "Part: how little it repeats itself, by how badly it compresses."),
    _part("history", "Part: how many turns came before it."),
)
