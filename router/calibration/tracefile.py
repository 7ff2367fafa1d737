"""Labelled drafts in a file: JSON, one object a line. Read, written, and complained of by line.

Fields of a line; only `prompt` (or `messages`), `draft` and `right` have to be there:

| field | |
|---|---|
| `prompt` | what was asked; or `messages`, a list of `role` and `content` |
| `draft` | the device's whole answer |
| `right` | whether the draft is good: true, false, or a score from 0 to 1; `good` and `score` say the same |
| `logprobs` | natural logs of its tokens' probabilities; numbers, or null where the target tells none |
| `entropies`, `margins` | of the same tokens, where they are known |
| `strong_right` | the same as `right` of the strong tier's answer; null: not known |
| `state` | of a middle layer while the draft was written: `layer`, and `mean`, base64 of float16 |
| `task`, `language` | as the street names them; left out: guessed from the prompt |
| `cost` | dollars of the strong tier's answer |

Other fields are passed over: a file may say more than is needed here. A line with `failed` and no
draft is a prompt of a work file that could not be judged, and what that cost.
"""  # noqa: E501

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..confidence.statefield import understood
from ..errors import ConfigError
from ..types import TokenStat
from .labelled import Labelled, labelled, spoken_in

if TYPE_CHECKING:
    from ..layerstate import LayerState


@dataclass(frozen=True, slots=True)
class Read:
    """A file's rows, and its bad lines, each in a sentence with line and field."""

    rows: tuple[Labelled, ...]
    bad: tuple[str, ...]


_LEAST_LOGPROB = -1e6
"""Less than any engine tells, and little enough to be added up."""


class Bad(ValueError):
    """A line that can't be used: which field, and why."""


def read_labelled(path: Path) -> Read:
    """Every line of the file: a row, or a complaint.

    Raises:
        ConfigError: the file can't be read.
    """
    rows: list[Labelled] = []
    bad: list[str] = []
    for number, line in lines(path):
        try:
            found = parsed(line)
            if "failed" not in found or "draft" in found:
                rows.append(row_of(found, str(path)))
        except Bad as exc:
            bad.append(f"{path}:{number}: {exc}")
    return Read(tuple(rows), tuple(bad))


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that say something, with their numbers from 1.

    Raises: ConfigError, when it can't be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror or exc}", file=path) from exc


