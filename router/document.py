"""YAML files that people write: read once, and able to say where each field stands.

Configs, policies and price lists all come through here, so every complaint about any of them
names file, line, column, field, and the nearest word that would have been right.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ConfigError

if TYPE_CHECKING:
    import pydantic

Key = str | int
Place = tuple[Key, ...]
Model = TypeVar("Model", bound="pydantic.BaseModel")

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000


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
    data: Any
    source: str = field(repr=False)
    marks: Mapping[Place, tuple[int, int]] = field(repr=False, default_factory=dict)

    def error(
        self, kind: type[ConfigError], message: str, place: Place = (), *, hint: str | None = None
    ) -> ConfigError:
        """An error that points at `place`, or at the nearest place around it that was written."""
        shown = place
        while shown and shown not in self.marks:
            shown = shown[:-1]
        line, column = self.marks.get(shown, (None, None))
        return kind(
            message,
            file=self.file,
            line=line,
            column=column,
            field=dotted(place) or None,
            hint=hint,
        )


def dotted(place: Place) -> str:
    """``("accept", 0, "on")`` as people write it: ``accept[0].on``."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def nearest(word: str, words: Iterable[str]) -> str | None:
    """A hint that names the closest valid word, or the valid words when few, or nothing."""
    known = sorted({str(w) for w in words})
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of: {', '.join(known)}" if 0 < len(known) <= 12 else None


