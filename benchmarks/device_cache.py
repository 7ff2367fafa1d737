"""What the real device model answered, kept in one file bound to the model and the questions.

``data/device_drafts.<first 12 digits of the model's hash>.npz`` holds no pickled objects. It is
refused when it belongs to other questions, or to another model than its name says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from device_set import Question, digest

from router.models import Manifest
from router.types import Finish, TokenStat

DATA = Path(__file__).parent / "data"
FORMAT = 1
_PARTS = frozenset(("model.onnx", "model.onnx.data", "tokenizer.json", "genai_config.json"))


class NotTheseDrafts(Exception):
    """Kept drafts that can't be used; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One answer of the device.

    Attributes:
        finish: How it ended: ``"stop"``, or ``"length"`` at the cap on its tokens.
        stats: One for each token, the end token included.
        state: Mean state of a middle layer over the answer's tokens. None: there is none.
    """

    text: str
    right: bool
    finish: Finish
    stats: tuple[TokenStat, ...]
    state: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Drafts of all questions, in their order.

    Attributes:
        model: SHA-256 of the model's files, hexadecimal.
        name: What the model is called, with its build and the engine that ran it.
        layer: Whose incoming state the states are. None: none were kept.
    """

    model: str
    name: str
    layer: int | None
    each: tuple[Draft, ...]

    def states(self) -> npt.NDArray[np.float64]:
        """Shape (n, size); a row of NaN where there is none."""
        size = next((len(d.state) for d in self.each if d.state is not None), 0)
        unknown = np.full(size, np.nan)
        return np.array([unknown if d.state is None else d.state for d in self.each], np.float64)


def model_hash(manifest: Manifest) -> str:
    """SHA-256 over the checksums of the files that decide what a model answers."""
    told = sorted(f"{file.path} {file.sha256}" for file in manifest.files if file.path in _PARTS)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def place_of(model: str, folder: Path = DATA) -> Path:
    """Where the drafts of a model are kept."""
    return folder / f"device_drafts.{model[:12]}.npz"


def pack(path: Path, drafts: Drafts, questions: Sequence[Question]) -> None:
    """Write the drafts of `questions`; what there is of numbers, as 16 or 32 bits."""
    stats = [(s.logprob, s.entropy, s.margin) for draft in drafts.each for s in draft.stats]
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        model=np.array(drafts.model),
        name=np.array(drafts.name),
        layer=np.array(-1 if drafts.layer is None else drafts.layer),
        questions=np.array(digest(questions)),
        text=np.array([draft.text for draft in drafts.each]),
        right=np.array([draft.right for draft in drafts.each]),
        whole=np.array([draft.finish == "stop" for draft in drafts.each]),
        tokens=np.array([len(draft.stats) for draft in drafts.each], np.int32),
        stats=np.array(stats, np.float32).reshape(-1, 3),
        states=drafts.states().astype(np.float16),
    )


def unpack(path: Path, questions: Sequence[Question]) -> Drafts:
    """The drafts of `questions`.

    Raises:
        NotTheseDrafts: They are of other questions, of another model than the file's name says, or
            of another format.
    """
    with np.load(path, allow_pickle=False) as kept:
        if int(kept["format"]) != FORMAT:
            raise NotTheseDrafts(f"{path.name} has format {kept['format']}, not {FORMAT}: {_AGAIN}")
        model = str(kept["model"])
        if path.name != place_of(model).name:
            raise NotTheseDrafts(f"{path.name} holds drafts of the model {model[:12]}: {_AGAIN}")
        if str(kept["questions"]) != digest(questions):
            raise NotTheseDrafts(f"{path.name} answers other questions than are here: {_AGAIN}")
        ends = np.cumsum(kept["tokens"])
        parts = np.split(kept["stats"].astype(np.float64), ends[:-1])
        states = kept["states"].astype(np.float32)
        each = tuple(
            Draft(
                text=str(text),
                right=bool(right),
                finish="stop" if whole else "length",
                stats=tuple(_stat(*map(float, row)) for row in part),
                state=None if not state.size or np.isnan(state).any() else state,
            )
            for text, right, whole, part, state in zip(
                kept["text"], kept["right"], kept["whole"], parts, states, strict=True
            )
        )
        layer = int(kept["layer"])
        return Drafts(
            model=model, name=str(kept["name"]), layer=None if layer < 0 else layer, each=each
        )


def kept_here(folder: Path = DATA) -> Path:
    """The one file of drafts that is kept.

    Raises:
        NotTheseDrafts: There is none, or there are several.
    """
    found = sorted(folder.glob("device_drafts.*.npz"))
    if len(found) != 1:
        raise NotTheseDrafts(f"{len(found)} files of drafts in {folder}, one is wanted: {_AGAIN}")
    return found[0]


_AGAIN = "run benchmarks/device_drafts.py"


def _stat(logprob: float, entropy: float, margin: float) -> TokenStat:
    """NaN stands for what the engine did not tell."""
    return TokenStat(
        logprob,
        None if np.isnan(entropy) else entropy,
        None if np.isnan(margin) else margin,
    )
