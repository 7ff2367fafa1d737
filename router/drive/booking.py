"""A hop's attempts, written down with the request they belong to."""

from __future__ import annotations

from dataclasses import dataclass

from ..cascade import Call
from ..hops import Attempt
from ..ledger.entry import Began
from ..providers.base import Target
from ..quick import maker, quick
from .context import Context

_began = maker(Began)


@quick
@dataclass(frozen=True, slots=True)
class HopBooking:
    """See `live.Booking`.

    Attributes:
        alone: No other hop runs beside it, or may begin to.
    """

    context: Context
    call: Call
    target: Target
    alone: bool

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        context, call, target = self.context, self.call, self.target
        context.home.ledger.begin(
            _began(
                decision_id=context.decision_id,
                hop=call.hop,
                attempt_id=attempt_id,
                number=number,
                started_at=started_at,
                policy=context.policy.name,
                policy_revision=context.policy.revision,
                target=target.name,
                tier=target.tier,
                provider=target.provider,
                model=target.model,
                cause=call.cause,
                because=call.because,
                label=context.label,
                tags=context.request.tags,
            )
        )

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        at_once = (
            attempt.error_kind is None and self.alone and self._closed_next(attempt, shown, says)
        )
        context = self.context
        context.home.ledger.end(context.decision_id, self.call.hop, attempt, more_follows=at_once)

    def _closed_next(self, attempt: Attempt, shown: bool, says: bool) -> bool:
        """Whether the request is closed next, and nothing waited for until then.

        Not after a draft: the next hop waits for its turn, and a caller who is given a whole draft
        may look at it first.
        """
        context = self.context
        whole = context.request.whole and self.call.commits and says
        kept = shown or (whole and attempt.finish != "content_filter")
        return kept and context.home.senses.is_ready(context.needs)
