"""What an Ollama server says of itself and of a model, as far as a call depends on it."""

from __future__ import annotations

import re

import msgspec

from ..errors import BadWire


class _Shown(msgspec.Struct):
    remote_model: str | None = None
    remote_host: str | None = None


class _Version(msgspec.Struct):
    version: str


_SHOWN = msgspec.json.Decoder(_Shown)
_VERSION = msgspec.json.Decoder(_Version)


def asked_about(model: str) -> bytes:
    """The body of a question to ``/api/show``."""
    return msgspec.json.encode({"model": model})


def where(body: bytes) -> str | None:
    """Where a model runs that isn't on the server itself, by the answer of ``/api/show``.

    None: on the server. Raises: BadWire.
    """
    try:
        shown = _SHOWN.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadWire(f"can't tell where the model runs: {exc}") from exc
    if shown.remote_host or shown.remote_model:
        return shown.remote_host or f"the host of {shown.remote_model}"
    return None


def read_version(body: bytes) -> str:
    """The server's version, by the answer of ``/api/version``. Raises: BadWire."""
    try:
        return _VERSION.decode(body).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadWire(f"can't tell which version of Ollama it is: {exc}") from exc


def version_number(version: str) -> tuple[int, ...]:
    """Its first three numbers; a build of one's own calls itself 0.0.0."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])
