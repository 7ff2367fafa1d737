"""The end of a request to tell observers of."""

from __future__ import annotations

from support.booking import attempt, closed, hop

from router.ledger import Closed
from router.sidecar.callers import KEY_TAG
from router.types import Usage


def escalated(decision_id: str = "d1") -> Closed:
    """The device's draft is dropped, the cloud fails once, then answers."""
    draft = attempt(decision_id, cost_usd="0", usage=Usage(input_tokens=40, output_tokens=9))
    calls = (
        attempt(
            decision_id,
            1,
            cost_usd=None,
            usage=Usage(),
            error_kind="timed_out",
            error_message="the prompt was: SECRET",
            finish=None,
            ttft_s=None,
        ),
        attempt(
            decision_id,
            1,
            2,
            usage=Usage(input_tokens=41, output_tokens=25, cached_input_tokens=30),
            request_id="r7",
        ),
    )
    return closed(
        decision_id,
        hop(decision_id, status="deferred", attempts=(draft,)),
        hop(decision_id, 1, attempts=calls, provider="azure_ai"),
        label="internal",
        tags={KEY_TAG: "web", "team": "SECRET"},
        answer="SECRET",
        flags=("uncertain",),
    )
