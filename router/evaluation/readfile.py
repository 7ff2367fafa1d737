"""*Edge:* a labelled set out of a JSONL file, plain or gzipped: one answer a line, each checked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ..confidence.statefield import understood
from ..errors import ConfigError
from .labelled import Labelled, labelled
from .row import Row

_SHOWN = 5


def read(path: Path, tasks: Iterable[str] = (), cheap: str | None = None) -> Labelled:
    """A file's rows as columns.

    Args:
        tasks: Only rows of these. Empty: all.
        cheap: The model among the rows' peers that is the cheap cloud tier.

    Raises:
        ConfigError: It can't be read, a line is no labelled answer, or there are none.
    """
    wanted = frozenset(tasks)
    rows: list[Row] = []
    wrong: list[ConfigError] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=Row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            wrong.append(_refused(path, number, None, f"no labelled answer: {exc}"))
            continue
        if wanted and row.kind not in wanted:
            continue
        problem = _problem(path, number, row)
        if problem is None:
            rows.append(row)
        else:
            wrong.append(problem)
    if wrong:
        raise _several(wrong)
    if not rows:
        raise ConfigError("there is no labelled answer in it", file=path, hint=_hint(wanted))
    if cheap is not None and not all(cheap in row.peers for row in rows):
        raise ConfigError(
            f"not every row says what {cheap!r} made of it",
            file=path,
            field="--cheap",
            hint="it must be among `peers` of each row",
        )
    return labelled(path.name, rows, cheap)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as exc:
        raise ConfigError(f"can't be read: {exc}", file=path) from exc


def _problem(path: Path, line: int, row: Row) -> ConfigError | None:
    """What is wrong with a row whose fields have the right types."""
    name, value = row.outcome
    if value is None:
        return _refused(path, line, name, "there is no outcome of the device's answer")
    scores = [row.outcome, row.strong_outcome]
    scores += [(f"peers.{peer}.correct", said.correct) for peer, said in row.peers.items()]
    scores.append(("confidence", row.confidence))
    for name, score in scores:
        if score is not None and not 0 <= score <= 1:
            return _refused(path, line, name, f"{score:g} is no share from 0 to 1")
    costs = [("cost", row.cost), ("weak_cost", row.weak_cost), ("strong_cost", row.strong_cost)]
    costs += [(f"peers.{peer}.cost", said.cost) for peer, said in row.peers.items()]
    for name, cost in costs:
        if cost is not None and cost < 0:
            return _refused(path, line, name, f"{cost:g} is no price")
    for place, logprob in enumerate(row.logprobs or ()):
        if logprob is not None and logprob > 0:
            return _refused(path, line, f"logprobs[{place}]", f"{logprob:g} is no log-probability")
    for name, values in (("entropies", row.entropies), ("margins", row.margins)):
        if values and len(values) != len(row.logprobs or ()):
            return _refused(path, line, name, "there are more or fewer than of logprobs")
    if row.state is not None:
        try:
            understood(row.state.layer, row.state.mean)
        except ValueError as exc:
            return _refused(path, line, "state", str(exc))
    if row.weak_logits is not None and len(row.weak_logits) < 3:
        return _refused(path, line, "weak_logits", "fewer than three options")
    return None


def _refused(path: Path, line: int, field: str | None, problem: str) -> ConfigError:
    return ConfigError(problem, file=path, line=line, field=field)


def _several(wrong: list[ConfigError]) -> ConfigError:
    """The first, with the places of the others."""
    first, others = wrong[0], wrong[1:]
    if not others:
        return first
    places = [f"line {each.line}" for each in others[:_SHOWN]]
    rest = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    hint = f"also wrong: {', '.join(places)}{rest}"
    return ConfigError(
        first.message, file=first.file, line=first.line, field=first.field, hint=hint
    )


def _hint(wanted: frozenset[str]) -> str | None:
    return f"--task asks for {', '.join(sorted(wanted))} only" if wanted else None
