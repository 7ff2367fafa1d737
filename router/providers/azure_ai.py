"""Azure AI: chat completions on an Azure resource, in each of the forms that are met.

Status: alive; last looked 2026-11-22. The form to use is OpenAI v1 (``/openai/v1``), where `model`
is the deployment's name. Beside it: versioned deployments, managed online endpoints, and the Azure
AI Inference API, whose ``/models`` route passed its retirement date on 2026-08-26. The address says
which it is, unless `dialect` does; `azure_forms.py` has them all.
"""

from __future__ import annotations

from .azure_entra import Credential
from .azure_forms import find_form
from .azure_wire import AzureWire
from .base import Dialect, Provider, Target

DIALECT = Dialect(
    name="azure_ai",
    key_env=("AZURE_AI_KEY", "AZURE_OPENAI_API_KEY"),
    key_headers=("api-key",),
    cap_field="max_completion_tokens",
    logprobs=True,
    abilities=frozenset({"tools", "json"}),
    lists_models=False,
)


def dialect_of(target: Target) -> Dialect:
    """How the form of Azure that `target` names speaks. Raises: ConfigError."""
    return find_form(target, DIALECT).dialect


def build(target: Target, *, credential: Credential | None = None) -> Provider:
    """A provider for one deployment or endpoint.

    Args:
        credential: Whom to ask for tokens with ``auth: entra``. None: azure-identity, as the
            target's options say.

    Raises: ConfigError.
    """
    return AzureWire(target, DIALECT, credential=credential)
