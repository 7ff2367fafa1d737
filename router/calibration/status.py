"""How far it is to the first certificate, and what the calibration that is there says.

Comes in: labels, prices, speeds, a file. Goes out: frozen values; asks no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from ..errors import ConfigError
from ..providers.base import Target
from .filing import read
from .goal import Goal, outlook
from .labelled import Labelled
from .plan import USUAL_INPUT, Worst

_HOUR_S = 3600.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What the first certificate takes.

    Attributes:
        labels: How many there are that can be used.
        needed: From how many on it may be had. None: no number would do, as losses are.
        lost: Share of losses among all drafts that `needed` is made of; `seen` where labels say
            so, else assumed.
        hours: Of device and judge, for those that are missing. None: not known.
        usd: Most dollars for those, prompts of at most `USUAL_INPUT` tokens. None: not known.
    """

    labels: int
    needed: int | None
    lost: float
    seen: bool
    hours: float | None
    usd: Decimal | None

    @property
    def missing(self) -> int | None:
        """Labels still to come. None: no number would do."""
        return None if self.needed is None else max(0, self.needed - self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The calibration that is there.

    Attributes:
        state: ``none``, ``valid``, ``stale`` (its time is over) or ``refused``.
        problem: Why it is not valid. Empty: it is, or there is none.
        says: Its promise in words. Empty: it makes none.
        labels: It was made of. None: not known; likewise `age_days`.
        look: Which look at its model it was, and `tested_at` what confidence. None: not known.
        bound: Whether model and build were compared; the engine is, once the device runs.
    """

    state: Literal["none", "valid", "stale", "refused"]
    problem: str = ""
    says: str = ""
    labels: int | None = None
    age_days: float | None = None
    look: int | None = None
    tested_at: float | None = None
    bound: bool = False


def ahead(
    rows: Sequence[Labelled],
    goal: Goal,
    seconds: float | None,
    strong: Target | None,
    worst: Worst | None,
) -> Ahead:
    """How far it is.

    Args:
        seconds: Of one label, by the speeds so far. None: not known.
        strong: The target that would judge. None: there is none.
        worst: Most dollars of one of its calls.
    """
    needed, lost, seen = outlook(rows, goal)
    missing = None if needed is None else max(0, needed - len(rows))
    hours = None if seconds is None or missing is None else missing * seconds / _HOUR_S
    usd: Decimal | None = None
    if strong is not None and worst is not None and missing is not None:
        one = worst(USUAL_INPUT, strong.max_output_tokens)
        usd = None if one is None else one * missing
    return Ahead(labels=len(rows), needed=needed, lost=lost, seen=seen, hours=hours, usd=usd)


def filed(path: Path, model: tuple[str, str] | None, now: float) -> Filed:
    """What lies there.

    Args:
        model: The device's model and build. None: not known here.
        now: Seconds since 1970-01-01 UTC.
    """
    if not path.exists():
        return Filed(state="none")
    try:
        found = read(path, None)
    except ConfigError as exc:
        return Filed(state="refused", problem=exc.message)
    made, tested = found.made_at, None if found.promise is None else found.promise.confidence
    if tested is not None and found.goal == "quality":
        tested = 2 * tested - 1  # half of its doubt is for how good the strong tier is
    said = {
        "says": found.says,
        "labels": None if found.counts is None else found.counts.labels,
        "age_days": None if made is None else (now - made) / _DAY_S,
        "look": found.look,
        "tested_at": tested,
        "bound": model is not None,
    }
    here = found.binding
    if model is not None and (here.model, here.quantisation) != model:
        problem = (
            f"made for {here.model} ({here.quantisation}); the device has {model[0]} ({model[1]})"
        )
        return Filed(state="refused", problem=problem, **said)  # type: ignore[arg-type]
    if found.stale(now):
        return Filed(state="stale", problem="its time is over", **said)  # type: ignore[arg-type]
    return Filed(state="valid", **said)  # type: ignore[arg-type]
