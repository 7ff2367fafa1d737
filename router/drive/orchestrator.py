"""Runs requests against real targets: the door of this room."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ..hops import Outcome
from ..policy.rules import Policy
from ..types import Chunk, Request
from .going import Going
from .home import Home


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Answers requests with what `home` has."""

    home: Home

    def run(
        self,
        request: Request,
        policy: Policy,
        notes: tuple[str, ...] = (),
        decision_id: str | None = None,
    ) -> AsyncGenerator[Chunk | Outcome, None]:
        """Give the answer's committed chunks, then the `Outcome`, which is booked by then.

        Args:
            notes: For the top of the trace.
            decision_id: What it is called in the ledger, as `ids.new_id` makes it. None: a new one.

        Raises:
            Forbidden: guards left no tier.
            LimitReached: a limit ended it and no draft may be returned.
            NoAnswer: every hop failed, or one failed after bytes of it had been sent.
            LedgerError: a call could not be booked, so it was not made.
        """
        return Going(self.home, request, policy, notes, decision_id).run()