def parsed(line: bytes) -> Mapping[str, Any]:
    """One line's object. Raises: Bad."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise Bad(f"is no JSON ({exc})") from exc
    if not isinstance(found, dict):
        raise Bad(f"has to be an object, not {type(found).__name__}")
    return found


def row_of(found: Mapping[str, Any], source: str) -> Labelled:
    """One object as a row. Raises: Bad, which names the field."""
    if found.get("draft") is None:
        raise Bad("draft: is missing")
    return labelled(
        prompt_of(found),
        text(found, "draft"),
        _right(found),
        stats=_stats(found),
        task=optional_text(found, "task"),
        language=_language(found),
        strong_right=_share(found, "strong_right"),
        cost_usd=_number(found, "cost", least=0.0),
        source=source,
        state=_state(found),
    )


def prompt_of(found: Mapping[str, Any]) -> str:
    """What the user last said, from `prompt` or `messages`. Raises: Bad."""
    messages = found.get("messages")
    if messages is None:
        if found.get("prompt") is None:
            raise Bad("prompt: is missing, and so is messages")
        said = text(found, "prompt")
    elif isinstance(messages, list) and all(isinstance(turn, dict) for turn in messages):
        asked = [turn for turn in messages if turn.get("role") == "user"]
        said = text(asked[-1] if asked else {}, "content")
    else:
        raise Bad("messages: has to be a list of objects with role and content")
    if not said.strip():
        raise Bad("prompt: is empty")
    return said


def _language(found: Mapping[str, Any]) -> str | None:
    """As it is said; else, of a conversation, as the street tells it: by the last thing the user
    said that tells one. None: to be guessed from the prompt alone."""
    said, messages = optional_text(found, "language"), found.get("messages")
    if said is not None or messages is None:
        return said
    turns = [turn.get("content") for turn in messages if turn.get("role") == "user"]
    return spoken_in([turn for turn in turns if isinstance(turn, str)]) or ""


def text(found: Mapping[str, Any], name: str) -> str:
    """A field that has to be text. Raises: Bad."""
    value = found.get(name)
    if not isinstance(value, str):
        raise Bad(f"{name}: has to be text, not {json.dumps(value)[:40]}")
    return value


def optional_text(found: Mapping[str, Any], name: str) -> str | None:
    """A field that may be missing or null. Raises: Bad."""
    return None if found.get(name) is None else text(found, name)


def _right(found: Mapping[str, Any]) -> float:
    for name in ("right", "good", "score"):
        value = _share(found, name)
        if value is not None:
            return value
    raise Bad("right: is missing; it says whether the draft is good")


def _share(found: Mapping[str, Any], name: str) -> float | None:
    """A flag or a number from 0 to 1."""
    if isinstance(found.get(name), bool):
        return float(found[name])
    value = _number(found, name, least=0.0)
    if value is not None and value > 1:
        raise Bad(f"{name}: is {value:g}, and has to be from 0 to 1")
    return value


def _number(
    found: Mapping[str, Any], name: str, *, least: float = -math.inf, most: float = math.inf
) -> float | None:
    value = found.get(name)
    if value is None:
        return None
    good = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        number = float(value) if good else math.nan
    except OverflowError:  # JSON may write a whole number of any length
        number = math.inf
    if not math.isfinite(number) or not least <= number <= most:
        raise Bad(f"{name}: has to be a number{_within(least, most)}, not {json.dumps(value)[:40]}")
    return number


def _within(least: float, most: float) -> str:
    above = f" from {least:g}" if least > -math.inf else ""
    return above + (f" to {most:g}" if most < math.inf else "")


def _stats(found: Mapping[str, Any]) -> tuple[TokenStat, ...]:
    logprobs = _numbers(found, "logprobs", least=_LEAST_LOGPROB, most=0.0)
    if not logprobs:
        return ()
    entropies = _numbers(found, "entropies", least=0.0) or [None] * len(logprobs)
    margins = _numbers(found, "margins", least=0.0) or [None] * len(logprobs)
    if not len(logprobs) == len(entropies) == len(margins):
        raise Bad("logprobs: has another length than entropies or margins")
    if None in logprobs:  # a token nobody knows of leaves the draft's figures unknown
        return ()
    known = [value for value in logprobs if value is not None]
    return tuple(map(TokenStat, known, entropies, margins))


def _state(found: Mapping[str, Any]) -> LayerState | None:
    value = found.get("state")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Bad("state: has to be an object with layer and mean")
    try:
        return understood(value.get("layer"), value.get("mean"))
    except ValueError as exc:
        raise Bad(f"state: {exc}") from exc


def _numbers(found: Mapping[str, Any], name: str, **held: float) -> list[float | None]:
    values = found.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        raise Bad(f"{name}: has to be a list of numbers")
    return [
        _number({f"{name}[{at}]": value}, f"{name}[{at}]", **held)
        for at, value in enumerate(values)
    ]


class WorkFile:
    """Rows that are made one by one, kept so that a kill loses at most the one under way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it, so that no other run cuts off a line that is being written, or spends the same
        dollars again; let go of by the kernel when its holder dies.

        Raises:
            ConfigError: another run holds it, or it can't be held.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(str(self.path.with_name(f".{self.path.name}.lock")), blocking=False)
        try:
            lock.acquire()
        except Timeout as exc:
            raise ConfigError(
                "another run is making labels in it", file=self.path, hint="wait for its end"
            ) from exc
        except OSError as exc:
            raise ConfigError(f"cannot be held: {exc.strerror or exc}", file=self.path) from exc
        try:
            yield
        finally:
            lock.release()

    def rows(self) -> list[Mapping[str, Any]]:
        """What is there already. A last line that a kill has torn is cut off.

        Raises:
            ConfigError: it can't be read, or holds a line that was never written here.
        """
        if not self.path.exists():
            return []
        self._cut_torn()
        found = []
        for number, line in lines(self.path):
            try:
                found.append(parsed(line))
            except Bad as exc:
                raise ConfigError(str(exc), file=self.path, line=number) from exc
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """One line more, on the disk when this returns. Raises: OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, 0o600)  # prompts are nobody else's business
        with os.fdopen(handle, "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _cut_torn(self) -> None:
        try:
            with self.path.open("r+b") as file:
                whole = file.read()
                file.truncate(whole.rfind(b"\n") + 1)
        except OSError as exc:
            raise ConfigError(f"cannot be read: {exc.strerror or exc}", file=self.path) from exc
