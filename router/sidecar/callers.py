"""Callers by their keys: who is asking, what he may ask for, and what is left of his day.

Comes in: a request's headers, then the request itself. Goes out: the `Caller`, then the request as
his key lets it be: of his tenant, with his label or a more private one, within his dollars. The
file is looked at once a second; a key that was added or revoked holds from then on, and one that
stays keeps its bucket and its purse. Where dollars and rates are counted, `Tallies` says: in this
process, or for all workers of a server.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from ..clock import Clock
from ..drive.purse import Purse, Reservation
from ..errors import ConfigError
from ..hops import Attempt, Outcome
from ..money import EXACT
from ..policy.rules import Policy
from ..types import LABELS, Request
from . import keyfile
from .abreast import part
from .keyfile import Entry
from .names import AUTO, Choice, Names
from .rate import Bucket, rate_of
from .shared import Own, Tallies
from .wire.failure import Refusal, refuse

log = logging.getLogger("firsthop.sidecar")

EVERY_S = 1.0
KEY_TAG = "firsthop_key"
"""The ledger's tag that names the key; it takes the place of a caller's own of that name."""

Open = dict[str, tuple[Purse, Reservation]]
_Marks = tuple[int, int, int] | None


class Caller:
    """One key that holds, and what it has used.

    Attributes:
        entry: What the file says of it.
        purse: Its dollars of today.
    """

    __slots__ = ("_bucket", "_open", "entry", "purse")

    def __init__(self, entry: Entry, tallies: Tallies, open_: Open, before: Caller | None) -> None:
        """`before`: the same key as it was until now; what it has used goes on."""
        rate = None if entry.rate is None else rate_of(entry.rate)
        self.entry = entry
        self.purse: Purse = tallies.purse(entry.digest) if before is None else before.purse
        self._open = open_
        kept = None if before is None else before._bucket
        if rate is None:
            self._bucket: Bucket | None = None
        else:
            same = kept is not None and kept.rate == rate
            self._bucket = kept if same else tallies.bucket(entry.digest, rate)

    def let(self) -> None:
        """Count a request for work. Raises: Refusal, 429; or 403, when the key only observes."""
        if self.entry.observer:
            raise _not_permitted(f"key {self.entry.name!r} observes, and may not ask")
        self.count()

    def count(self, times: int = 1, again: int = 0) -> None:
        """Count so many requests against the rate. Raises: Refusal, 429.

        Args:
            again: How many more whoever is refused counts before, when it tries again.
        """
        if self._bucket is None:
            return
        wait_s = self._bucket.take(times)
        if wait_s is not None:
            rate = self._bucket.rate
            raise refuse(
                429,
                f"key {self.entry.name!r} may ask {self.entry.rate}; ask again",
                "key_rate_reached",
                retry_after_s=wait_s + again * rate.period_s / rate.count,
            )

    def count_choices(self, number: int) -> None:
        """Count a request's further choices, after `let`. Raises: Refusal, 429; or 400, when they
        are more than the rate ever lets in at once.
        """
        if self._bucket is not None and number > self._bucket.rate.count:
            raise refuse(
                400,
                f"n: key {self.entry.name!r} may ask {self.entry.rate}, and each choice counts",
                "unsupported_value",
                param="n",
            )
        self.count(number - 1, again=1)

    def observes(self) -> None:
        """Raises: Refusal, 403, unless the key is an observer's."""
        if not self.entry.observer:
            raise _not_permitted(
                f"key {self.entry.name!r} is no observer's; make one: firsthop keys add --observer"
            )

    def permits(self, model: str, names: Names) -> bool:
        """Whether `model` may say this."""
        return not self.entry.policies or self._listed(model, names) or _is_auto(model, names)

    async def chosen(self, model: str, names: Names) -> Choice:
        """What `model` means under this key: ``auto`` is the first of what it may use.

        Raises: Refusal, when the key may not use it, or nothing is called so.
        """
        choice = await names.choose(model)
        allowed = self.entry.policies
        if not allowed or self._listed(model, names):
            return choice
        if _is_auto(model, names):
            return await names.choose(allowed[0])
        raise _not_permitted(
            f"key {self.entry.name!r} may use {', '.join(allowed)}, and nothing else", "model"
        )

    def _listed(self, model: str, names: Names) -> bool:
        choice = names.means(model)
        return choice is not None and any(
            names.means(name) == choice for name in self.entry.policies
        )

    def held_each(
        self, requests: list[Request], choice: Choice, policy: Policy, ids: list[str]
    ) -> list[Request]:
        """As `held`, for the choices of one request: each has an even part of what is left.

        Raises: Refusal, as `held` does.
        """
        day = self.entry.day_usd
        if day is not None:
            left = max(Decimal(0), EXACT.subtract(day, self.purse.spent_usd()))
            most = part(left, len(ids))
            requests = [
                replace(one, cost_usd=most if one.cost_usd is None else min(most, one.cost_usd))
                for one in requests
            ]
        pairs = zip(requests, ids, strict=True)
        return [self.held(one, choice, policy, name) for one, name in pairs]

    def held(self, request: Request, choice: Choice, policy: Policy, decision_id: str) -> Request:
        """The request as this key lets it be; its dollars are set aside until `Callers.settle`.

        Raises: Refusal, when it names a target past what `model` chose, and the key is bound.
        """
        entry = self.entry
        if entry.policies and request.target != choice.target:
            raise _not_permitted(f"key {entry.name!r} may not choose a target")
        tenant = f"{entry.tenant}/{request.tenant}" if request.tenant else entry.tenant
        label = request.label
        if entry.label_floor is not None:
            label = max(label or policy.default_label, entry.label_floor, key=LABELS.index)
        limit = policy.limits.tightened(None, request.cost_usd).cost_usd
        cost, aside = request.cost_usd, limit or Decimal(0)
        if entry.day_usd is None:
            reservation = self.purse.reserve(aside)
        else:
            # With nothing left, what costs nothing is still answered: the device.
            reservation, left = self.purse.set_aside(aside, entry.day_usd)
            cost = left if limit is None else min(limit, left)
        self._open[decision_id] = (self.purse, reservation)
        tags = {**request.tags, KEY_TAG: entry.name}
        return replace(request, tenant=tenant, label=label, cost_usd=cost, tags=tags)


