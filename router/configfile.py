"""The YAML shape of a config. Lives for one load: it checks, and is dropped."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

VERSION = 1

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_LOOKS_LIKE_A_KEY = re.compile(
    # as services begin theirs; a token of three parts; base64 with its padding; just long
    r"(gh[a-z]|github_pat|gsk|hf|nvapi|pk|r8|rk|sk|xai)[-_][\w-]{16,}|AIza[\w-]{16,}|eyJ[\w.-]{16,}"
    r"|(?=\D*\d)[A-Za-z0-9+/_-]{20,}={1,2}|(?=[A-Za-z]*[0-9])[A-Za-z0-9]{32,}"
)
_NO_FILES_NAME = re.compile(r"(?=\D*\d)[^./\\]{20,}")
_KEY_PLACES = ("env", "file", "keyring")


def variable_name(name: str) -> str:
    """`name`, if it can be an environment variable's. Raises ValueError, also for a key."""
    if not _VARIABLE.fullmatch(name) or _LOOKS_LIKE_A_KEY.fullmatch(name):
        raise ValueError("has to be the name of an environment variable, not its value")
    return name


def _a_path(path: str) -> str:
    if _LOOKS_LIKE_A_KEY.fullmatch(path) or _NO_FILES_NAME.fullmatch(path):
        raise ValueError("has to be the path of a file, not the key; before a path put ./")
    return path


def _no_key(name: str) -> str:
    if _LOOKS_LIKE_A_KEY.fullmatch(name):
        raise ValueError("has to be what the key is kept under, not the key")
    return name


def _one_place(value: Any) -> Any:
    """Where a key lies, in one way. What else stands here may be the key, so it is not quoted."""
    if isinstance(value, dict) and len(value) == 1:
        inside = value.get("keyring", {})
        known = not isinstance(inside, dict) or set(inside) <= {"service", "user"}
        if known and next(iter(value)) in _KEY_PLACES:
            return value
    raise ValueError(
        "has to say where the key lies, never the key itself; "
        "write {env: NAME}, {file: PATH} or {keyring: {service: ..., user: ...}}"
    )


def _this_version(version: int) -> int:
    if version != VERSION:
        raise ValueError(f"{version} is not known to this firsthop, which reads version {VERSION}")
    return version


Text = Annotated[StrictStr, Field(min_length=1)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    # A key written where its variable's name belongs must not show in a traceback.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class FromEnv(_Part):
    """``{env: NAME}``."""

    env: Annotated[StrictStr, AfterValidator(variable_name)]


class KeyringPart(_Part):
    """An entry of the system's keyring."""

    service: Annotated[Text, AfterValidator(_no_key)]
    user: Annotated[Text, AfterValidator(_no_key)]


class KeyPart(_Part):
    """Where a key lies; one of the three."""

    env: Annotated[StrictStr, AfterValidator(variable_name)] | None = None
    file: Annotated[Text, AfterValidator(_a_path)] | None = None
    keyring: KeyringPart | None = None


class TargetPart(_Part):
    """One entry under ``targets``."""

    tier: Text
    provider: Text
    model: Text | FromEnv
    base_url: Text | FromEnv | None = None
    api_key: Annotated[KeyPart, BeforeValidator(_one_place)] | None = None
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
        """Fields that are read from the environment, each with its variable's name; not the key."""
        values = {name: getattr(self, name) for name in ("model", "base_url", "price")}
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
    confidence: Text | None = None
