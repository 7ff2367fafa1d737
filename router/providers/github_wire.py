"""The chat wire as GitHub Models spoke it: two addresses with ids of their own, odd limits.

Its answers told limits in `x-ratelimit-limit-*` and `x-ratelimit-remaining-*` that were not the
ones it kept, so nothing here reads them. Who was over a real one was told by a 429: a limit per
minute passes, one per day does not within a request's life, and the one on calls at once said to
wait 0 seconds, which is no wait to keep; `CONCURRENT_WAIT_S` stands for it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NoReturn
from urllib.parse import urlsplit

from ..clock import Clock
from ..errors import ConfigError, Gone, HopError, RateLimited, Refused
from .base import Dialect, Target
from .check import Check
from .http_call import Answer
from .openai_check import check_models
from .openai_wire import OpenAIWire

HOST = "models.github.ai"
OLDER_HOST = "models.inference.ai.azure.com"
CONCURRENT_WAIT_S = 1.0
"""Our own number: a call of a few hundred tokens takes about as long."""

_ORG = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
_CONCURRENT = re.compile(r"concurrent", re.I)


class GitHubWire(OpenAIWire):
    """A provider for one model of GitHub Models. See `OpenAIWire`."""

    def __init__(self, target: Target, dialect: Dialect, *, clock: Clock | None = None) -> None:
        """Check what the config says about `target`. Raises: ConfigError."""
        target = _for_org(target, dialect)
        _check_id(target, dialect)
        super().__init__(target, dialect, more_options=("org",), clock=clock)

    async def check(self) -> Check:
        """Look into its catalogue of models. See `Checkable`."""
        return await check_models(
            self._target,
            self.dialect,
            self.endpoint,
            clock=self._clock,
            list_url=catalogue_url(self.endpoint.base_url),
        )

    async def _refuse(self, answer: Answer) -> NoReturn:
        try:
            await super()._refuse(answer)
        except RateLimited as error:
            told = f"{answer.headers.get('x-ratelimit-type', '')} {error.message}"
            if not error.retry_after_s and _CONCURRENT.search(told):
                error.retry_after_s = CONCURRENT_WAIT_S
            raise
        except Refused as error:
            if error.code == "unknown_model":
                raise _no_such_model(error) from error
            raise


def catalogue_url(base_url: str) -> str:
    """Where the catalogue lies that belongs to an address of the service."""
    at = re.search(r"(/orgs/[^/]+)?/inference\Z", base_url)
    return f"{base_url[: at.start()]}/catalog/models" if at else f"{base_url}/models"


def _no_such_model(error: HopError) -> Gone:
    return Gone(error.message, status=error.status, code=error.code)


def _for_org(target: Target, dialect: Dialect) -> Target:
    """The target with the address that makes an organisation pay, if one is named."""
    org = target.options.get("org")
    if org is None:
        return target
    field = f"targets.{target.name}.options.org"
    if not isinstance(org, str) or not _ORG.fullmatch(org):
        raise ConfigError("has to be the name of an organisation on GitHub", field=field)
    base_url = (target.base_url or dialect.base_url or "").rstrip("/")
    if not base_url.endswith("/inference") or "/orgs/" in base_url:
        raise ConfigError(
            "goes only with an address that ends with /inference and names no organisation",
            field=field,
            hint=f"{dialect.base_url} is the service's own",
        )
    root = base_url.removesuffix("/inference")
    return replace(target, base_url=f"{root}/orgs/{org}/inference")


def _check_id(target: Target, dialect: Dialect) -> None:
    """Each of the two addresses knew a model by another id. Look-alikes know what they like."""
    host = _host(target.base_url or dialect.base_url or "")
    publisher, slash, name = target.model.partition("/")
    field = f"targets.{target.name}.model"
    if host == HOST and not (publisher and slash and name):
        raise ConfigError(
            f"{HOST} knows models by publisher and name",
            field=field,
            hint=f"such as openai/{target.model}",
        )
    if host == OLDER_HOST and slash:
        raise ConfigError(f"{OLDER_HOST} knows models by name alone", field=field, hint=name)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None  # the address is checked, and complained of, where it is used
