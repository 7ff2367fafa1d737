"""What `firsthop doctor` finds out about one target: a list of findings, each with what to do.

Comes in: a target, what the catalogue knows of it, and what a look at it found. Goes out:
`Finding`s. No finding ever holds a key: texts are cut before they come here, and places are named
instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from ..catalogue.life import End, Life
from ..catalogue.life import State as LifeState
from ..catalogue.target import TargetFacts
from ..config import Bound
from ..errors import HopError
from ..keys import InFile
from ..providers.base import Dialect, Target
from ..providers.check import Check as Seen
from ..redaction import redact
from .onecall import Called
from .prices import rates

State = Literal["ok", "unknown", "warn", "fail"]
Check = Literal[
    "firsthop", "config", "policy", "ledger", "confidence", "tier", "weights", "accelerator",
    "key", "reachable", "authorised", "model", "ready", "price", "life", "clock", "call",
]  # fmt: skip

_CALL = "to see it: firsthop doctor --call, which asks each cloud for one word"
SKEW_S = 60.0
_LIFE: Mapping[LifeState, State] = {
    "alive": "ok", "ending": "warn", "disputed": "warn", "ended": "fail",
}  # fmt: skip


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
    if signs_in(bound.target):
        says = "signs in with Microsoft Entra ID, and so needs no key"
        yield Finding("ok", name, says, "key")
        return
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


def signs_in(target: Target) -> bool:
    """Whether tokens of an identity go in a key's place."""
    return target.options.get("auth") == "entra"


def service(bound: Bound, seen: Seen, needs: str | None, *, called: bool) -> Iterator[Finding]:
    """Whether it is there, takes the key, has the model and is ready.

    Args:
        needs: As in `key`, which says it; what the service says without one is not told.
        called: It was asked for a word too; what the list doesn't tell, that call does.
    """
    name, url = bound.target.name, seen.url
    says = "; ".join(said for said in seen.says if said != needs)
    if seen.reachable is None:
        if says and not called:
            yield Finding("unknown", name, f"can't be looked at: {says}", "reachable", _CALL)
        return
    if not seen.reachable:
        do = "check base_url, the network and the proxy"
        yield Finding("fail", name, f"not reachable: {says or 'no answer'}", "reachable", do)
        return
    took = "" if seen.took_s is None else f" in {seen.took_s:.2f} s"
    who = f", {seen.version}" if seen.version else ""
    yield Finding("ok", name, f"reachable: {url} answers{took}{who}", "reachable")
    if needs is not None:
        return
    if seen.authorised is False:
        yield _turned_away(bound, says)
        return
    if seen.model_exists is None and seen.ready is None and says:
        do = "is the path in base_url right? not every server has a list; `--call` asks for a word"
        yield Finding("warn", name, f"its list of models: {says}", "model", do)
        return
    yield from _let_in(bound, seen, called=called)
    yield from _model(bound, seen, says, called=called)


def _turned_away(bound: Bound, says: str) -> Finding:
    name, place = bound.target.name, bound.key.place if bound.key else None
    if signs_in(bound.target):
        return Finding("fail", name, f"does not let the identity in: {says}", "authorised")
    do = f"put a key that is valid there into {place or 'the place that `api_key` names'}"
    lets = "does not take the key" if place else "asks for a key"
    return Finding("fail", name, f"{lets}: {says}", "authorised", do)


def _let_in(bound: Bound, seen: Seen, *, called: bool) -> Iterator[Finding]:
    name = bound.target.name
    with_what = "Entra token" if signs_in(bound.target) else "key"
    if seen.authorised:
        yield Finding("ok", name, f"takes the {with_what}", "authorised")
    elif bound.key is None and not signs_in(bound.target):
        yield Finding("ok", name, "shows its list without a key", "authorised")
    elif not called:
        says = f"shows its list to anybody, so whether it takes the {with_what} was not seen"
        yield Finding("unknown", name, says, "authorised", _CALL)


