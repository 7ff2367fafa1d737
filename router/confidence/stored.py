"""An estimator and its bar as JSON, bound to what they were measured on. Bytes in, bytes out.

What comes in is checked before it is believed: a broken, foreign or stale file raises
`ConfigError`, and with no estimator a confidence is unknown, which never accepts a draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from ..errors import ConfigError
from .early import EarlyBars
from .estimator import WORDS, Estimator
from .gain import Chance, Gains
from .guarantee import Certificate, Promise
from .probe import Probe

FORMAT = 2
"""Of the files that are written. The one before has no `tiers`, and is read as saying nothing of
any."""
_READ = frozenset((1, FORMAT))
SIGNALS = 1
"""Raised whenever a signal's meaning changes: what was fitted on the old one is then stale."""
_Stored = TypeVar("_Stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a calibration holds for, and for nothing else.

    Attributes:
        model: Name, or hash, of the device model; `quantisation` of its weights.
        engine: The runtime with its version.
        signals: `SIGNALS` when it was fitted.
    """

    model: str
    quantisation: str
    engine: str
    signals: int = SIGNALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a calibration was made of.

    Attributes:
        labels: Labelled drafts that were used.
        fitted: Of those, the ones the estimator was fitted on.
        certified: The ones its bars were tested on; likewise `early` for early bars.
        tasks: Labels by task.
        languages: Labels by language; the empty word stands for prompts that tell none.
    """

    labels: int
    fitted: int
    certified: int
    early: int = 0
    tasks: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a calibration says of one draft.

    Attributes:
        probability: Of being good; `low` and `high` its 90 % interval.
        bar: What `low` was held against: the strictest bar that applies. None: there is none.
        certified: Whether it reaches that bar. None: nothing is promised for such a request, as
            there is no certificate, or its task or language was among no labels.
        bucket: The task it was judged as. None: one the fit has not seen.
        gain: What the strong tier is expected to add. None: the file does not say.
        tiers: By tier, how likely it is right and what it adds; only those the file tells of.
    """

    probability: float
    low: float
    high: float
    bar: float | None
    certified: bool | None
    bucket: str | None
    gain: float | None = None
    tiers: Mapping[str, Chance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All of one calibration file.

    Attributes:
        promise: With the confidence it was tested at, which is more than `says` has, as what is
            left of the doubt is for other looks.
        probe: Makes the signal `evidence.PROBE` of a draft's state. None: it is not used.
        certificate: None: nothing could be certified, and whatever bar is used is uncertified. Its
            bar is for `Estimate.low`.
        goal: What the promise is about: a loss; a share escalated (`promise.loss` is then that
            share); or a share of the strong tier's quality (`promise.loss` is what that allows).
        says: The promise in words.
        tasks: Certificates of single tasks, each a promise of its own; likewise `languages`.
        early: Bars for drafts that are still being written. None: they weren't asked for.
        counts: None: not known.
        made_at: Seconds since 1970-01-01 UTC. None: not known.
        valid_until: Likewise. None: it holds for as long as its binding does.
        gains: What the strong tier adds. None: too few labels tell of it.
        look: Which test of its model and build this was, from 1. None: not known.
        tiers: What each stronger tier adds, by its name in the policy; only those that enough
            labels tell of.
    """

    binding: Binding
    estimator: Estimator
    promise: Promise | None = None
    certificate: Certificate | None = None
    goal: Literal["loss", "spend", "quality"] = "loss"
    says: str = ""
    tasks: Mapping[str, Certificate] = field(default_factory=dict)
    languages: Mapping[str, Certificate] = field(default_factory=dict)
    early: EarlyBars | None = None
    counts: Counts | None = None
    made_at: float | None = None
    valid_until: float | None = None
    probe: Probe | None = None
    look: int | None = None
    gains: Gains | None = None
    tiers: Mapping[str, Gains] = field(default_factory=dict)

    def bar(self, task: str | None, language: str | None) -> float | None:
        """The strictest bar that applies, which keeps every promise at once; see the docs."""
        if self.certificate is None or not self._labelled(task, language):
            return None
        own = (self.tasks.get(task or ""), self.languages.get(language or ""))
        return max([self.certificate.bar, *(one.bar for one in own if one is not None)])

    def verdict(
        self,
        signals: Mapping[str, float],
        task: str | None,
        language: str | None,
        prompt: str = "",
    ) -> Verdict:
        """What it says of a draft.

        Args:
            signals: As `evidence.evidence` makes them.
            task: As the labels name tasks.
            language: The prompt's, ISO 639-1. None: not known.
            prompt: Needed only where the estimator reads words.
        """
        told = self.estimator.estimate(signals, task, prompt)
        bar = None if told.bucket is None else self.bar(task, language)
        return Verdict(
            probability=told.probability,
            low=told.low,
            high=told.high,
            bar=bar,
            certified=None if bar is None else told.low >= bar,
            bucket=told.bucket,
            gain=None if self.gains is None else self.gains.expected(told.probability, task),
            tiers={name: one.chance(told.probability, task) for name, one in self.tiers.items()},
        )

    def stale(self, now: float) -> bool:
        """Whether its time is over. `now` in seconds since 1970-01-01 UTC."""
        return self.valid_until is not None and now > self.valid_until

    def _labelled(self, task: str | None, language: str | None) -> bool:
        if self.counts is None:
            return True
        tasks, languages = self.counts.tasks, self.counts.languages
        return (not tasks or (task or "") in tasks) and (
            not languages or (language or "") in languages
        )


def to_bytes(calibration: Calibration) -> bytes:
    """The file: JSON with a digest of its own content."""
    body = msgspec.json.encode(calibration, enc_hook=_plain)
    return msgspec.json.encode(
        {"format": FORMAT, "sha256": sha256(body).hexdigest(), "calibration": msgspec.Raw(body)}
    )


class _Envelope(msgspec.Struct):
    format: int
    sha256: str
    calibration: msgspec.Raw


def from_bytes(data: bytes, expected: Binding | None, file: str = "calibration") -> Calibration:
    """What a file says, if it holds for `expected`. None: whatever it was made for.

    Raises:
        ConfigError: It is broken, of another format, or was made for something else.
    """
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except msgspec.MsgspecError as exc:
        raise _refused(file, f"is no calibration file ({exc})") from exc
    if envelope.format not in _READ:
        raise _refused(
            file,
            f"has format {envelope.format}; this version reads "
            f"{' and '.join(map(str, sorted(_READ)))}",
        )
    body = bytes(envelope.calibration)
    if sha256(body).hexdigest() != envelope.sha256:
        raise _refused(file, "was changed or cut off since it was written")
    try:
        found = msgspec.json.decode(body, type=Calibration, dec_hook=_array)
    except msgspec.MsgspecError as exc:
        raise _refused(file, f"does not hold a calibration ({exc})") from exc
    _check(found.estimator, file)
    _check_probe(found.probe, file)
    _check_gains([*([] if found.gains is None else [found.gains]), *found.tiers.values()], file)
    for part in fields(Binding) if expected is not None else ():
        made, now = getattr(found.binding, part.name), getattr(expected, part.name)
        if made != now:
            raise _refused(file, f"was made for {part.name} {made!r}, and this is {now!r}")
    return found


def _check(estimator: Estimator, file: str) -> None:
    """Shapes that fit each other and numbers that are some."""
    names, tasks = len(estimator.names), len(estimator.buckets)
    sized = [(estimator.offset, tasks), (estimator.doubt, tasks)]
    for blend, width in ((estimator.known, names + tasks), (estimator.general, names)):
        line = blend.line
        sized += [(line.centre, width), (line.scale, width), (line.slope, width), (blend.slope, 2)]
        forest = blend.forest
        if forest is None:
            continue
        trees = len(forest.feature)
        shapes = [forest.feature.shape, forest.cut.shape, forest.unknown_right.shape]
        if shapes != [(trees, 7)] * 3 or forest.leaf.shape != (trees, 8):
            raise _refused(file, "holds trees of another shape")
        if trees and not 0 <= forest.feature.min() <= forest.feature.max() < width:
            raise _refused(file, "holds trees that ask for signals it does not name")
        if not np.isfinite(forest.leaf).all() or np.isnan(forest.cut).any():
            raise _refused(file, "holds trees with a value that is no number")
    words = estimator.words
    if words is not None:
        sized.append((words.weight, words.weight.size))
        if not words.weight.size or estimator.names[-1:] != (WORDS,):
            raise _refused(file, "reads words but names no signal for them")
    for array, size in sized:
        if array.shape != (size,) or not np.isfinite(array).all():
            raise _refused(file, "holds arrays that don't fit each other, or values that are none")


def _check_probe(probe: Probe | None, file: str) -> None:
    try:
        if probe is not None:
            Probe.from_plain(probe.as_plain())
    except ValueError as exc:
        raise _refused(file, f"holds a probe that is none ({exc})") from exc


def _check_gains(gains: Sequence[Gains], file: str) -> None:
    odds = [odds for one in gains for odds in (one.overall, *one.tasks.values())]
    if not all(0 <= one.rescue <= 1 and 0 <= one.slip <= 1 for one in odds):
        raise _refused(file, "holds chances that are none")


def _refused(file: str, problem: str) -> ConfigError:
    return ConfigError(
        f"The calibration {problem}. Confidence is unknown until it is made anew, so every draft "
        "is escalated.",
        file=file,
        hint="run `firsthop calibrate` again",
    )


_TYPES = {"f": "float64", "i": "int64", "b": "bool"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # JSON has no infinity: a question that all answer with "left" has an infinite cut.
        flat = [None if x in (np.inf, -np.inf) else x for x in value.ravel().tolist()]
        return {"type": value.dtype.kind, "shape": list(value.shape), "values": flat}
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _array(kind: type[_Stored], value: Any) -> Any:
    """What `_plain` wrote."""
    try:
        flat = [np.inf if x is None else x for x in value["values"]]
        return np.array(flat, dtype=_TYPES[value["type"]]).reshape(value["shape"])
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise ValueError(f"an array can't be read: {exc}") from exc
