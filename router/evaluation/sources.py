"""Where a confidence comes from: a calibration file, one signal, or a fit that leaves each row out.

Each source says of every row of a labelled set how likely the device's answer is right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ..confidence.arrays import FloatArray, folds_of
from ..confidence.estimator import Estimator
from ..confidence.evidence import PROBE
from ..confidence.fitting import Recipe, fit
from ..confidence.guarantee import Certificate, Promise
from ..confidence.probe import Probe
from ..confidence.stored import Binding, Calibration, from_bytes
from ..confidence.trees import Growth
from ..errors import ConfigError
from .judged import Judged, for_one_bar
from .labelled import Labelled, as_chance
from .looks import Without

_FOLDS = 5
_TREES = 80
_FOR_TREES = 300
"""Rows below which trees find what isn't there, and the line alone is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A confidence of every row, and where it comes from.

    Attributes:
        said: That, in a few words.
        confidence: Shape (n,), 0 to 1.
        signal: The one signal it is made of; empty: it is made of several.
        without: The same when one signal is unknown. None: it is made of one alone.
        held: What bars are held against, where that is not the confidence itself.
        certificate: The bar a file brings with it, with its `promise`, where
            that is of a loss; otherwise it `says` what it promises.
        notes: What a reader has to know.
        probe: What the file's probe says of each row, NaN unknown. None: it has none.
    """

    said: str
    confidence: FloatArray
    signal: str = ""
    without: Without | None = None
    held: FloatArray | None = None
    certificate: Certificate | None = None
    promise: Promise | None = None
    says: str = ""
    notes: tuple[str, ...] = ()
    probe: FloatArray | None = None

    def judged(self, rows: Labelled) -> Judged:
        """The set with this confidence."""
        raw, raw_name = None, ""
        if rows.raw is not None and rows.raw != self.signal:
            values = rows.signal(rows.raw)
            assert values is not None
            raw, how = as_chance(values)
            raw_name = f"{rows.raw} ({how})"
        signals = {name: rows.values[:, at] for at, name in enumerate(rows.names)}
        if self.probe is not None:
            signals[PROBE] = self.probe
        return Judged(
            name=rows.name,
            source=self.said,
            confidence=self.confidence,
            device=rows.device,
            others=rows.others,
            held=self.held,
            tasks=rows.tasks,
            languages=rows.languages,
            prompts=rows.keys,
            raw=raw,
            raw_name=raw_name,
            signals=signals,
        )


def crossed(rows: Labelled, recipe: Recipe | None = None) -> Source:
    """Each row judged by an estimator that was fitted on other prompts of the same set.

    Says what a calibration made of these rows would be worth on more of their kind.

    Args:
        recipe: None: trees and a line, or with few rows the line alone.

    Raises:
        ConfigError: The rows have no signals, or fewer than two prompts.
    """
    if not rows.names:
        raise ConfigError(
            "no row has a draft or anything else to be judged by", field="DATA", hint=_NEEDS
        )
    if recipe is None:
        recipe = (
            Recipe(growth=Growth(trees=_TREES))
            if len(rows.prompts) >= _FOR_TREES
            else Recipe(growth=None)
        )
    fold = folds_of(list(rows.prompts), _FOLDS, turn=1)
    if len(np.unique(fold)) < 2:
        raise ConfigError("too few prompts to fit on some and judge the others", field="DATA")
    fitted = {int(part): _fitted(rows, fold != part, recipe) for part in np.unique(fold)}
    return Source(
        said="fitted on the other folds of these rows",
        confidence=_by_fold(rows, fold, fitted, None),
        without=lambda name: _by_fold(rows, fold, fitted, name),
        notes=(
            f"An estimator was fitted on these very rows, {len(fitted)} times: each row is judged "
            "by one that has not seen its prompt. A calibration made of all of them should be "
            "about as good on more of their kind.",
        ),
    )


_NEEDS = "a row needs `prompt` and `draft`, or option scores"


def _fitted(rows: Labelled, here: np.ndarray, recipe: Recipe) -> Estimator:
    at = np.flatnonzero(here)
    return fit(
        rows.values[at],
        rows.names,
        rows.device.right[at],
        [rows.tasks[place] for place in at],
        [rows.prompts[place] for place in at],
        recipe,
    ).estimator


def _by_fold(
    rows: Labelled, fold: np.ndarray, fitted: dict[int, Estimator], without: str | None
) -> FloatArray:
    values = _blank(rows.values, rows.names, without)
    found = np.empty(len(values))
    for part, estimator in fitted.items():
        at = np.flatnonzero(fold == part)
        made = estimator.with_words(values[at], [rows.prompts[place] for place in at])
        found[at] = estimator.probabilities(made, [rows.tasks[place] for place in at])
    return found


def calibrated(rows: Labelled, data: bytes, file: str) -> Source:
    """By a calibration file, whatever model it was made for: that is said, and not held against it.

    Raises:
        ConfigError: The file is broken, or its signals are of another version.
    """
    found = _read(data, file)
    rows = rows if found.probe is None else _probed(rows, found.probe)
    estimator = found.estimator
    asked = estimator.names[:-1] if estimator.words else estimator.names
    missing = [name for name in asked if name not in rows.names]
    return Source(
        said=file,
        confidence=_estimated(rows, estimator, None),
        held=_held(rows, found),
        without=lambda name: _estimated(rows, estimator, name),
        certificate=found.certificate,
        promise=found.promise if found.goal == "loss" else None,
        says=found.says,
        notes=_differences(rows, found, missing),
        probe=rows.signal(PROBE),
    )


def _probed(rows: Labelled, probe: Probe) -> Labelled:
    """Rows with the signal of the file's probe, unknown where they bring no state it can read."""
    scores = [probe.read_of(state) for state in rows.states]
    if all(score is None for score in scores):
        return rows
    column = np.array([np.nan if score is None else score for score in scores])
    values = np.column_stack([rows.values, column])
    return replace(rows, names=(*rows.names, PROBE), values=values)


