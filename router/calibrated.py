"""The config's calibration file: held against what answers, and asked about each draft.

Comes in: a path, the targets, then drafts. Goes out: how likely a draft is good enough. A file that
is missing, broken, foreign or stale is refused with one line in the log; confidence is then
unknown, which keeps no draft, and the router goes on.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .clock import Clock
from .confidence.evidence import PROBE, evidence
from .errors import ConfigError
from .providers.identity import Identity
from .signals.catalogue import Value
from .signals.reading import last_user
from .types import Completion, Request

if TYPE_CHECKING:
    from .confidence.stored import Binding, Calibration

log = logging.getLogger("firsthop")

TASK_TAG = "task"
"""The caller's tag that says which kind of question it is; else `prompt.task` does."""
_LATER = "run `firsthop calibrate` again; until then confidence is unknown, so drafts go on"


@dataclass(frozen=True, slots=True)
class _InForce:
    """A file that was taken up, in one piece, so that a reload swaps all of it at once.

    Attributes:
        valid_until: Seconds since 1970-01-01 UTC. Infinite: for as long as its binding holds.
        fits: Targets it holds for, with the identity that was proven. None: not all was known yet.
    """

    calibration: Calibration
    valid_until: float
    fits: dict[str, Identity | None] = field(default_factory=dict)


class Calibrated:
    """A calibration file under the targets of one config. See `drive.measured.Confides`.

    Attributes:
        problem: Why the file is refused, wholly or for a target. None: it is not.
    """

    def __init__(
        self, path: Path, targets: Mapping[str, Callable[[], Identity]], clock: Clock
    ) -> None:
        """Read the file.

        Args:
            targets: By name, what tells what answers there. Where the file is for none of them,
                what differs from the first is said.
        """
        self._path = path
        self._targets = targets
        self._clock = clock
        self._force: _InForce | None = None
        self.problem: str | None = None
        self.load()

    @property
    def calibration(self) -> Calibration | None:
        """What is in force. None: nothing is."""
        return None if self._force is None else self._force.calibration

    def load(self) -> None:
        """Read the file as it is now; what was said of the one before is forgotten."""
        from .confidence.stored import from_bytes

        try:
            data = self._path.read_bytes()
        except OSError as exc:
            self._refuse(f"can't be read: {exc.strerror or exc}")
            return
        found: dict[str, Calibration] = {}
        why: list[str] = []
        for name, identity in self._targets.items():
            try:
                expected = _expected(identity(), data)
                found[name] = from_bytes(data, expected, str(self._path))
            except ConfigError as exc:
                # What follows from it is said once, below.
                said = exc.message.partition(" Confidence is unknown")[0]
                why.append(said.removeprefix("The calibration ").rstrip("."))
            except RecursionError:
                why.append("is no calibration file (it is nested too deep)")
        if not found:
            self._refuse(why[0])
            return
        force = _InForce(next(iter(found.values())), _valid_until(data), dict.fromkeys(found))
        if self._in_time(force):
            self._force, self.problem = force, None

    def of_draft(
        self, target: str, request: Request, draft: Completion, known: Mapping[str, Value]
    ) -> dict[str, Value]:
        """The signals `draft.confidence`, `draft.confidence_low`, `draft.certified`, `draft.gain`,
        and of each tier that the file tells of `draft.gain.*` and `draft.tier_good.*`.

        Args:
            known: Signals of the request, and of the draft as far as there are any.

        Returns: Empty where the file says nothing: it is refused, was made for another target, or
            the draft has no text.
        """
        force = self._force
        if force is None or not draft.text.strip() or not self._holds_for(target, force):
            return {}
        prompt, language = last_user(request.messages), known.get("prompt.language")
        spoken = language if isinstance(language, str) else None
        task = request.tags.get(TASK_TAG) or known.get("prompt.task")
        formed = known.get("draft.json_valid") if "json" in request.needs else None
        signals = evidence(
            prompt,
            draft.text,
            draft.tokens,
            language=spoken,
            well_formed=formed if isinstance(formed, bool) else None,
        )
        bucket = task if isinstance(task, str) else None
        probe = force.calibration.probe
        score = None if probe is None else probe.read_of(draft.state)
        if score is not None:
            signals[PROBE] = score
        told = force.calibration.verdict(signals, bucket, spoken, prompt)
        if not (math.isfinite(told.probability) and math.isfinite(told.low)):
            return {}
        found: dict[str, Value] = {
            "draft.confidence": told.probability,
            "draft.confidence_low": told.low,
            "draft.certified": told.certified,
            "draft.gain": told.gain,
        }
        for tier, chance in told.tiers.items():
            found[f"draft.gain.{tier}"] = chance.gain
            found[f"draft.tier_good.{tier}"] = chance.good
        return found

    def reads_state(self, target: str) -> bool:
        """Whether the file has a probe for that target's drafts. See `drive.measured.Confides`."""
        force = self._force
        return force is not None and force.calibration.probe is not None and target in force.fits

    def _holds_for(self, target: str, force: _InForce) -> bool:
        """Whether it was made for what answers under that name, all of which is known by now."""
        if target not in force.fits or not self._in_time(force):
            return False
        identity = self._targets[target]()
        if identity == force.fits[target]:
            return True
        other = _unlike(force.calibration.binding, identity)
        if other is not None:
            del force.fits[target]
            self._refuse(f"{other} (target {target})", wholly=not force.fits)
            return False
        if None in identity:
            return False
        force.fits[target] = identity
        return True

    def _in_time(self, force: _InForce) -> bool:
        if self._clock.wall() <= force.valid_until:
            return True
        self._refuse("is stale: its time (valid_until) is over")
        return False

    def _refuse(self, why: str, *, wholly: bool = True) -> None:
        """Say so once; `why` goes on after the words "the calibration FILE"."""
        if wholly:
            self._force = None
        self.problem = f"the calibration {self._path} {why}"
        log.warning("%s; %s", self.problem, _LATER)


def _expected(identity: Identity, data: bytes) -> Binding:
    """What the file has to be made for; what can't be known yet is taken at the file's word."""
    from .confidence.stored import Binding

    said = _calibration(data).get("binding")
    said = said if isinstance(said, dict) else {}

    def known(name: str, value: str | None) -> str:
        return str(said.get(name)) if value is None else value

    return Binding(
        model=known("model", identity.model),
        quantisation=known("quantisation", identity.quantisation),
        engine=known("engine", identity.engine),
    )


def _unlike(binding: Binding, identity: Identity) -> str | None:
    """In what the file was made for something else. None: in nothing that is known."""
    for part in fields(binding):
        made, now = getattr(binding, part.name), getattr(identity, part.name, None)
        if now is not None and made != now:
            return f"was made for {part.name} {made!r}, and this is {now!r}"
    return None


def _valid_until(data: bytes) -> float:
    """Seconds since 1970-01-01 UTC, as the file says. Infinite: it does not say."""
    said = _calibration(data).get("valid_until")
    if isinstance(said, int | float) and not isinstance(said, bool):
        return float(said)
    return math.inf


def _calibration(data: bytes) -> dict[str, Any]:
    """The body of a file, read leniently: whether it is good is for `stored` to say."""
    try:
        body = json.loads(data)["calibration"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
