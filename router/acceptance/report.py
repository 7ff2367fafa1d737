"""What an acceptance run found, as values and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold, and what was seen."""

    name: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured on this machine.

    Attributes:
        load_s: Seconds from start to ready, warm-up included, as the worker measured.
        first_token_s: Seconds to the first token of a prompt of `prompt_tokens`.
        prefill_tokens_per_s: Prompt tokens over that time.
        decode_tokens_per_s: Median over the checkable prompts of more than 8 tokens.
            None: no answer was that long.
        memory_bytes: Largest resident memory of the worker seen. None: not readable here.
        right: How many of `asked` checkable prompts were answered right.
    """

    load_s: float
    prompt_tokens: int
    first_token_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float | None
    memory_bytes: int | None
    right: int
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The report.

    Attributes:
        build: The store's build, or ``"folder"``.
        files: SHA-256 by file name, from the store's manifest; empty for a bare folder.
        machine: Processor and system, without the machine's name.
    """

    model: str
    build: str
    files: dict[str, str]
    engine: str
    device: str
    machine: str
    firsthop: str
    checks: tuple[Check, ...]
    figures: Figures

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that did not hold."""
        return tuple(check.name for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return not self.failed

    def as_json(self) -> str:
        """The report for sharing: no user, path or host name is in it."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"