def _model(bound: Bound, seen: Seen, says: str, *, called: bool) -> Iterator[Finding]:
    name, model = bound.target.name, bound.target.model
    if seen.model_exists is False:
        says, _, do = says.partition("; try: ")
        shown = ", ".join(seen.models[:8]) + (" ..." if len(seen.models) > 8 else "")
        named = f"set `model` to one that it lists: {shown}" if shown else "use another model"
        yield Finding("fail", name, says, "model", f"run: {do}" if do else named)
        return
    if seen.model_exists:
        size = f", context {seen.context_limit}" if seen.context_limit else ""
        yield Finding("ok", name, f"has the model {model}{size}", "model")
    elif not called and seen.ready is not False:
        says = f"whether it has {model} can't be told from its list"
        yield Finding("unknown", name, says, "model", _CALL)
    if seen.ready is False:
        yield Finding("fail", name, f"could not answer now: {says}", "ready")


def clock(bound: Bound, seen: Seen) -> Iterator[Finding]:
    """Whether this machine and the service have the same time."""
    ahead = seen.clock_ahead_s
    if ahead is None or abs(ahead) < SKEW_S:
        return
    way = "ahead of" if ahead > 0 else "behind"
    yield Finding(
        "warn",
        bound.target.name,
        f"this machine's clock is {abs(ahead):.0f} s {way} the service's",
        "clock",
        "set the clock by the network (NTP); certificates, tokens and prices by day go by it",
    )


def price(facts: TargetFacts, *, own: bool) -> Iterator[Finding]:
    """Whether its price is known, by whose word, and who says otherwise.

    Args:
        own: The line is of the user's own list, who knows better than any other.
    """
    name, line = facts.target, facts.line
    if line is None:
        do = f"name a line of the price list under `targets.{name}.price`, or give it one"
        yield Finding("warn", name, "no price is known, so its cost stays unknown", "price", do)
        return
    paid = f"free: {line.basis}" if line.basis else f"{rates(line)} per million tokens"
    yield Finding("ok", name, f"price {line.id}: {paid} ({line.source})", "price")
    settle = "look at the bill; a line of your own under `prices:` settles it"
    for says in facts.conflicts_say():
        if own:
            yield Finding("ok", name, says, "price")
        else:
            yield Finding("warn", name, says, "price", settle)


def lives(facts: TargetFacts, dialect: Dialect | None, seen: Seen | None) -> list[Life]:
    """When it ends by everybody's word: the catalogue's, the provider's, the service's own.

    Args:
        dialect: As the provider speaks at this very address, which may end before its other ones.
        seen: What the service says.
    """
    found = list(facts.lives)
    ended = None if dialect is None else dialect.retired
    known = {str(end.on) for life in found for end in life.ends}
    if dialect is not None and ended is not None and ended not in known:
        end = End(on=date.fromisoformat(ended), source="firsthop's own list")
        what = f"what {dialect.name} serves at this address"
        found.append(Life(what=what, ends=(end,), successors=dialect.successors or ""))
    told = None if seen is None else seen.retires
    if told is None or told in known or told == ended:
        return found
    end = End(on=date.fromisoformat(told), source="the service itself")
    what = f"model {facts.model} of "
    for at, life in enumerate(found):
        if life.what.startswith(what):
            in_order = sorted((*life.ends, end), key=lambda one: one.on)
            found[at] = replace(life, ends=tuple(in_order))
            return found
    return [*found, Life(what=f"model {facts.model}", ends=(end,))]


def life(name: str, one: Life, today: date) -> Finding:
    """When it ends: a warning from 60 days before, an error once all its sources' days have come.

    Of different days all are shown; when some have come and others not, it is a warning.
    """
    state = _LIFE[one.state(today)]
    do = f"use {one.successors} instead" if one.successors else "choose its successor"
    says = replace(one, successors="").says(today)
    return Finding(state, name, says, "life", None if state == "ok" else do)


def call(bound: Bound, made: Called) -> Finding:
    """What came of one real call."""
    name = bound.target.name
    if made.error is not None:
        do = {
            "gone": "check `model` (on Azure the deployment's name, in its own case) and base_url",
            "auth_failed": "check that the identity may use this model"
            if signs_in(bound.target)
            else "check the key, and that it may use this model",
        }.get(made.error.kind)
        return Finding("fail", name, f"a call failed: {_said(made.error)}", "call", do)
    who = f" by {redact(made.model)}" if made.model else ""
    return Finding("ok", name, f"a call was answered in {made.took_s:.1f} s{who}", "call")


def _said(error: HopError) -> str:
    return redact(error.message)
