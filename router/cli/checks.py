"""What `firsthop doctor` finds out about one target: a list of findings, each with what to do.

Comes in: a target, what is known of it, and what its service answered. Goes out: `Finding`s. No
finding ever holds a key: errors are cut before they come here, and places are named instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ..config import Bound
from ..errors import AuthFailed, HopError
from ..keys import InFile
from ..providers.probe import Probe
from ..redaction import redact
from .facts import Facts
from .onecall import Called

State = Literal["ok", "unknown", "warn", "fail"]
Check = Literal[
    "firsthop", "config", "policy", "ledger", "tier", "weights", "accelerator",
    "key", "reachable", "authorised", "model", "price", "life", "clock", "call",
]  # fmt: skip

_CALL = "to see it: firsthop doctor --call, which asks each cloud for one word"
WARN_DAYS = 60
SKEW_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: The thing, such as a target's name.
        says: What was found.
        check: Which check it was.
        do: What to do about it. None: nothing.
    """

    state: State
    what: str
    says: str
    check: Check
    do: str | None = None


def key(bound: Bound, needs: str | None) -> Iterator[Finding]:
    """Whether the key is there, and whether its file is its owner's alone.

    Args:
        needs: Why a call without a key fails. None: it needs none.
    """
    name, held = bound.target.name, bound.key
    if held is None:
        if needs is not None:
            do = "say where it lies under `api_key`; `firsthop init` writes such a config"
            yield Finding("fail", name, redact(needs), "key", do)
        return
    if needs is not None:
        do = f"put the key alone into {held.place}"
        yield Finding("fail", name, redact(needs), "key", do)
        return
    yield Finding("ok", name, f"key from {held.place}", "key")
    if isinstance(held.place, InFile) and (open_to := held.place.too_open()):
        says, _, do = open_to.partition("; run: ")
        yield Finding("warn", name, says, "key", do)


def service(bound: Bound, seen: Probe, *, called: bool) -> Iterator[Finding]:
    """Whether it is there, takes the key and has the model.

    Args:
        called: It was asked for a word too; what the list doesn't tell, that call does.
    """
    name, model, error = bound.target.name, bound.target.model, seen.error
    if not seen.reachable:
        do = "check base_url, the network and the proxy; is the server running?"
        yield Finding("fail", name, f"not reachable: {_said(error)}", "reachable", do)
        return
    took = "" if seen.took_s is None else f" in {seen.took_s:.2f} s"
    yield Finding("ok", name, f"reachable: {seen.url} answers{took}", "reachable")
    if seen.authorised is False:
        where = bound.key.place if bound.key else "the place that `api_key` names"
        do = f"put a key that is valid there into {where}"
        if isinstance(error, AuthFailed) and not error.reached:
            return  # no key at all, which was said
        yield Finding("fail", name, f"does not take the key: {_said(error)}", "authorised", do)
        return
    if error is not None and error.status == 410:
        yield Finding("fail", name, _said(error), "model", "use another service or model")
        return
    if error is not None:
        do = "is the path in base_url right? not every server has a list; `--call` asks for a word"
        yield Finding("warn", name, f"its list of models: {_said(error)}", "model", do)
        return
    if seen.authorised is not None:
        yield Finding("ok", name, "takes the key" if bound.key else "needs no key", "authorised")
    elif not called:
        says = "shows its list to anybody, so whether it takes the key was not seen"
        yield Finding("unknown", name, says, "authorised", _CALL)
    if seen.model_exists is None:
        if not called:
            says = f"whether it has {model} can't be told from its list"
            yield Finding("unknown", name, says, "model", _CALL)
    elif seen.model_exists:
        yield Finding("ok", name, f"has the model {model}", "model")
    else:
        yield Finding(
            "fail", name, f"does not list the model {model}", "model", _other(bound, seen)
        )


def _other(bound: Bound, seen: Probe) -> str:
    if bound.target.provider == "ollama":
        return f"run: ollama pull {bound.target.model}"
    shown = ", ".join(seen.models[:8]) + (" ..." if len(seen.models) > 8 else "")
    return f"set `model` to one that it lists: {shown}"


def clock(bound: Bound, seen: Probe) -> Iterator[Finding]:
    """Whether this machine and the service have the same time."""
    skew = seen.skew_s
    if skew is None or abs(skew) < SKEW_S:
        return
    way = "behind" if skew > 0 else "ahead of"
    yield Finding(
        "warn",
        bound.target.name,
        f"this machine's clock is {abs(skew):.0f} s {way} the service's",
        "clock",
        "set the clock by the network (NTP); certificates, tokens and prices by day go by it",
    )


def price(bound: Bound, facts: Facts) -> Finding:
    """Whether its price is known."""
    name = bound.target.name
    if facts.price is None:
        do = f"name a line of the price list under `targets.{name}.price`, or give it one"
        return Finding("warn", name, "no price is known, so its cost stays unknown", "price", do)
    return Finding("ok", name, f"price {facts.price}: {facts.price_says}", "price")


def life(bound: Bound, facts: Facts, seen: Probe | None, today: date) -> Iterator[Finding]:
    """When it ends: an error once that day has come, a warning from 60 days before."""
    name = bound.target.name
    known = [(facts.ends, facts.ends_says)] if facts.ends else []
    if seen is not None and seen.ends is not None:
        known.append((seen.ends, f"model {bound.target.model}, by the service itself"))
    if not known:
        return
    ends, who = min(known)
    days = (ends - today).days
    do = f"use {facts.successors} instead" if facts.successors else "choose its successor"
    if days <= 0:
        yield Finding("fail", name, f"retired on {ends} ({who})", "life", do)
    elif days <= WARN_DAYS:
        yield Finding("warn", name, f"retires on {ends}, in {days} days ({who})", "life", do)
    else:
        yield Finding("ok", name, f"retires on {ends} ({who})", "life")


def call(bound: Bound, made: Called) -> Finding:
    """What came of one real call."""
    name = bound.target.name
    if made.error is not None:
        do = {
            "gone": "check `model` (on Azure the deployment's name, in its own case) and base_url",
            "auth_failed": "check the key, and that it may use this model",
        }.get(made.error.kind)
        return Finding("fail", name, f"a call failed: {_said(made.error)}", "call", do)
    who = f" by {redact(made.model)}" if made.model else ""
    return Finding("ok", name, f"a call was answered in {made.took_s:.1f} s{who}", "call")


def _said(error: HopError | None) -> str:
    return "no answer" if error is None else redact(error.message)
