"""The YAML shape of a config. Lives for one load: it checks, and is dropped."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

VERSION = 1

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _a_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("has to be the name of an environment variable, not its value")
    return name


def _this_version(version: int) -> int:
    if version != VERSION:
        raise ValueError(f"{version} is not known to this firsthop, which reads version {VERSION}")
    return version


Text = Annotated[StrictStr, Field(min_length=1)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    # A key written where its variable's name belongs must not show in a traceback.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FromEnv(_Part):
    """``{env: NAME}``."""

    env: Annotated[StrictStr, AfterValidator(_a_variable)]


class TargetPart(_Part):
    """One entry under ``targets``."""

    tier: Text
    provider: Text
    model: Text | FromEnv
    base_url: Text | FromEnv | None = None
    api_key: FromEnv | None = None
    price: Text | FromEnv | None = None
    unknown_price: Literal["refuse", "allow"] = "refuse"
    transport: Literal["sdk", "lean"] = "sdk"
    optional: StrictBool = False
    attempts: StrictInt = Field(default=2, ge=1, le=10)
    max_in_flight: StrictInt | None = Field(default=None, ge=1)
    image_tokens: StrictInt | None = Field(default=None, ge=0, le=1_000_000)
    max_output_tokens: StrictInt = Field(default=1024, ge=1)
    timeout_s: Seconds = 60.0
    connect_timeout_s: Seconds = 5.0
    proxy: Text | None = None
    ca_file: Text | None = None
    options: dict[str, Any] = {}

    def variables(self) -> dict[str, str]:
        """Fields that are read from the environment, each with its variable's name."""
        values = {name: getattr(self, name) for name in ("model", "base_url", "api_key", "price")}
        return {name: value.env for name, value in values.items() if isinstance(value, FromEnv)}


class LedgerPart(_Part):
    """Where the ledger lies and what it keeps."""

    folder: Text | None = None
    keep_text: StrictBool = False


class NetworkPart(_Part):
    """For every target that doesn't say otherwise."""

    proxy: Text | None = None
    ca_file: Text | None = None


class ConfigFile(_Part):
    """The whole file."""

    version: Annotated[StrictInt, AfterValidator(_this_version)]
    policy: Text
    targets: dict[Text, TargetPart] = Field(min_length=1)
    ledger: LedgerPart = LedgerPart()
    network: NetworkPart = NetworkPart()
    prices: Text | None = None
