"""A file of prompts: one a line, or JSON objects with what is known of each.

Fields of an object: `prompt` (or `messages`, of which the last thing the user said is asked);
`reference`, the right answer, where there is one; `task`, `language`, and `label` (how private it
is: public, internal, pii, secret).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..labels.fields import Bad, optional_text, prompt_of
from ..labels.lines import complaint, lines, parsed
from ..types import LABELS, Label
from .labelled import key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One thing to ask. None: not said."""

    text: str
    reference: str | None = None
    task: str | None = None
    language: str | None = None
    label: Label | None = None

    @property
    def key(self) -> str:
        """Equal for prompts that are the same but for case and layout."""
        return key_of(self.text)


@dataclass(frozen=True, slots=True)
class Prompts:
    """A file's prompts, each once; its bad lines; and how many lines repeated another."""

    prompts: tuple[Prompt, ...]
    bad: tuple[str, ...]
    repeated: int


def read_prompts(path: Path) -> Prompts:
    """Every line of the file. It is JSON if its first line begins with a brace.

    Raises:
        ConfigError: the file can't be read.
    """
    found: dict[str, Prompt] = {}
    bad: list[str] = []
    repeated, objects = 0, None
    for number, line in lines(path):
        objects = line.lstrip().startswith(b"{") if objects is None else objects
        try:
            prompt = _prompt(parsed(line)) if objects else Prompt(text=_plain(line))
        except Bad as exc:
            bad.append(str(complaint(path, number, exc)))
            continue
        repeated += prompt.key in found
        found.setdefault(prompt.key, prompt)
    return Prompts(tuple(found.values()), tuple(bad), repeated)


def _plain(line: bytes) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as exc:
        raise Bad(None, f"is no UTF-8 ({exc})") from exc


def _prompt(found: Mapping[str, Any]) -> Prompt:
    label = optional_text(found, "label")
    if label is not None and label not in LABELS:
        raise Bad("label", f"is {label!r}, and has to be one of {', '.join(LABELS)}")
    return Prompt(
        text=prompt_of(found),
        reference=optional_text(found, "reference"),
        task=optional_text(found, "task"),
        language=optional_text(found, "language"),
        label=label,
    )
