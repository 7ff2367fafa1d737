"""A file becomes a `Document`: plain values, and the line and column where each of them stands."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError
from .place import Mark, Place, dotted
from .yamltext import Wrong, parse

if TYPE_CHECKING:
    import pydantic

Model = TypeVar("Model", bound="pydantic.BaseModel")

MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's content and where each part of it stands.

    Attributes:
        file: Where it was read from; a word in angle brackets when it was no file.
        data: Plain mappings, lists and scalars.
        source: The text itself.
        marks: (line, column) of each place, both 1-based.
    """

    file: str
    data: Any = field(repr=False)  # a proxy's password may stand in it
    source: str = field(repr=False)
    marks: Mapping[Place, Mark] = field(repr=False, default_factory=dict)

    def error(
        self, kind: type[ConfigError], message: str, place: Place = (), *, hint: str | None = None
    ) -> ConfigError:
        """An error that points at `place`, or at the nearest place around it that was written."""
        written = place
        while written and written not in self.marks:
            written = written[:-1]
        line, column = self.marks.get(written, (None, None))
        return kind(
            message,
            file=self.file,
            line=line,
            column=column,
            field=dotted(place) or None,
            hint=hint,
        )


_BUILDING = threading.Lock()
"""Models are built when a document first needs them. Older versions of pydantic don't see to it
that only one thread does."""

_PACKAGE = Path(__file__).parents[1]
"""What lies in here a test has held against both of `yamltext`'s readers."""


def read_yaml(
    path: Path, *, kind: type[ConfigError] = ConfigError, known: bool = False
) -> Document:
    """Read a YAML file.

    Args:
        known: It comes with this version; see `yamltext.parse`. What lies in the package does.

    Raises:
        ConfigError (or `kind`): unreadable, over 256 KB, not UTF-8, not YAML, empty, too deep, a
            duplicate key, an anchor (aliases can grow without bound), or not a mapping.
    """
    known = known or _PACKAGE in path.parents
    return parse_yaml(_text(path, kind), str(path), kind=kind, known=known)


def _text(path: Path, kind: type[ConfigError]) -> str:
    too_large = kind(f"larger than {MAX_BYTES // 1024} KB; not read", file=path)
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISREG(facts.st_mode) and facts.st_size > MAX_BYTES:
                raise too_large
            raw = file.read(MAX_BYTES + 1)  # a pipe has no size to ask for
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else None
        raise kind(f"cannot be read: {why or exc}", file=path) from exc
    if len(raw) > MAX_BYTES:
        raise too_large
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as exc:
        before = exc.object[: exc.start]
        wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise kind(
            f"not UTF-8: byte {exc.object[exc.start]:#04x}",
            file=path,
            line=before.count(b"\n") + 1,
            hint=f"{'this looks like UTF-16; ' if wide else ''}save the file as UTF-8",
        ) from exc


def parse_yaml(
    text: str, file: str, *, kind: type[ConfigError] = ConfigError, known: bool = False
) -> Document:
    """The same for text that is already here; `file` names it in errors. Raises as `read_yaml`.

    Args:
        known: See `yamltext.parse`.
    """
    try:
        data, marks = parse(text, known=known)
    except Wrong as exc:
        line, column = exc.mark or (None, None)
        raise kind(
            exc.message,
            file=file,
            line=line,
            column=column,
            field=dotted(exc.place) or None,
            hint=exc.hint,
        ) from exc
    document = Document(file=file, data=data, source=text, marks=marks)
    if not isinstance(data, dict):
        raise document.error(kind, "has to be a mapping of fields, each a line `name: value`")
    return document


def validate(
    document: Document,
    model: type[Model],
    *,
    data: Any = None,
    at: Place = (),
    kind: type[ConfigError] = ConfigError,
) -> Model:
    """Check `document` (or the part `data` of it that stands `at`) against a pydantic model.

    Raises:
        ConfigError (or `kind`): for the first thing that is wrong in the order of the file; a
            missing field comes after everything that is there and wrong.
    """
    import pydantic

    from .shape import first_problem

    with _BUILDING:
        model.model_rebuild()  # nothing, where it is built
    try:
        return model.model_validate(data if at or data is not None else document.data)
    except pydantic.ValidationError as exc:
        message, place, hint = first_problem(exc, model, document.marks, at)
        raise document.error(kind, message, place, hint=hint) from exc
