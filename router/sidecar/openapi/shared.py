"""What both dialects share in the OpenAPI document: our headers, and how an answer came about."""

from __future__ import annotations

from .parts import COUNT, FLAG, TEXT, Json, described, header, many, maybe, ref, thing, word

LABEL = word("public", "internal", "pii", "secret")

ASKING: list[Json] = [
    header("x-firsthop-tenant", "whose request it is"),
    header("x-firsthop-label", "how private the text is", LABEL),
    header(
        "x-firsthop-deadline-s",
        "seconds until an answer is worth nothing",
        {"type": "number", "exclusiveMinimum": 0},
    ),
    header(
        "x-firsthop-cost-usd",
        "most dollars",
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$"},
    ),
    header("x-firsthop-target", "ask this target and no other"),
    header("x-firsthop-tags", "tags for the ledger and the policy: `team=search, env=prod`"),
]
"""What a caller may say beside the body."""

OUTCOME: dict[str, Json] = {
    "x-firsthop-decision-id": TEXT,
    "x-firsthop-policy": described(TEXT, "name@revision"),
    "x-firsthop-route": described(TEXT, "targets tried, such as `device>cloud`; not of a stream"),
    "x-firsthop-hops": described(TEXT, "not of a stream"),
    "x-firsthop-cost-usd": described(TEXT, "not there: not known, or a stream"),
    "x-firsthop-certified": word("true", "false"),
}
"""What stands in an answer's head."""

STREAM: Json = {
    "schema": described(
        thing({"data": TEXT}, {"event": TEXT}),
        "each event, where the body says `stream: true`",
    ),
}

SCHEMAS: dict[str, Json] = {
    "Router": thing(
        {
            "decision_id": TEXT,
            "policy": TEXT,
            "policy_revision": TEXT,
            "route": described(many(TEXT), "the targets tried, in order"),
            "hops": COUNT,
            "answered_by": maybe(TEXT),
            "finish": described(maybe(TEXT), "null: its target did not say"),
            "confidence": maybe({"type": "number"}),
            "certified": maybe(FLAG),
            "cost_usd": described(maybe(TEXT), "exact; null: not known"),
            "flags": many(TEXT),
            "total_s": {"type": "number", "minimum": 0},
        },
        {"decisions": described(many(ref("Router")), "each choice's own, where there are several")},
    ),
}
