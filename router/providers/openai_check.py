"""A look at a target by its service's list of models, ``GET /models``.

The list tells that somebody is there, what they think of the key, and whether they have the model;
some lists also say until when, or how long a prompt may be. Shapes that are read:
``{"data": [{"id"}]}`` (OpenAI, vLLM, NIM), and a bare list of ``{"id"}`` or ``{"name"}`` (GitHub).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from ..clock import Clock
from ..document import nearest
from ..errors import AuthFailed, BadWire, HopError
from .base import Dialect, Target
from .check import Check
from .endpoint import Endpoint, key_headers
from .looking import Got, Look, looking
from .openai_errors import http_error

_MOST_WORDS = 2000  # that are compared with a model's name for a hint


async def check_models(
    target: Target,
    dialect: Dialect,
    endpoint: Endpoint,
    *,
    clock: Clock,
    list_url: str | None = None,
    sign: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    turned_away: str | None = None,
) -> Check:
    """Ask for the list, and again without a key if it came: what is shown to all tests no key.

    Args:
        list_url: Where it lies. None: at ``/models`` under the endpoint.
        sign: Gives the headers that show who asks, or raises HopError. None: the target's key.
        turned_away: What to say beside a 401 or 403.
    """
    lacking: HopError | None = None
    signed: Mapping[str, str] = {}
    try:
        signed = await sign() if sign is not None else key_headers(target, dialect)
    except HopError as error:
        lacking = error
    url = list_url or f"{endpoint.base_url}/models"
    async with looking(target, endpoint, clock=clock) as look:
        found = await _listing(look, url, target, dialect, signed)
    if lacking is None:
        if found.authorised is False and turned_away is not None:
            found = replace(found, says=(*found.says, turned_away))
        return found
    more = () if found.authorised is False else found.says  # nobody is let in without one
    authorised = False if isinstance(lacking, AuthFailed) else None
    return replace(found, authorised=authorised, says=(lacking.message, *more))


async def _listing(
    look: Look, url: str, target: Target, dialect: Dialect, signed: Mapping[str, str]
) -> Check:
    try:
        got = await look.get(url, {**dialect.headers, **signed})
    except HopError as error:
        return unreached(error, dialect, url)
    if got.status != 200:
        return refused(got, dialect, look, url)
    found = met(read_list(got, target, dialect), got, url)
    return replace(found, authorised=await guarded(look, url, dialect) if signed else None)


async def guarded(look: Look, url: str, dialect: Dialect) -> bool | None:
    """Whether the list is kept from those without a key. None: it isn't, or can't be told."""
    try:
        bare = await look.get(url, dialect.headers)
    except HopError:
        return None
    return True if bare.status in (401, 403) else None


def unreached(error: HopError, dialect: Dialect, url: str) -> Check:
    """What it means that a GET brought no answer."""
    reachable = isinstance(error, BadWire)
    return Check(url=url, reachable=reachable, retires=dialect.retired, says=(error.message,))


def refused(got: Got, dialect: Dialect, look: Look, url: str) -> Check:
    """What an answer other than a 200 means."""
    error = look.sealed(http_error(got.status, got.headers, got.body, wall_s=got.wall_s))
    found = met(Check(reachable=True, retires=dialect.retired, says=(error.message,)), got, url)
    match got.status:
        case 401 | 403:
            return replace(found, authorised=False)
        case 404 | 405:
            says = f"there is no list of models at {url}; only a call can tell more"
            return replace(found, says=(says,))
        case 410:
            return replace(found, model_exists=False)
    return replace(found, ready=False) if got.status >= 500 else found


def met(found: Check, got: Got, url: str) -> Check:
    """`found`, with what every answer tells: where it came from, how soon, by whose clock."""
    return replace(found, url=url, took_s=got.took_s, clock_ahead_s=got.clock_ahead_s())


def read_list(got: Got, target: Target, dialect: Dialect) -> Check:
    """What a 200 says of `target`, whatever is in it."""
    found = Check(reachable=True, retires=dialect.retired)
    listed = _listed(got.json())
    if listed is None:
        return replace(found, says=("what came is no list of models",))
    found = replace(found, models=tuple(listed))
    entry = listed.get(target.model)
    if entry is None:
        if not dialect.lists_models:
            return found
        near = nearest(target.model, [word for word in listed if len(word) < 100][:_MOST_WORDS])
        says = f"it has no model {target.model!r}" + (f"; {near}" if near else "")
        return replace(found, model_exists=False, says=(says,))
    return replace(
        found,
        # A deployment may be called as a model is, and be missing all the same.
        model_exists=True if dialect.lists_models else None,
        retires=dialect.retired or _end(entry),
        context_limit=_context_limit(entry),
    )


def _listed(payload: Any) -> Mapping[str, Mapping[str, Any]] | None:
    """Entries by every word that may name them. None: this is no list of models."""
    entries = payload.get("data") if isinstance(payload, Mapping) else payload
    if not isinstance(entries, list):
        return None
    named: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            word = entry.get("id")
            # On GitHub's older address an id is a path in a registry, and the name is what counts.
            if not isinstance(word, str) or word.startswith("azureml:"):
                word = entry.get("name")
            if isinstance(word, str):
                named.setdefault(word, entry)
    return named


def _end(entry: Mapping[str, Any]) -> str | None:
    """As OpenAI says it, or else as Azure's versioned list does."""
    ends = entry.get("deprecation")
    return _date(entry.get("shutdown_date")) or (
        _date(ends.get("inference")) if isinstance(ends, Mapping) else None
    )


def _date(told: Any) -> str | None:
    """An ISO date, of one or of seconds since 1970. None: nothing that can be read as a date."""
    try:
        if isinstance(told, str):
            return datetime.date.fromisoformat(told[:10]).isoformat()
        if isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told):
            return datetime.datetime.fromtimestamp(told, datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _context_limit(entry: Mapping[str, Any]) -> int | None:
    """As vLLM and NIM say it."""
    told = entry.get("max_model_len")
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None
