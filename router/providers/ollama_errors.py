"""What a refused or broken Ollama call means: its texts to a `HopError`.

Ollama says ``{"error": "text"}``, before an answer with a status and in the middle of one without.
The text may itself be JSON, the error of the runner behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..errors import AuthFailed, Gone, HopError, Incapable, Refused, Unavailable
from .openai_errors import http_error, read_payload, stream_error

_TOO_LONG = re.compile(
    r"exceeds the context length|exceeds the available context|longer than the context length", re.I
)
_CAN_NOT = re.compile(r"does not support", re.I)
_NO_MODEL = re.compile(r"model\b.*\bnot found", re.I)
_NO_MEMORY = re.compile(r"more system memory|out of memory|unable to allocate", re.I)


def status_error(
    status: int, headers: Mapping[str, str], body: bytes, model: str, *, wall_s: float
) -> HopError:
    """The error that an answer with another status than 200 stands for.

    Args:
        status: HTTP status.
        headers: Names in lower case.
        body: What came of the body; may be cut short.
        model: As asked for.
        wall_s: Seconds since 1970, to measure a date against.
    """
    payload = _opened(read_payload(body, headers))
    if isinstance(payload, dict):
        body = json.dumps(payload).encode()
    return _named(http_error(status, headers, body, wall_s=wall_s), model)


def line_error(error: object, model: str) -> HopError:
    """The error that an error line in an answer that began well stands for."""
    return _named(stream_error(_opened({"error": error})), model)


def _opened(payload: object) -> object:
    """`payload`, or the JSON object that is all of its error text."""
    text = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(text, str) or not text.startswith("{"):
        return payload
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return payload


def _named(error: HopError, model: str) -> HopError:
    """`error`, or the one that its text stands for, with what to try."""
    said = error.message
    found: HopError
    if _TOO_LONG.search(said):
        found = Incapable(f"{said}; raise `num_ctx`, if the model can take more")
    elif isinstance(error, Refused) and _CAN_NOT.search(said):
        found = Incapable(said)
    elif isinstance(error, Gone) and _NO_MODEL.search(said):
        found = Gone(f"{said}; try: ollama pull {model}")
    elif isinstance(error, Unavailable) and _NO_MEMORY.search(said):
        found = Unavailable(f"{said}; a smaller `num_ctx` needs less", retryable=False)
    elif isinstance(error, AuthFailed) and error.status == 401:
        found = AuthFailed(f"{said}; for a cloud model of a local server, try: ollama signin")
    else:
        return error
    found.status, found.code = error.status, error.code
    return found
