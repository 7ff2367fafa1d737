"""Ask a target's service about itself, without asking the model anything: free, and no prompt.

Comes in: a target and its provider. Goes out: a `Probe`: is it there, does it take the key, does it
know the model, when does it end, what time is it there. One GET of the list of models, over httpx;
a second one without the key, for some services show their list to anybody, and a key that was not
needed was not tested.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..clock import Clock, SystemClock
from ..errors import AuthFailed, BadWire, ConfigError, HopError, TimedOut, Unavailable
from ..redaction import clean, guard_logs, redact
from .base import Dialect, Provider, Target
from .endpoint import Endpoint, find_endpoint, key_headers
from .ollama import Ollama
from .ollama_options import NATIVE
from .openai_errors import http_error
from .openai_wire import OpenAIWire
from .transport import connection_error, no_connection_in, proxy_error

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
LONGEST_LIST = 4_000_000

_DEPLOYMENTS = frozenset({"azure_ai"})
"""Services whose `model` is a deployment's name: their list has models, not deployments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a service says of itself. None: it can't be told without a call.

    Attributes:
        url: What was asked.
        reachable: Something that speaks HTTP answered.
        authorised: It takes the key, or needs none.
        model_exists: It has the target's model.
        models: What it lists.
        ends: The day it means to end the model.
        skew_s: Seconds its clock is ahead of this machine's; to a second, as HTTP dates are.
        took_s: Seconds until its answer.
        error: What went wrong, as a hop to this target would have failed.
    """

    url: str
    reachable: bool
    authorised: bool | None = None
    model_exists: bool | None = None
    models: tuple[str, ...] = ()
    ends: date | None = None
    skew_s: float | None = None
    took_s: float | None = None
    error: HopError | None = None


async def probe(
    target: Target,
    provider: Provider,
    *,
    timeout_s: float = TIMEOUT_S,
    clock: Clock | None = None,
) -> Probe | None:
    """Ask. None: this kind of provider has nobody to ask. Raises nothing but for cancellation."""
    if isinstance(provider, OpenAIWire):
        endpoint, dialect, path = provider.endpoint, provider.dialect, "/models"
    elif isinstance(provider, Ollama):
        endpoint, dialect, path = find_endpoint(target, NATIVE), NATIVE, "/api/tags"
    else:
        return None
    url = endpoint.base_url + path
    try:
        async with asyncio.timeout(timeout_s):
            return await _asked(target, endpoint, dialect, url, clock or SystemClock())
    except TimeoutError:
        failed: HopError = TimedOut(f"no answer within {timeout_s:g} s")
    except HopError as exc:
        failed = exc
    failed.message = redact(failed.message)
    failed.args = (failed.message,)
    failed.__cause__ = failed.__context__ = None  # libraries quote headers in theirs
    return Probe(
        url=url, reachable=failed.reached and not isinstance(failed, TimedOut), error=failed
    )


async def _asked(
    target: Target, endpoint: Endpoint, dialect: Dialect, url: str, clock: Clock
) -> Probe:
    import httpx

    headers = {"user-agent": "firsthop", **dialect.headers, "accept": "application/json"}
    keyed: dict[str, str] = {}
    no_key: AuthFailed | None = None
    try:
        keyed = key_headers(target, dialect)
    except AuthFailed as exc:
        no_key = exc
    try:
        tls = await asyncio.to_thread(endpoint.tls)
    except ConfigError as exc:
        raise Unavailable(str(exc), reached=False) from exc
    async with httpx.AsyncClient(
        proxy=endpoint.proxy,
        verify=tls,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=endpoint.connect_timeout_s),
    ) as client:
        guard_logs()
        sent_at, began = clock.wall(), clock.now()
        status, answer, body = await _get(client, url, {**headers, **keyed}, endpoint)
        took_s = clock.now() - began
        needs_key: bool | None = None
        if status == 200 and keyed:
            with_out, _, _ = await _get(client, url, headers, endpoint)
            needs_key = with_out in (401, 403)
    skew_s = _skew_s(answer, sent_at, took_s)
    there = Probe(url=url, reachable=True, skew_s=skew_s, took_s=took_s)
    return _read(there, target, status, answer, body, needs_key=needs_key, no_key=no_key)


def _read(
    there: Probe,
    target: Target,
    status: int,
    answer: dict[str, str],
    body: bytes,
    *,
    needs_key: bool | None,
    no_key: AuthFailed | None,
) -> Probe:
    """What the answer says."""
    if no_key is not None:
        return replace(there, authorised=False, error=no_key)
    if status != 200:
        error: HopError = http_error(status, answer, body, wall_s=0.0)
        error.message = redact(error.message)
        error.args = (error.message,)
        # A wrong key is one; a path that isn't there (404, 405) says nothing about it.
        authorised = False if isinstance(error, AuthFailed) else None
        return replace(there, authorised=authorised, error=error)
    # Without a key of ours nothing refused us; with one, it counts only where one is needed.
    authorised = True if needs_key is None or needs_key else None
    try:
        listed = _listed(json.loads(body))
    except (ValueError, RecursionError):
        error = BadWire("its list of models is no JSON; is the path in base_url right?")
        return replace(there, authorised=authorised, error=error)
    names = tuple(redact(name) for name in listed)
    found = next((name for name in _spellings(target) if name in listed), None)
    known: bool | None = found is not None
    if target.provider in _DEPLOYMENTS or (not listed and target.provider != "ollama"):
        known = None
    ends = listed[found] if found is not None else None
    return replace(there, authorised=authorised, model_exists=known, models=names, ends=ends)


def _spellings(target: Target) -> tuple[str, ...]:
    """Names under which the list may have the model; Ollama's default tag may be left out."""
    bare = target.provider == "ollama" and ":" not in target.model
    return (target.model, f"{target.model}:latest") if bare else (target.model,)


def _listed(payload: Any) -> dict[str, date | None]:
    """Names of the models, each with the day it ends where that is said.

    OpenAI's has `data` with `id` and maybe `shutdown_date`; Ollama's `models` with `name`.
    """
    entries = payload.get("data", payload.get("models")) if isinstance(payload, dict) else payload
    found: dict[str, date | None] = {}
    for entry in entries if isinstance(entries, list) else ():
        name = entry.get("id") or entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            found[name] = _day(entry.get("shutdown_date"))
    return found


def _day(value: Any) -> date | None:
    """A date as text, or as seconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date()
        text = re.match(r"\d{4}-\d\d-\d\d", value) if isinstance(value, str) else None
        return date.fromisoformat(text[0]) if text else None
    except (ValueError, OverflowError, OSError):
        return None


def _skew_s(headers: dict[str, str], sent_at: float, took_s: float) -> float | None:
    """How far ahead the service's clock is, measured against the middle of the exchange."""
    try:
        then = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    # A date is cut to whole seconds, so half of one is missing on average.
    return then + 0.5 - (sent_at + took_s / 2)


async def _get(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], endpoint: Endpoint
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, and the body. Raises: HopError."""
    import httpx

    host = endpoint.host
    try:
        async with client.stream("GET", url, headers=headers) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LONGEST_LIST:
                    raise BadWire(f"its list of models is longer than {LONGEST_LIST} bytes")
            return response.status_code, dict(clean(dict(response.headers))), bytes(body)
    except httpx.ConnectTimeout as exc:
        raise no_connection_in(endpoint.connect_timeout_s, host) from exc
    except httpx.ProxyError as exc:
        raise proxy_error(exc, host) from exc
    except httpx.HTTPError as exc:
        refused = isinstance(exc, httpx.ConnectError)
        raise connection_error(exc, host, connected=not refused) from exc
