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


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class HopBooking:
    """See `live.Booking`.

    Attributes:
        hop: Index of the hop within the request.
    """

    ledger: Sink
    decision_id: str
    request: Request
    label: Label
    policy: Policy
    target: Target
    call: Call
    hop: int

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

    def end(self, attempt: Attempt, *, shown: bool) -> None:
        # The request is closed next, unless the caller is given a whole draft to look at first.
        at_once = attempt.error_kind is None and (shown or self.request.whole)
        self.ledger.end(self.decision_id, self.hop, attempt, more_follows=at_once)
