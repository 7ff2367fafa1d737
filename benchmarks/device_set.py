"""The questions put to the real device model: what is asked, what counts as right, how it is asked.

In goes ``data/device_questions.jsonl.gz``, one question a line; out come `Question`s. What their
facts come from, and under which licence, stands in ``data/README.md``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from router.confidence.answers import canonical
from router.confidence.figures import numbers
from router.types import Message

QUESTIONS = Path(__file__).parent / "data" / "device_questions.jsonl.gz"
SYSTEM = "Give the answer alone, in one line, with no explanation."
SHOWN = (
    ("Which animal says moo?", "Cow"),
    ("How much is 1 plus 1?", "2"),
    ("Is the sun colder than snow?", "No"),
)
"""Turns put before each question, so that a model this small keeps its answers short."""

How = Literal["words", "letters", "number", "list", "choice"]
_SPELLED = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question whose answer a program can check.

    Attributes:
        id: Of this question alone.
        kind: What is asked, such as ``"capital"``.
        subject: What it is asked about. Questions of one subject, whatever their kind, are never
            parted: what a fit sees of one would tell of another.
        how: What the checker compares: ``words`` and ``letters`` (as written) stand in the draft
            as whole words; ``number`` is the last number that the question did not give; ``list``
            are all its numbers; ``choice`` is named before any of its rivals.
        accepted: Answers that count.
        rivals: Other things a choice could have named.
    """

    id: str
    kind: str
    subject: str
    question: str
    how: How
    accepted: tuple[str, ...]
    rivals: tuple[str, ...] = ()

    def right(self, draft: str) -> bool:
        """Whether the draft's first line says an accepted answer."""
        line = next((line for line in draft.splitlines() if line.strip()), "")
        if self.how == "number":
            return self._right_number(line)
        if self.how == "list":
            return [f"{value:g}" for value in numbers(line)] == list(self.accepted)
        if self.how == "letters":
            return any(_place(said, line) is not None for said in self.accepted)
        even = folded(line)
        found = [_place(folded(said), even) for said in self.accepted]
        named = min((at for at in found if at is not None), default=None)
        if named is None:
            return False
        others = [_place(folded(said), even) for said in self.rivals]
        return all(at is None or at > named for at in others)

    def messages(self) -> tuple[Message, ...]:
        """The conversation that the device is given."""
        made = [Message(role="system", content=SYSTEM)]
        for asked, said in SHOWN:
            made += [Message(role="user", content=asked), Message(role="assistant", content=said)]
        return (*made, Message(role="user", content=self.question))

    def _right_number(self, line: str) -> bool:
        wanted = {canonical(said) for said in self.accepted}
        spelled = re.sub(r"[A-Za-z]+", lambda m: _SPELLED.get(m[0].lower(), m[0]), line)
        given = {canonical(f"{value:g}") for value in numbers(self.question)} - wanted
        said = [canonical(f"{value:g}") for value in numbers(spelled)]
        own = [value for value in said if value not in given]
        return bool(own) and own[-1] in wanted


def folded(text: str) -> str:
    """Lower case, without accents, and with one kind of apostrophe and space."""
    parted = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    return " ".join("".join(c for c in parted if not unicodedata.combining(c)).casefold().split())


def read(path: Path = QUESTIONS) -> list[Question]:
    """Every question of the file, in its order."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_question(json.loads(line)) for line in lines]


def write(questions: Iterable[Question], path: Path) -> None:
    """Write them; the same questions give the same bytes."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=0, filename="") as packed:
        for question in questions:
            line = {key: value for key, value in asdict(question).items() if value != ()}
            packed.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    path.write_bytes(made.getvalue())


def digest(questions: Iterable[Question]) -> str:
    """SHA-256 of what is asked, in which words, and what counts, as hexadecimal digits."""
    said = [SYSTEM, SHOWN, [asdict(question) for question in questions]]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def _question(said: dict[str, object]) -> Question:
    lists = {name: tuple(said.get(name, ())) for name in ("accepted", "rivals")}  # type: ignore[arg-type]
    return Question(**(said | lists))  # type: ignore[arg-type]


def _place(word: str, text: str) -> int | None:
    """Where a word stands by itself, not inside a longer word or number."""
    match = re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", text)
    return match.start() if match else None
