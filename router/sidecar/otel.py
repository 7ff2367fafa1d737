"""Traces for OpenTelemetry: a span for the request and one for each hop, made once it is over.

Comes in: what the ledger books. Goes out: spans with their real times, by the GenAI semantic
conventions (``gen_ai.*``); what those have no word for is ``firsthop.*``. No text of a prompt or
an answer is in them. Off by default; `build` sends them as ``OTEL_EXPORTER_OTLP_*`` say. Imported
by nobody but the command that was told to trace.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .. import __version__
from ..hops import Hop, Outcome
from .after import Over, Turned

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

log = logging.getLogger("firsthop.sidecar")

END_S = 3.0
"""Seconds that the last spans get."""

Attributes = dict[str, "AttributeValue"]

PROVIDERS = {
    "azure_ai": "azure.ai.inference",
    "github_models": "azure.ai.inference",
    "openai_compatible": "openai",
}
"""Our providers by the convention's names; `openai_compatible` is what the wire looks like, as the
convention asks for. Others keep their own."""

_PROPAGATOR = TraceContextTextMapPropagator()


class Traces:
    """An `Observer` that makes spans."""

    traces = True

    def __init__(self, provider: TracerProvider) -> None:
        """`provider` is closed with this."""
        self._provider = provider
        self._tracer = provider.get_tracer("firsthop", __version__)

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        """See `Observer`. What the door turned away has no span."""
        for one in seen:
            if isinstance(one, Over):
                self._request(one)

    def reopen(self) -> None:
        """See `Observer`."""

    def close(self) -> None:
        """See `Observer`: what is not sent yet is sent now, if there is somebody to take it.

        The SDK would wait longer for a collector that is gone than a server may take to end.
        """
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(END_S)
        if ending.is_alive():
            log.warning("the last spans were not taken within %.0f s and are lost", END_S)

    def _request(self, one: Over) -> None:
        outcome = one.closed.outcome
        parent = None
        if one.parent is not None:
            parent = _PROPAGATOR.extract({"traceparent": one.parent.decode("latin-1")})
        span = self._tracer.start_span(
            f"firsthop {outcome.policy}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes=_of_request(outcome, one.closed.label),
            start_time=_ns(outcome.started_at),
        )
        inside = set_span_in_context(span)
        for hop in outcome.hops:
            began = hop.attempts[0].started_at
            if hop.began_s is not None:
                began = outcome.started_at + hop.began_s
            inner = self._tracer.start_span(
                f"chat {hop.model}",
                context=inside,
                kind=SpanKind.CLIENT,
                attributes=_of_hop(hop),
                start_time=_ns(began),
            )
            if hop.status == "failed":
                _failed(inner, hop.last.error_kind or "_OTHER")
            inner.end(_ns(began + hop.total_s))
        if outcome.status not in ("answered", "cancelled"):
            _failed(span, outcome.status)
        span.end(_ns(outcome.started_at + outcome.total_s))


def build() -> Traces:
    """Spans in batches over OTLP and HTTP, as the environment says where to."""
    provider = TracerProvider(
        resource=Resource.create(_service(os.environ)), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def _service(environ: Mapping[str, str]) -> Attributes:
    """Who we are, unless the environment says it."""
    found: Attributes = {"service.version": __version__}
    named = environ.get("OTEL_SERVICE_NAME")
    if not named and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        found["service.name"] = "firsthop"
    return found


def _of_request(outcome: Outcome, label: str) -> Attributes:
    """No tokens, and no operation: a backend that counts those of its hops would count twice."""
    found: Attributes = {
        "firsthop.decision.id": outcome.decision_id,
        "firsthop.policy.name": outcome.policy,
        "firsthop.policy.revision": outcome.policy_revision,
        "firsthop.status": outcome.status,
        "firsthop.route": [hop.target for hop in outcome.hops if not hop.aside],
        "firsthop.label": label,
        "firsthop.flags": list(outcome.flags),
    }
    if outcome.cost_usd is not None:
        found["firsthop.cost_usd"] = float(outcome.cost_usd)
    if outcome.ttfb_s is not None:
        found["firsthop.first_byte_s"] = outcome.ttfb_s
    if outcome.answered_by is not None:
        found["firsthop.answered_by"] = outcome.hops[outcome.answered_by].target
    return found


def _of_hop(hop: Hop) -> Attributes:
    last, usage = hop.last, hop.last.usage
    found: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(hop.provider, hop.provider),
        "gen_ai.request.model": hop.model,
        "firsthop.target": hop.target,
        "firsthop.tier": hop.tier,
        "firsthop.hop.index": hop.index,
        "firsthop.hop.cause": hop.cause,
        "firsthop.hop.status": hop.status,
        "firsthop.hop.attempts": len(hop.attempts),
    }
    for name, value in (
        ("gen_ai.response.model", last.model_served),
        ("gen_ai.response.id", last.request_id),
        ("gen_ai.response.time_to_first_chunk", last.ttft_s),
        ("gen_ai.response.finish_reasons", None if last.finish is None else [last.finish]),
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
        ("firsthop.hop.cost_usd", None if hop.cost_usd is None else float(hop.cost_usd)),
    ):
        if value is not None:
            found[name] = value
    return found


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
