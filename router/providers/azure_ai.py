"""Azure AI: the OpenAI v1 wire on an Azure resource.

Status: alive; last looked 2026-11-22. This is the successor of the Azure AI Inference API (the
``/models`` route), which passed its retirement date on 2026-08-26. `model` is the deployment's
name, case-sensitive. The key goes in the header `api-key`; Azure is said to take it as a bearer as
well, which was not tried, so it is sent once.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError
from .base import Dialect, Provider, Target
from .openai_wire import ID_HEADERS, OpenAIWire

DIALECT = Dialect(
    name="azure_ai",
    key_env=("AZURE_AI_KEY", "AZURE_OPENAI_API_KEY"),
    key_headers=("api-key",),
    cap_field="max_completion_tokens",
    logprobs=True,
    abilities=frozenset({"tools", "json"}),
    lists_models=False,
)

_EXAMPLE = "https://my-resource.openai.azure.com/openai/v1/"


def build(target: Target) -> Provider:
    """A provider for one deployment.

    The portal shows the resource's address without a path; the path is then added.

    Raises: ConfigError.
    """
    base_url = target.base_url
    if base_url:
        if "/deployments/" in base_url or "api-version=" in base_url:
            raise ConfigError(
                "is an address of the older, versioned API",
                field=f"targets.{target.name}.base_url",
                hint=f"write {_EXAMPLE} and put the deployment's name into `model`",
            )
        if "/" not in base_url.partition("://")[2].rstrip("/"):
            target = replace(target, base_url=base_url.rstrip("/") + "/openai/v1")
    return OpenAIWire(
        target,
        DIALECT,
        example_url=_EXAMPLE,
        id_headers=(*ID_HEADERS, "x-ms-client-request-id"),
    )
