"""A look at an Ollama target: is the server there, in which version, and does it have the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..clock import Clock
from ..errors import AuthFailed, HopError
from .base import Target
from .check import Check
from .endpoint import Endpoint, key_headers
from .looking import Look, looking
from .ollama_options import NATIVE, is_cloud
from .openai_check import guarded, met, refused, unreached


async def check_server(target: Target, endpoint: Endpoint, *, here: bool, clock: Clock) -> Check:
    """Ask ``/api/version`` and ``/api/tags``.

    Args:
        here: What is sent to the target is to stay on this machine.
    """
    try:
        headers = key_headers(target, NATIVE)
    except AuthFailed as error:
        return Check(authorised=False, says=(error.message,))
    async with looking(target, endpoint, clock=clock) as look:
        try:
            return await _looked(look, target, endpoint, headers, here=here)
        except HopError as error:
            found = unreached(error, NATIVE, f"{endpoint.base_url}/api/tags")
    start = "" if found.reachable or target.base_url else "; `ollama serve` starts it"
    return replace(found, says=tuple(said + start for said in found.says))


async def _looked(
    look: Look,
    target: Target,
    endpoint: Endpoint,
    headers: Mapping[str, str],
    *,
    here: bool,
) -> Check:
    url = f"{endpoint.base_url}/api/tags"
    listing = await look.get(url, headers)
    if listing.status != 200:
        return refused(listing, NATIVE, look, url)
    entries = _entries(listing.json())
    if entries is None:
        says = (f"what came from {url} is no list of models",)
        return met(Check(reachable=True, says=says), listing, url)
    found = Check(
        reachable=True,
        authorised=await guarded(look, url, NATIVE) if headers else None,
        models=tuple(entries),
        version=await _version(look, endpoint, headers),
    )
    found = met(found, listing, url)
    entry = entries.get(target.model) or entries.get(f"{target.model}:latest")
    if entry is None:
        if is_cloud(target.model):
            return found  # one that was never run from here is in no list
        pull = f"it has no model {target.model!r}; try: ollama pull {target.model}"
        return replace(found, model_exists=False, says=(pull,))
    found = replace(found, model_exists=True)
    host = entry.get("remote_host") or (entry.get("remote_model") and "Ollama's cloud")
    if here and host:
        away = f"{target.model} runs at {host}, not here; if text may leave, say `here: false`"
        return replace(found, ready=False, says=(away,))
    return found


async def _version(look: Look, endpoint: Endpoint, headers: Mapping[str, str]) -> str | None:
    try:
        told = (await look.get(f"{endpoint.base_url}/api/version", headers)).json()
    except HopError:
        return None
    number = told.get("version") if isinstance(told, Mapping) else None
    return f"Ollama {number}" if isinstance(number, str) else None


def _entries(payload: Any) -> Mapping[str, Mapping[str, Any]] | None:
    models = payload.get("models") if isinstance(payload, Mapping) else None
    if not isinstance(models, list):
        return None
    found = (entry for entry in models if isinstance(entry, Mapping))
    named = ((entry.get("name") or entry.get("model"), entry) for entry in found)
    return {name: entry for name, entry in named if isinstance(name, str)}
