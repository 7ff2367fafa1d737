"""The rows that a calibration's certificate was tested on, as a judged set for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ..confidence.estimator import to_rows
from .judged import Judged, Tier, for_one_bar, numbered
from .labelled import as_chance

_RAW = "tokens.mean_logprob"


class Label(Protocol):
    """A labelled draft: outcomes 0 to 1, None where not known."""

    @property
    def key(self) -> str: ...
    @property
    def right(self) -> float: ...
    @property
    def strong_right(self) -> float | None: ...
    @property
    def cost_usd(self) -> float | None: ...
    @property
    def signals(self) -> Mapping[str, float]: ...
    @property
    def task(self) -> str: ...
    @property
    def language(self) -> str: ...


class HeldOut(Protocol):
    """Such a draft, and what an estimator that never saw it says of it."""

    @property
    def row(self) -> Label: ...
    @property
    def probability(self) -> float: ...
    @property
    def low(self) -> float: ...


def held_out(
    rows: Sequence[HeldOut],
    *,
    name: str,
    device: str,
    strong: str,
    bars: Sequence[float | None] | None = None,
    bar: float = 0.0,
) -> Judged:
    """Rows as columns, for `findings.find`.

    Args:
        device: The device model's name; `strong` that of the strong tier.
        bars: The bar each row is held to by its task and language; None within: nothing is
            promised for it. None: all to `bar`, the certificate's.
    """
    labels = [one.row for one in rows]
    low = np.array([one.low for one in rows])
    names = tuple(dict.fromkeys(key for label in labels for key in label.signals))
    values = to_rows([label.signals for label in labels], names)
    signals = {key: values[:, at] for at, key in enumerate(names)}
    raw, how = None, ""
    if _RAW in signals and not np.isnan(signals[_RAW]).any():
        raw, how = as_chance(signals[_RAW])
    return Judged(
        name=name,
        source="the calibration, on rows that its fit has not seen",
        confidence=np.array([one.probability for one in rows]),
        held=low if bars is None else for_one_bar(low, bars, bar),
        device=Tier(
            name=device,
            right=np.array([label.right for label in labels]),
            usd=np.zeros(len(labels)),
        ),
        others=_strong(labels, strong),
        tasks=tuple(label.task for label in labels),
        languages=tuple(label.language for label in labels),
        prompts=numbered([label.key for label in labels]),
        raw=raw,
        raw_name=f"{_RAW} ({how})" if raw is not None else "",
        signals=signals,
    )


def _strong(labels: Sequence[Label], name: str) -> tuple[Tier, ...]:
    outcomes = [label.strong_right for label in labels]
    if all(outcome is None for outcome in outcomes):
        return ()
    right = [np.nan if outcome is None else outcome for outcome in outcomes]
    costs = [label.cost_usd for label in labels if label.cost_usd is not None]
    usd = np.array(costs) if len(costs) == len(labels) else None
    return (Tier(name=name, right=np.array(right), usd=usd),)