def read_yaml(path: Path, *, kind: type[ConfigError] = ConfigError) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError (or `kind`): unreadable, over 256 KB, not UTF-8, not YAML, empty, too deep, a
            duplicate key, an anchor (aliases can grow without bound), or not a mapping.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise kind(f"cannot be read: {exc.strerror or exc}", file=path) from exc
    if len(raw) > MAX_BYTES:
        raise kind(f"larger than {MAX_BYTES // 1024} KB; not read", file=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise kind(
            f"not UTF-8: byte {exc.start} is 0x{raw[exc.start]:02x}",
            file=path,
            hint="save the file as UTF-8",
        ) from exc
    return parse_yaml(text, str(path), kind=kind)


def parse_yaml(text: str, file: str, *, kind: type[ConfigError] = ConfigError) -> Document:
    """The same for text that is already here; `file` names it in errors. Raises as `read_yaml`."""
    import yaml

    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None):
                line, column = _line_column(event.start_mark)
                raise kind(
                    "anchors and aliases are not allowed",
                    file=file,
                    line=line,
                    column=column,
                    hint="write the part out again",
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        line, column = _line_column(exc.problem_mark or exc.context_mark)
        raise kind(
            str(exc.problem or exc.context or "not YAML"),
            file=file,
            line=line,
            column=column,
            hint="indent with spaces" if "'\\t'" in str(exc.problem) else None,
        ) from exc
    except yaml.reader.ReaderError as exc:
        raise kind(f"not text: {exc.reason} at character {exc.position}", file=file) from exc
    except RecursionError as exc:
        raise kind(f"nested deeper than {MAX_DEPTH} levels", file=file) from exc
    if node is None:
        raise kind("empty", file=file)
    builder = _Builder(file, kind)
    data = builder.build(node, ())
    document = Document(file=file, data=data, source=text, marks=builder.marks)
    if not isinstance(data, dict):
        raise document.error(kind, "has to be a mapping of fields")
    return document


def _line_column(mark: Any) -> tuple[int | None, int | None]:
    return (None, None) if mark is None else (mark.line + 1, mark.column + 1)


def plain_scalar(text: str) -> Any:
    """What an unquoted word means: YAML 1.2's core schema.

    YAML 1.1, which PyYAML speaks, makes truth values of `on`, `off`, `yes` and `no`, dates of
    dates, and base-60 numbers of times; here they stay words.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), math.inf),
    "-.inf": -math.inf,
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")


class _Builder:
    """Turns composed nodes into plain values and notes where each stands."""

    def __init__(self, file: str, kind: type[ConfigError]) -> None:
        self.file = file
        self.kind = kind
        self.marks: dict[Place, tuple[int, int]] = {}

    def error(self, node: Any, place: Place, message: str, hint: str | None = None) -> ConfigError:
        line, column = _line_column(node.start_mark)
        return self.kind(
            message,
            file=self.file,
            line=line,
            column=column,
            field=dotted(place) or None,
            hint=hint,
        )

    def build(self, node: Any, place: Place) -> Any:
        if len(place) > MAX_DEPTH:
            raise self.error(node, place[:3], f"nested deeper than {MAX_DEPTH} levels")
        if len(self.marks) > MAX_NODES:
            raise self.error(node, place, f"more than {MAX_NODES} entries")
        self.marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
        if node.id == "sequence":
            return [self.build(child, (*place, i)) for i, child in enumerate(node.value)]
        if node.id == "mapping":
            return self.mapping(node, place)
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise self.error(node, place, f"tag {node.tag} is not allowed")
        return node.value if node.style else plain_scalar(node.value)

    def mapping(self, node: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                raise self.error(key_node, place, "a field's name has to be a word")
            key = key_node.value
            if key in found:
                raise self.error(key_node, (*place, key), "written twice; the first is above")
            mark = key_node.start_mark
            self.marks[(*place, key)] = (mark.line + 1, mark.column + 1)
            found[key] = self.build(value_node, (*place, key))
        return found


def validate(
    document: Document,
    model: type[Model],
    *,
    data: Any = None,
    at: Place = (),
    kind: type[ConfigError] = ConfigError,
) -> Model:
    """Check `document` (or the part `data` of it that stands `at`) against a pydantic model.

    Raises: `kind`, for the first thing that is wrong in the order of the file, with the nearest
    valid field name for an unknown one.
    """
    import pydantic

    try:
        return model.model_validate(document.data if data is None else data)
    except pydantic.ValidationError as exc:
        problems = exc.errors(include_url=False, include_context=True)
        first = min(
            problems,
            key=lambda p: document.marks.get((*at, *_written(document, at, p["loc"])), (0,)),
        )
        place = (*at, *_written(document, at, first["loc"]))
        hint = None
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown field"
            hint = nearest(str(place[-1]), _fields_around(model, place[len(at) : -1]))
        elif first["type"] == "missing":
            message = "is missing"
        elif first["type"] == "literal_error":
            expected = str(first.get("ctx", {}).get("expected", ""))
            words = [w.strip(" '\"") for w in expected.replace(" or ", ",").split(",")]
            message = f"{first['input']!r} is not a valid word here"
            hint = nearest(str(first["input"]), words)
        raise document.error(kind, message, place, hint=hint) from exc


def _written(document: Document, at: Place, loc: Sequence[Key]) -> Place:
    """The part of pydantic's location that stands in the file: it names union members too."""
    place: Place = ()
    for key in loc:
        if (*at, *place, key) in document.marks or key == loc[-1]:
            place = (*place, key)
    return place


def _fields_around(model: type[pydantic.BaseModel], place: Place) -> list[str]:
    """Names of the fields valid where `place` points, as far as the model's types tell."""
    import pydantic

    current: Any = model
    for key in place:
        if isinstance(key, int) or not _is_model(current):
            continue
        info = current.model_fields.get(key)
        found = _models_in(info.annotation) if info else []
        current = found[0] if found else None
    if _is_model(current) and issubclass(current, pydantic.BaseModel):
        return [f.alias or name for name, f in current.model_fields.items()]
    return []


def _is_model(value: Any) -> bool:
    import pydantic

    return isinstance(value, type) and issubclass(value, pydantic.BaseModel)


def _models_in(annotation: Any) -> list[Any]:
    from typing import get_args

    if _is_model(annotation):
        return [annotation]
    return [m for arg in get_args(annotation) for m in _models_in(arg)]
