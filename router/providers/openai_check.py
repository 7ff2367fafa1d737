"""A look at a target by its service's list of models, ``GET /models``.

The list tells that somebody is there, what they think of the key, and whether they have the model;
some lists also say until when, or how long a prompt may be. Shapes that are read:
``{"data": [{"id"}]}`` (OpenAI, vLLM, NIM), and a bare list of ``{"id"}`` or ``{"name"}`` (GitHub).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from ..clock import Clock
from ..document import nearest
from ..errors import AuthFailed, BadWire, HopError
from .base import Check, Dialect, Target
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
) -> Check:
    """Ask for the list at `list_url`, ``/models`` under the endpoint if not given."""
    try:
        keyed, lacking = key_headers(target, dialect), None
    except AuthFailed as error:
        keyed, lacking = {}, error.message
    url = list_url or f"{endpoint.base_url}/models"
    async with looking(target, endpoint) as look:
        try:
            got = await look.get(url, {**dialect.headers, **keyed})
        except HopError as error:
            return unreached(error, dialect)
        if got.status == 200:
            found = replace(
                read_list(got, target, dialect),
                authorised=await _guarded(look, url, dialect) if keyed else None,
                clock_ahead_s=_clock_ahead_s(got, clock.wall()),
            )
        else:
            found = refused(got, dialect, look, url, clock.wall())
    if lacking is not None:
        found = replace(found, authorised=False, says=(lacking, *found.says))
    return found


async def _guarded(look: Look, url: str, dialect: Dialect) -> bool | None:
    """Whether the list is kept from those without a key. None: it isn't, or can't be told."""
    try:
        bare = await look.get(url, dialect.headers)
    except HopError:
        return None
    return True if bare.status in (401, 403) else None


def unreached(error: HopError, dialect: Dialect) -> Check:
    """What it means that a GET brought no answer."""
    return Check(
        reachable=isinstance(error, BadWire), retires=dialect.retired, says=(error.message,)
    )


def refused(got: Got, dialect: Dialect, look: Look, url: str, wall_s: float) -> Check:
    """What an answer other than a 200 means."""
    error = look.sealed(http_error(got.status, got.headers, got.body, wall_s=wall_s))
    found = Check(
        reachable=True,
        retires=dialect.retired,
        clock_ahead_s=_clock_ahead_s(got, wall_s),
        says=(error.message,),
    )
    match got.status:
        case 401 | 403:
            return replace(found, authorised=False)
        case 404 | 405:
            says = f"there is no list of models at {url}; only a call can tell more"
            return replace(found, says=(says,))
        case 410:
            return replace(found, model_exists=False)
    return replace(found, ready=False) if got.status >= 500 else found


def read_list(got: Got, target: Target, dialect: Dialect) -> Check:
    """What a 200 says of `target`, whatever is in it."""
    found = Check(reachable=True, retires=dialect.retired)
    listed = _listed(got.json())
    if listed is None:
        return replace(found, says=("what came is no list of models",))
    entry = listed.get(target.model)
    if entry is None:
        if not dialect.lists_models:
            return found
        near = nearest(target.model, [word for word in listed if len(word) < 100][:_MOST_WORDS])
        says = f"it has no model {target.model!r}" + (f"; {near}" if near else "")
        return replace(found, model_exists=False, says=(says,))
    return replace(
        found,
        model_exists=True,
        retires=dialect.retired or _date(entry.get("shutdown_date")),
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


def _clock_ahead_s(got: Got, wall_s: float) -> float | None:
    try:
        return wall_s - parsedate_to_datetime(got.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
