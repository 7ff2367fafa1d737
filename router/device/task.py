"""One job of a worker on its way, as `jobs.py` keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from .engine import Job, Run
from .mail import Client


@dataclass(eq=False, slots=True)
class Task:
    """One job on its way. `due_s` is on the clock."""

    owner: Client
    id: int
    job: Job
    tenant: str
    client: int
    queued_at: float
    due_s: float
    ends_at: float | None
    prompt_tokens: int
    started_at: float = 0.0
    steps: Run | None = None
    first_token_at: float | None = None
    read: int = 0
    reused: int = 0
    tokens: int = 0
    chunk: tuple[int, int, float] | None = None

    @property
    def reads(self) -> bool:
        """Whether its prompt isn't read yet."""
        return self.first_token_at is None and self.read < max(1, self.prompt_tokens)
