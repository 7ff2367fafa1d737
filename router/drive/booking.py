"""A hop's attempts, written down with the request they belong to."""

from __future__ import annotations

from dataclasses import dataclass

from ..cascade import Call
from ..hops import Attempt
from ..ledger.entry import Began, Sink
from ..policy.rules import Policy
from ..providers.base import Target
from ..quick import quick
from ..types import Label, Request
from .senses import Senses


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class HopBooking:
    """See `live.Booking`.

    Attributes:
        hop: Index of the hop within the request.
        alone: No other hop runs beside it, or may begin to.
        senses: Say whether anything is waited for once its answer is here.
    """

    ledger: Sink
    decision_id: str
    request: Request
    label: Label
    policy: Policy
    target: Target
    call: Call
    hop: int
    alone: bool
    senses: Senses

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        self.ledger.begin(
            Began(
                decision_id=self.decision_id,
                hop=self.hop,
                attempt_id=attempt_id,
                number=number,
                started_at=started_at,
                policy=self.policy.name,
                policy_revision=self.policy.revision,
                target=self.target.name,
                tier=self.target.tier,
                provider=self.target.provider,
                model=self.target.model,
                cause=self.call.cause,
                because=self.call.because,
                label=self.label,
                tags=self.request.tags,
            )
        )

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        at_once = (
            attempt.error_kind is None and self.alone and self._closed_next(attempt, shown, says)
        )
        self.ledger.end(self.decision_id, self.hop, attempt, more_follows=at_once)

    def _closed_next(self, attempt: Attempt, shown: bool, says: bool) -> bool:
        """Whether the request is closed next, and nothing waited for until then.

        Not after a draft: the next hop waits for its turn, and a caller who is given a whole draft
        may look at it first.
        """
        whole = self.request.whole and self.call.commits and says
        kept = shown or (whole and attempt.finish != "content_filter")
        return kept and self.senses.is_ready(self.request)