class Callers:
    """Who may ask. `of` is for the event loop, `reload` for any thread.

    Attributes:
        path: The file of keys.
        problem: Why the file as it is now is not in force. None: it is, as far as was looked.
    """

    def __init__(self, path: Path, clock: Clock, tallies: Tallies | None = None) -> None:
        """Read the file.

        Args:
            tallies: Where what keys have used is counted. None: in this process.

        Raises: ConfigError, when it is wrong or has no key.
        """
        self.path = path
        self._tallies: Tallies = Own(clock) if tallies is None else tallies
        self.problem: str | None = None
        self._clock = clock
        self._open: Open = {}
        self._working = threading.Lock()
        self._in_force: tuple[bytes, dict[str, Caller]] = (b"", {})
        self._seen: _Marks = None
        self._due = clock.now() + EVERY_S
        self.reload()
        if not self._in_force[1]:
            raise ConfigError("no key is in it", file=path, hint="firsthop keys add NAME")

    def of(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Whose key a request brings. None: it brings none that holds."""
        now = self._clock.now()
        if now >= self._due:
            self._due = now + EVERY_S
            self._look()
        salt, known = self._in_force
        return known.get(keyfile.digest_of(_key_of(headers), salt))

    def spent(self) -> list[tuple[str, Decimal]]:
        """Dollars of today by key, for those that have a budget."""
        every = self._in_force[1].values()
        return [(c.entry.name, c.purse.spent_usd()) for c in every if c.entry.day_usd is not None]

    def settle(self, outcome: Outcome) -> None:
        """Book what a request cost to the key that asked it, if one did."""
        found = self._open.pop(outcome.decision_id, None)
        if found is not None:
            purse, reservation = found
            purse.settle(reservation, _spent(outcome, reservation.usd))

    def let_go(self, decision_id: str) -> None:
        """A request is over; if it was never booked, it has cost nothing."""
        found = self._open.pop(decision_id, None)
        if found is not None:
            purse, reservation = found
            purse.settle(reservation, Decimal(0))

    def reload(self) -> None:
        """Read the file now. Raises: ConfigError; the keys that held until now still hold."""
        with self._working:
            self._seen = _marks(self.path)
            try:
                found = keyfile.read(self.path)
            except ConfigError as exc:
                self.problem = str(exc)
                raise
            problem: str | None = None
            before, known = self._in_force[1], {}
            for entry in found.keys:
                try:
                    known[entry.digest] = Caller(
                        entry, self._tallies, self._open, before.get(entry.digest)
                    )
                except ConfigError as exc:  # no room: this one stays out, and the rest holds
                    problem = f"key {entry.name!r} does not hold: {exc}"
                    log.error("%s", problem)
            self._in_force = (bytes.fromhex(found.salt), known)
            self.problem = problem

    def _look(self) -> None:
        """Read the file if it has changed; it is small, and is only ever replaced as a whole."""
        if _marks(self.path) == self._seen:
            return
        try:
            self.reload()
        except ConfigError as exc:
            log.error("the keys that held until now still hold: %s", exc)
        else:
            log.info("%s: %d keys hold", self.path, len(self._in_force[1]))


async def chosen(caller: Caller | None, model: str, names: Names) -> Choice:
    """What `model` means to whoever asks. Raises: Refusal."""
    return await (names.choose(model) if caller is None else caller.chosen(model, names))


async def usable(caller: Caller | None, names: Names) -> list[str]:
    """Every name that `model` may have for whoever asks."""
    found = await names.usable()
    return [name for name in found if caller is None or caller.permits(name, names)]


def unknown_key(headers: Mapping[bytes, bytes]) -> Refusal:
    """For a request whose key does not hold."""
    said = "this API key is not known here, or was revoked"
    if not _key_of(headers):
        said = "this server asks for an API key: authorization: Bearer KEY"
    return refuse(401, said, "invalid_api_key", close=True)


def _is_auto(model: str, names: Names) -> bool:
    """Whether it leaves the choice to us: ``auto``, or an alias of it, but no policy's name."""
    return names.means(model) == names.means(AUTO) and model != names.own


def _key_of(headers: Mapping[bytes, bytes]) -> bytes:
    """As OpenAI's clients send it, or Anthropic's. Empty: there is none."""
    said = headers.get(b"authorization")
    if said is None:
        return headers.get(b"x-api-key", b"")
    scheme, _, key = said.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _not_permitted(message: str, param: str | None = None) -> Refusal:
    return refuse(403, message, "not_permitted", param=param)


def _spent(outcome: Outcome, aside: Decimal) -> Decimal:
    """Dollars to count: what is known; where a call's cost is not, its estimate; else all that was
    set aside, as a budget that passes over what nobody knows would be none."""
    if outcome.cost_usd is not None:
        return outcome.cost_usd
    total = Decimal(0)
    for attempt in (a for hop in outcome.hops for a in hop.attempts):
        one = _cost(attempt)
        if one is None:
            return max(total, aside)
        total = EXACT.add(total, one)
    return total


def _cost(attempt: Attempt) -> Decimal | None:
    if attempt.cost_usd is not None or not attempt.reached:
        return attempt.cost_usd or Decimal(0)
    return attempt.estimate_usd


def _marks(path: Path) -> _Marks:
    """What tells one state of the file from the next without reading it. None: it is not there."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
