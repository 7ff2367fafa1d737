"""What the caller gets back: the text, and everything that can be asked about how it came."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .hops import Hop, Outcome
from .policy.explain import plain, seconds, usd
from .types import Finish, TokenLogprob, ToolCall


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and its outcome.

    Attributes:
        text: The whole answer.
        outcome: What was decided and what happened.
        tool_calls: What the model asks to be called.
        logprobs: The tokens of the text with their log-probabilities, where they were asked for
            and the target tells them.
    """

    text: str
    outcome: Outcome
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def decision_id(self) -> str:
        """Names the request in the ledger."""
        return self.outcome.decision_id

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every target tried, in order."""
        return self.outcome.hops

    @property
    def answered_by(self) -> str:
        """Name of the target whose answer this is."""
        index = self.outcome.answered_by
        assert index is not None
        return self.outcome.hops[index].target

    @property
    def finish(self) -> Finish | None:
        """Why the answer ended."""
        index = self.outcome.answered_by
        return None if index is None else self.outcome.hops[index].last.finish

    @property
    def flags(self) -> tuple[str, ...]:
        """What its reader should know: ``"uncertain"``, ``"filtered"``, ``"limit:deadline_s"``."""
        return self.outcome.flags

    @property
    def certified(self) -> bool | None:
        """Whether the draft was kept under a certificate. None: this is no draft that was kept."""
        return self.outcome.certified

    @property
    def cost_usd(self) -> Decimal | None:
        """Dollars over all hops. None: one of them isn't known."""
        return self.outcome.cost_usd

    @property
    def escalation_delay_s(self) -> float | None:
        """Seconds lost before the hop that answered began. None: the first hop answered."""
        return self.outcome.escalation_delay_s

    @property
    def total_s(self) -> float:
        """Seconds from arrival to the end."""
        return self.outcome.total_s

    def explain(self) -> str:
        """The policy's reasons with the values it saw, and each hop with its time and cost."""
        return explain(self.outcome)

    def as_json(self) -> dict[str, Any]:
        """Plain values: the answer, its outcome and its trace."""
        calls = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in self.tool_calls
        ]
        said: dict[str, Any] = {"text": self.text, "tool_calls": calls}
        if self.logprobs:
            said["logprobs"] = {"content": [_spelled(one) for one in self.logprobs]}
        return {**said, **outcome_json(self.outcome)}

    def __str__(self) -> str:
        return self.text


def _spelled(token: TokenLogprob) -> dict[str, Any]:
    """One token in OpenAI's shape."""
    return {**_alone(token), "top_logprobs": [_alone(one) for one in token.top]}


def _alone(token: TokenLogprob) -> dict[str, Any]:
    known = None if token.raw is None else list(token.raw)
    return {"token": token.token, "logprob": token.logprob, "bytes": known}


def explain(outcome: Outcome) -> str:
    """An outcome as text for people; see `Answer.explain`."""
    head = f"policy {outcome.policy}@{outcome.policy_revision}   decision {outcome.decision_id}"
    count = sum(not hop.aside for hop in outcome.hops)
    hops = f"{count} hop{'' if count == 1 else 's'}"
    if outcome.answered_by is None:
        end = f" {outcome.status.replace('_', ' ')} after {hops}"
    else:
        end = f" answered by {outcome.hops[outcome.answered_by].target} after {hops}"
    flags = f"   [{', '.join(outcome.flags)}]" if outcome.flags else ""
    mark = certainty(outcome.certified)
    end += f", {seconds(outcome.total_s)}, {usd(outcome.cost_usd)}{mark}{flags}"
    return "\n".join([head, *outcome.trace.lines(outcome.hops), end])


def certainty(certified: bool | None) -> str:
    """The mark of a draft that was kept, to go behind a comma; empty where none was."""
    return "" if certified is None else ", certified" if certified else ", uncertified"


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values; dollars as strings, so that they stay exact."""
    return {
        "decision_id": outcome.decision_id,
        "policy": outcome.policy,
        "policy_revision": outcome.policy_revision,
        "status": outcome.status,
        "answered_by": outcome.answered_by,
        "flags": list(outcome.flags),
        "certified": outcome.certified,
        "ttfb_s": outcome.ttfb_s,
        "escalation_delay_s": outcome.escalation_delay_s,
        "total_s": outcome.total_s,
        "cost_usd": _money(outcome.cost_usd),
        "hops": [hop_json(hop) for hop in outcome.hops],
        "signals": dict(outcome.signals),
        "trace": outcome.trace.as_json(),
    }


def hop_json(hop: Hop) -> dict[str, Any]:
    """One hop as plain values."""
    last = hop.last
    return {
        "target": hop.target,
        "tier": hop.tier,
        "provider": hop.provider,
        "model": hop.model,
        "model_served": last.model_served,
        "cause": hop.cause,
        "because": hop.because,
        "status": hop.status,
        "left": hop.left,
        "attempts": len(hop.attempts),
        "ttft_s": last.ttft_s,
        "tpot_s": last.tpot_s,
        "total_s": hop.total_s,
        "input_tokens": last.usage.input_tokens,
        "output_tokens": last.usage.output_tokens,
        "cost_usd": _money(hop.cost_usd),
        "price": last.price,
        "finish": last.finish,
        "error": last.error_kind,
        "signals": {name: plain(value) for name, value in hop.signals.items()},
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
