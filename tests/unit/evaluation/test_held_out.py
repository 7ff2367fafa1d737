"""A calibration's own held-out rows, as a judged set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from router.confidence.guarantee import Certificate, Promise
from router.evaluation.findings import find
from router.evaluation.heldout import held_out
from router.evaluation.judged import for_one_bar


@dataclass(frozen=True)
class Label:
    key: str
    right: float
    strong_right: float | None = 1.0
    cost_usd: float | None = 0.01
    signals: dict[str, float] = field(default_factory=lambda: {"tokens.mean_logprob": -0.5})
    task: str = "sums"
    language: str = "en"


@dataclass(frozen=True)
class Held:
    row: Label
    probability: float
    low: float


ROWS = [
    Held(Label(f"{at}", float(at % 3 != 0)), 0.9 if at % 3 else 0.3, 0.8 if at % 3 else 0.1)
    for at in range(30)
]


def test_bars_are_held_against_the_lower_end_and_calibration_against_the_chance() -> None:
    made = held_out(ROWS, name="labels", device="small", strong="large")
    certificate = Certificate(bar=0.75, kept=0.6, loss=0.0, most_loss=0.05, labels=30)
    found = find(made, certificate=certificate, promise=Promise(loss=0.1), times=10)
    kept, spend = found.figure("kept"), found.figure("spend")

    assert kept is not None
    assert spend is not None
    assert kept.value == pytest.approx(2 / 3)
    assert spend.value == pytest.approx(1 / 3)
    assert found.calibrated.bins[-1].confidence == pytest.approx(0.9)
    assert found.raw is not None
    assert made.raw == pytest.approx(np.full(30, np.exp(-0.5)))


def test_rows_with_bars_of_their_own_are_moved_to_one() -> None:
    held = for_one_bar(np.array([0.5, 0.5, 0.9]), [0.4, 0.6, None], 0.7)

    assert (held >= 0.7).tolist() == [True, False, False]
    bars: list[float | None] = [None if at < 15 else 0.75 for at in range(30)]
    made = held_out(ROWS, name="labels", device="small", strong="large", bars=bars, bar=0.75)
    kept = find(made, bar=0.75, times=10).figure("kept")
    assert kept is not None
    assert kept.value == pytest.approx(1 / 3)


def test_what_is_not_known_of_the_strong_tier_stays_unknown() -> None:
    none = [Held(Label("a", 1.0, None, None), 0.9, 0.8), Held(Label("b", 0.0, None), 0.2, 0.1)]
    some = [*none, Held(Label("c", 0.0, 1.0), 0.2, 0.1)]

    assert held_out(none, name="x", device="d", strong="s").others == ()
    tier = held_out(some, name="x", device="d", strong="s").strong
    assert np.isnan(tier.right).tolist() == [True, True, False]
    assert tier.usd is None
