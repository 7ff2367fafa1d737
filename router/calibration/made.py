"""What a calibration is made into: the verdicts, the file's content, and what its report is drawn
from. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..confidence.gain import TierWorth
from ..confidence.guarantee import Certificate, Refused
from ..confidence.stored import Calibration
from .labelled import Labelled
from .probing import ProbeWorth


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One held-out row as the calibration sees it: what a report is drawn from."""

    row: Labelled
    probability: float
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of it.

    Attributes:
        pooled: The verdict on all requests together.
        calibration: None: `pooled` was refused.
        tasks: The verdicts on single tasks; likewise `languages`.
        aborts: Why there are no abort bars. None: there are, or none were wanted.
        judged: The rows that the certificate was tested on.
        repeated: Rows left out of the tests as their question is in there already.
        probe: What a probe adds on those. None: no labels bring states, or too few to fit one.
        tiers: What each stronger tier is worth, those that enough labels tell of.
    """

    pooled: Certificate | Refused
    calibration: Calibration | None = None
    tasks: Mapping[str, Certificate | Refused] = field(default_factory=dict)
    languages: Mapping[str, Certificate | Refused] = field(default_factory=dict)
    aborts: Refused | None = None
    judged: tuple[Judged, ...] = ()
    repeated: int = 0
    probe: ProbeWorth | None = None
    tiers: tuple[TierWorth, ...] = ()

    def kept(self) -> list[bool]:
        """Which of the `judged` the street would keep: by the strictest bar that applies."""
        file = self.calibration
        return [
            file is not None and keeps(file, one.row.task, one.row.language, one.low)
            for one in self.judged
        ]


def keeps(file: Calibration, task: str, language: str, low: float) -> bool:
    """Whether the street would keep such a draft: by the strictest bar that applies."""
    bar = file.bar(task, language)
    return bar is not None and low >= bar
