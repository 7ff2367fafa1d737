"""The chat wire on Azure: an `OpenAIWire` with its addresses, tokens and second official client."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from ..clock import Clock
from ..errors import AuthFailed, ConfigError, HopError
from ..redaction import remember
from .abilities import HABITS, habits
from .azure_entra import OPTIONS as ENTRA_OPTIONS
from .azure_entra import Credential, Tokens, find_identity, one_token
from .azure_forms import EXAMPLE, find_form
from .azure_forms import OPTIONS as FORM_OPTIONS
from .base import Dialect, Target
from .check import Check
from .openai_wire import ID_HEADERS, OpenAIWire
from .transport import Reply, Transport


class AzureWire(OpenAIWire):
    """A provider for one Azure target; as its base, but for what is said here.

    Attributes:
        form: Which of Azure's forms it speaks.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        *,
        credential: Credential | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Check what the config says. `credential`: see `azure_ai.build`.

        Raises: ConfigError.
        """
        form = find_form(target, dialect)
        identity = find_identity(target, form.scope, credential)
        spoken = habits(target, form.dialect)
        if identity is not None:
            spoken = replace(spoken, key_env=())  # no key is missing
        super().__init__(
            replace(target, base_url=form.base_url),
            spoken,
            example_url=EXAMPLE,
            id_headers=(*ID_HEADERS, "x-ms-client-request-id"),
            more_options=(*FORM_OPTIONS, *ENTRA_OPTIONS, *HABITS),
            route=form.route,
            clock=clock,
        )
        if identity is not None and not self._safe_for_tokens():
            raise ConfigError(
                "has to begin with https:// for `auth: entra`; else others can read the token",
                field=f"targets.{target.name}.base_url",
            )
        self.form = form
        self._identity = identity
        self._tokens = None if identity is None else Tokens(identity, clock)

    async def check(self) -> Check:
        """Look at its resource's list of models, where its form has one. See `Checkable`."""
        if self.form.list_url is None:
            says = f"Azure's form {self.form.name!r} has no list of models; only a call can tell"
            return Check(retires=self.dialect.retired, says=(says,))
        from .openai_check import check_models

        return await check_models(
            self._target,
            self.dialect,
            self.endpoint,
            clock=self._clock,
            list_url=self.form.list_url,
            sign=None if self._identity is None else self._signed,
            turned_away=self._turned_away(),
        )

    async def _signed(self) -> dict[str, str]:
        """The header with a token of its own, for a look may be on another event loop."""
        from .looking import LOOK_S

        assert self._identity is not None
        token = await one_token(self._identity, LOOK_S, self._clock)
        remember(token)
        return {"authorization": f"Bearer {token}"}

    def _safe_for_tokens(self) -> bool:
        """Whether what is sent there can be read by nobody on the way."""
        return self.endpoint.loopback or self.endpoint.base_url.lower().startswith("https:")

    async def aclose(self) -> None:
        await super().aclose()
        if self._tokens is not None:
            await self._tokens.aclose()

    def _post(
        self, way: Transport, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        if self._tokens is None:
            return way.post(body, headers)
        return self._post_with_token(self._tokens, way, body, headers)

    @asynccontextmanager
    async def _post_with_token(
        self, tokens: Tokens, way: Transport, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        bearer = {"authorization": f"Bearer {await tokens.bearer()}"}
        async with way.post(body, {**headers, **bearer}) as reply:
            yield reply

    def _make_transport(self, tls: ssl.SSLContext) -> Transport:
        if self.form.name == "inference" and self._target.transport == "sdk":
            from .azure_sdk import AzureSdkTransport

            assert self.form.api_version is not None
            return AzureSdkTransport(self.endpoint, tls, self.form.api_version)
        return super()._make_transport(tls)

    def _seal(self, error: HopError) -> None:
        if self._tokens is not None and isinstance(error, AuthFailed) and error.reached:
            if error.status == 401:
                self._tokens.forget()
            error.message += f"; {self._turned_away()}"
        super()._seal(error)

    def _turned_away(self) -> str | None:
        """What to think of when nobody lets us in. None: there is only a key to think of."""
        if self._identity is None:
            return None
        return (
            "the Entra token was turned away: has the identity a role on this resource, such "
            f"as Cognitive Services User, and is {self._identity.scope} its scope (`scope`)?"
        )