def _held(rows: Labelled, found: Calibration) -> FloatArray:
    """The lower ends, moved so that the pooled bar serves rows with a stricter one of their own."""
    low = found.estimator.lows(_read_by(rows, found.estimator, None), list(rows.tasks))
    if found.certificate is None:
        return low
    bars = [found.bar(*pair) for pair in zip(rows.tasks, rows.languages, strict=True)]
    known = set(found.estimator.buckets)
    own = [bar if task in known else None for bar, task in zip(bars, rows.tasks, strict=True)]
    return for_one_bar(low, own, found.certificate.bar)


def _estimated(rows: Labelled, estimator: Estimator, without: str | None) -> FloatArray:
    return estimator.probabilities(_read_by(rows, estimator, without), list(rows.tasks))


def _read_by(rows: Labelled, estimator: Estimator, without: str | None) -> FloatArray:
    """The rows' signals as the estimator reads them."""
    places = {name: at for at, name in enumerate(rows.names)}
    unknown = np.full(len(rows.values), np.nan)
    asked = estimator.names[:-1] if estimator.words else estimator.names
    columns = [rows.values[:, places[name]] if name in places else unknown for name in asked]
    values = np.column_stack(columns) if columns else np.zeros((len(rows.values), 0))
    return estimator.with_words(_blank(values, asked, without), list(rows.prompts))


def _blank(values: FloatArray, names: tuple[str, ...], without: str | None) -> FloatArray:
    if without is None or without not in names:
        return values
    made = values.copy()
    made[:, names.index(without)] = np.nan
    return made


class _Bound(msgspec.Struct):
    model: str
    quantisation: str
    engine: str


class _Inner(msgspec.Struct):
    binding: _Bound


class _Outer(msgspec.Struct):
    calibration: _Inner


def _read(data: bytes, file: str) -> Calibration:
    """A file, taken for what it says it was made for; its signals have to be of this version."""
    try:
        made_for = msgspec.json.decode(data, type=_Outer).calibration.binding
    except msgspec.MsgspecError as exc:
        raise ConfigError(
            f"is no calibration file ({exc})",
            file=file,
            hint="--confidence takes a calibration file, a signal's name, or `crossed`",
        ) from exc
    bound = Binding(
        model=made_for.model, quantisation=made_for.quantisation, engine=made_for.engine
    )
    return from_bytes(data, bound, file)


def _differences(rows: Labelled, found: Calibration, missing: list[str]) -> tuple[str, ...]:
    notes = []
    made_for = found.binding
    if rows.device.name not in ("device", made_for.model):
        notes.append(
            f"The calibration was made for {made_for.model} {made_for.quantisation}, and these "
            f"answers are by {rows.device.name}."
        )
    known = set(found.estimator.buckets)
    strange = sorted({task for task in rows.tasks if task not in known})
    if strange:
        notes.append(f"The calibration has seen no label of {', '.join(strange)}.")
    if missing:
        notes.append(
            f"{len(missing)} of the {len(found.estimator.names)} signals it reads are not in these "
            "rows, and unknown to it."
        )
    return tuple(notes)


def of_signal(rows: Labelled, name: str, option: str = "--confidence") -> Source:
    """One signal as it is, made a probability without any labels.

    Raises:
        ConfigError: No row has it.
    """
    values = rows.signal(name)
    if values is None or np.isnan(values).all():
        raise ConfigError(
            f"{name!r} is no file, and no signal of these rows",
            field=option,
            hint="a calibration file, a signal such as "
            f"{', '.join(rows.names[:3]) or 'confidence'}, or `crossed`",
        )
    made, how = as_chance(values)
    unknown = int(np.isnan(values).sum())
    said = name if how == "as it is" else f"{name} ({how})"
    source = Source(said=said, confidence=made, signal=name)
    if not unknown:
        return source
    return replace(
        source,
        notes=(
            f"{name} is unknown in {unknown} of {len(values)} rows; such a draft is never kept.",
        ),
    )
