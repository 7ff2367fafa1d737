"""The YAML shape of a config. Lives for one load: it checks, and is dropped."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FromEnv(_Part):
    """``{env: NAME}``."""

    env: StrictStr = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class TargetPart(_Part):
    """One entry under ``targets``."""

    tier: StrictStr
    provider: StrictStr
    model: StrictStr | FromEnv
    base_url: StrictStr | FromEnv | None = None
    api_key: FromEnv | None = None
    price: StrictStr | FromEnv | None = None
    transport: Literal["sdk", "lean"] = "sdk"
    optional: StrictBool = False
    attempts: StrictInt = Field(default=2, ge=1, le=10)
    max_output_tokens: StrictInt = Field(default=1024, ge=1)
    timeout_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    connect_timeout_s: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    proxy: StrictStr | None = None
    ca_file: StrictStr | None = None
    options: dict[str, Any] = {}


class LedgerPart(_Part):
    """Where the ledger lies and what it keeps."""

    folder: StrictStr | None = None
    keep_text: StrictBool = False


class NetworkPart(_Part):
    """For every target that doesn't say otherwise."""

    proxy: StrictStr | None = None
    ca_file: StrictStr | None = None


class ConfigFile(_Part):
    """The whole file."""

    version: Literal[1]
    policy: StrictStr
    targets: dict[str, TargetPart] = Field(min_length=1)
    ledger: LedgerPart = LedgerPart()
    network: NetworkPart = NetworkPart()
    prices: StrictStr | None = None
