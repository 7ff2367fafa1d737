"""Tokens of Microsoft Entra ID for one scope: fetched once, kept, and renewed before they end.

The credential is asked when the first call comes, and again in the background while the present
token is still good, so that no later call waits for it. It is made by azure-identity (the extra
``azure``), which is imported then, in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from ..clock import Clock, SystemClock
from ..document import nearest
from ..errors import AuthFailed, ConfigError, HopError, TimedOut, Unavailable
from ..redaction import guard_logs, remember
from .base import Target

OPTIONS = ("auth", "client_id", "credential", "scope")
"""The options that are read here."""

RENEW_BEFORE_S = 300.0
LEAST_LEFT_S = 30.0
"""A token with less left than that is not used for another call."""
_AFTER_FAILURE_S = 30.0
_LONGEST_REASON = 400

_CLASSES: Mapping[str, str] = {
    "default": "DefaultAzureCredential",
    "environment": "EnvironmentCredential",
    "managed_identity": "ManagedIdentityCredential",
    "workload_identity": "WorkloadIdentityCredential",
    "azure_cli": "AzureCliCredential",
}
_TRY: Mapping[str, str] = {
    "default": "run `az login`, set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or "
    "give this machine a managed identity",
    "environment": "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    "managed_identity": "give this machine a managed identity; `client_id` names one of several",
    "workload_identity": "look at the pod's service account and its federated credential",
    "azure_cli": "run `az login`",
}


class Token(Protocol):
    """What a credential gives: as azure-core's `AccessToken`."""

    @property
    def token(self) -> str:
        """What goes into the header."""
        ...

    @property
    def expires_on(self) -> int:
        """Seconds since 1970."""
        ...


class Credential(Protocol):
    """Who gives tokens: as azure-core's `AsyncTokenCredential`."""

    async def get_token(self, *scopes: str) -> Token:
        """A token for `scopes`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Which credential to use, and for what.

    Attributes:
        kind: One of azure-identity's, in our words.
        make: Makes it; may import what it needs.
        lent: It gives the same one each time, which is somebody else's.
    """

    kind: str
    scope: str
    make: Callable[[], Credential]
    lent: bool = False


def find_identity(target: Target, scope: str, credential: Credential | None) -> Identity | None:
    """What the options of `target` say of Entra. None: it uses a key.

    Args:
        scope: Of its tokens, unless the options name another.
        credential: To use instead of azure-identity's.

    Raises: ConfigError.
    """
    options = target.options
    auth = options.get("auth", "key")
    if auth not in ("key", "entra"):
        raise _wrong(target, "auth", f"{auth!r} is no way to sign in", nearest(str(auth), _WAYS))
    if auth == "key":
        for word in ("client_id", "credential", "scope"):
            if word in options:
                raise _wrong(target, word, "is for `auth: entra`")
        return None
    if target.api_key:
        raise _wrong(
            target, "auth", "is entra, so no api_key is sent", "take out the one or the other"
        )
    for word in ("client_id", "scope"):
        if word in options and not (isinstance(options[word], str) and options[word]):
            raise _wrong(target, word, "has to be a text")
    kind = options.get("credential", "default")
    if kind not in _CLASSES:
        raise _wrong(
            target, "credential", f"there is no {kind!r}", nearest(str(kind), tuple(_CLASSES))
        )
    client_id = options.get("client_id")
    if client_id and kind not in ("managed_identity", "workload_identity"):
        raise _wrong(target, "client_id", f"says nothing to `credential: {kind}`")
    scope = options.get("scope", scope)
    if credential is not None:
        return Identity(kind, scope, lambda: credential, lent=True)
    if find_spec("azure.identity") is None:
        raise _wrong(target, "auth", "needs azure-identity", "pip install 'firsthop[azure]'")
    return Identity(kind, scope, lambda: _azure_identity(kind, client_id))


class Tokens:
    """The present token of one identity. For one event loop, as the provider it belongs to."""

    def __init__(self, identity: Identity, clock: Clock | None = None) -> None:
        self._identity = identity
        self._clock = clock or SystemClock()
        self._credential: Credential | None = None
        self._token: Token | None = None
        self._renew_at = 0.0
        self._fetching: asyncio.Task[Token] | None = None

    async def bearer(self) -> str:
        """A token that is good for a call now. Waits only when there is none.

        Raises: AuthFailed that says what to try, Unavailable when nobody could be asked.
        """
        now = self._clock.wall()
        token = self._token
        if token is not None and now < token.expires_on - LEAST_LEFT_S:
            if now >= self._renew_at:
                self._renew_at = now + _AFTER_FAILURE_S  # in case this one fails
                self._fetch()
            return token.token
        # Shielded: others wait for the same token, and the next call will want it.
        return (await asyncio.shield(self._fetch())).token

    def forget(self) -> None:
        """The present token was turned away; the next call fetches another."""
        self._token = None

    async def aclose(self, *, leave_credential: bool = False) -> None:
        """Stop what is under way and close the credential. Safe to call twice.

        Args:
            leave_credential: Others go on using it.
        """
        if self._fetching is not None:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError, HopError):
                await self._fetching
        credential, self._credential = self._credential, None
        if credential is not None and not leave_credential:
            await credential.close()

    def _fetch(self) -> asyncio.Task[Token]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetched())
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    def _ended(self, task: asyncio.Task[Token]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; in the background nobody has to be

    async def _fetched(self) -> Token:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        identity = self._identity
        try:
            if self._credential is None:
                self._credential = await asyncio.to_thread(identity.make)
            token = await self._credential.get_token(identity.scope)
        except (ClientAuthenticationError, ValueError) as exc:
            raise AuthFailed(
                f"no Entra token for {identity.scope}; {_TRY[identity.kind]}: {_short(exc)}",
                reached=False,
            ) from exc
        except (AzureError, OSError) as exc:
            raise Unavailable(
                f"nobody could be asked for an Entra token: {_short(exc)}", reached=False
            ) from exc
        remember(token.token)  # before its first call: a 200 may repeat it just as an error may
        guard_logs()  # azure-identity has made its loggers by now
        now = self._clock.wall()
        self._token = token
        self._renew_at = token.expires_on - min(RENEW_BEFORE_S, (token.expires_on - now) / 2)
        return token


_WAYS = ("key", "entra")


def _azure_identity(kind: str, client_id: str | None) -> Credential:
    library = import_module("azure.identity.aio")
    more = {"client_id": client_id} if client_id else {}
    made: Any = getattr(library, _CLASSES[kind])(**more)
    credential: Credential = made
    return credential


async def one_token(identity: Identity, within_s: float, clock: Clock) -> str:
    """A token for this moment alone, on any event loop: nothing is kept, or left open.

    Raises: AuthFailed, Unavailable; TimedOut when there is none within `within_s`.
    """
    tokens = Tokens(identity, clock)
    try:
        async with asyncio.timeout(within_s):
            return await tokens.bearer()
    except TimeoutError as exc:
        raise TimedOut(f"no Entra token within {within_s:g} s", reached=False) from exc
    finally:
        await tokens.aclose(leave_credential=identity.lent)


def _wrong(target: Target, option: str, said: str, hint: str | None = None) -> ConfigError:
    return ConfigError(said, field=f"targets.{target.name}.options.{option}", hint=hint)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."
