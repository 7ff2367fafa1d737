"""What a refused or broken chat-completions call means: status, headers and body to a `HopError`.

Services word their errors in many shapes; all that are known of are read here:
``{"error": {"message", "type", "code", "innererror"}}`` (OpenAI, Azure, vLLM),
``{"error": "text"}`` (Ollama), ``{"detail": ...}`` (FastAPI), ``{"title", "status", "detail"}``
(RFC 7807, NVIDIA), the inner object alone, and ``{"statusCode", "message"}`` (API gateways).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import (
    AuthFailed,
    BadWire,
    Filtered,
    Gone,
    HopError,
    Incapable,
    RateLimited,
    Refused,
    TimedOut,
    Unavailable,
)
from .retry_after import retry_after

_LONGEST_MESSAGE = 300

_FILTERED = {"content_filter", "responsibleaipolicyviolation", "content_policy_violation"}
_INCAPABLE = {"context_length_exceeded", "unsupported_parameter", "unsupported_value"}
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"}
_SAYS_LACKS = {400, 404, 422, 500, 501}
_TOO_LONG = re.compile(r"maximum context length|context length exceeded|context window", re.I)
_LACKS = re.compile(
    r"\b(tools?|tool choice|function calling|images?|image_url|response_format|json_\w+)\b"
    r".{0,60}?\b(not supported|only supported|requires --)"
    r"|(not|n't|no endpoints found that) support "
    r"(tools?|function calling|images?|vision|json|response_format)\b"
    r"|is not a multimodal model|at most 0 image",
    re.I,
)
_PER_DAY = re.compile(r"by ?day\b|per day|\bdaily\b|\b[RT]PD\b|per 86400 ?s", re.I)
_CATEGORIES = {"hate", "self_harm", "sexual", "violence", "jailbreak", "indirect_attack",
               "profanity", "protected_material_code", "protected_material_text",
               "custom_blocklists", "custom_topics", "personally_identifiable_information",
               "task_adherence", "ungrounded_material"}  # fmt: skip
_STATUS = re.compile(r"[45][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error body says.

    Attributes:
        message: Its text, shortened; empty when it has none.
        code: Its own code, as sent.
        words: Every code and type in it, lower case, inner ones included.
        status: The HTTP status written in the body; None: none is.
        categories: What a content filter says it stopped it for.
    """

    message: str
    code: str | None
    words: frozenset[str]
    status: int | None
    categories: tuple[str, ...] = ()

    @property
    def filtered(self) -> bool:
        """Whether it is a content filter's."""
        return bool(self.words & _FILTERED)


def read_fault(payload: object) -> Fault:
    """Read an error body, whatever its shape.

    Args:
        payload: Parsed JSON, or the text when it was not JSON.
    """
    if not isinstance(payload, Mapping):
        return Fault(_short(payload), None, frozenset(), None)
    error = payload.get("error", payload)
    if not isinstance(error, Mapping):
        # {"error": "text"} and {"error": "code", "message": "text"}
        return Fault(_short(payload.get("message", error)), None, frozenset(), None)
    inner = error.get("innererror")
    parts = [error, inner] if isinstance(inner, Mapping) else [error]
    words = {str(p[k]).lower() for p in parts for k in ("code", "type") if p.get(k)}
    message = next((error[k] for k in ("message", "detail", "title") if error.get(k)), "")
    numbers = [str(error.get(k)) for k in ("status", "statusCode", "code")]
    status = next((int(n) for n in numbers if _STATUS.fullmatch(n)), None)
    code = error.get("code") or error.get("type")
    results = (p.get(k) for p in parts for k in ("content_filter_result", "content_filter_results"))
    return Fault(
        _short(message),
        str(code) if code else None,
        frozenset(words),
        status,
        tuple(sorted({name for result in results for name in stopped_for(result)})),
    )


def stopped_for(results: object) -> set[str]:
    """The categories that stopped it, of a content filter's verdicts by category.

    They are shown and kept where no text is, so one that isn't known, which may be anything, is
    called ``other``.
    """
    if not isinstance(results, Mapping):
        return set()
    return {
        name if name in _CATEGORIES else "other"
        for name, found in results.items()
        if isinstance(found, Mapping) and found.get("filtered") is True
    }


def read_payload(body: bytes, headers: Mapping[str, str]) -> object:
    """The body as JSON where it is, else as text; an HTML page is only named."""
    text = body.decode("utf-8", "replace").strip()
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    if "html" in headers.get("content-type", "") or text[:1] == "<":
        return "an HTML page, so perhaps not from the model's server but from one before it"
    return text


def http_error(status: int, headers: Mapping[str, str], body: bytes, *, wall_s: float) -> HopError:
    """The error that an answer with another status than 200 stands for.

    Args:
        status: HTTP status.
        headers: Names in lower case.
        body: What came of the body; may be cut short.
        wall_s: Seconds since 1970, to measure a date against when the answer carries none.
    """
    if 300 <= status < 400:
        return _redirect(status, headers)
    fault = read_fault(read_payload(body, headers))
    said = f"HTTP {status}" + (f": {fault.message}" if fault.message else "")
    retry_after_s = retry_after(headers, fault.message, wall_s)
    error = _by_status(_of_model(status, headers), fault, said, headers)
    error.status = status
    error.code = fault.code or headers.get("x-ms-error-code")
    error.retry_after_s = retry_after_s
    return error


def stream_error(payload: object) -> HopError:
    """The error that an error object inside a stream that began well stands for."""
    fault = read_fault(payload)
    said = "failed in the middle of its answer" + (f": {fault.message}" if fault.message else "")
    words = fault.words
    status = fault.status
    if status is None:
        if any("rate_limit" in w or "ratelimit" in w for w in words) or words & _NO_MONEY:
            status = 429
        elif any("invalid_request" in w for w in words) or words & (_FILTERED | _INCAPABLE):
            status = 400
        elif any("authentication" in w or "permission" in w for w in words):
            status = 401
        elif any("timeout" in w for w in words):
            status = 408
        else:
            status = 500
    error = _by_status(status, fault, said, {})
    error.code = fault.code
    error.retry_after_s = retry_after({}, fault.message, 0.0)
    return error


def _of_model(status: int, headers: Mapping[str, str]) -> int:
    """An Azure endpoint says 424 for whatever its model's container said, and that in a header."""
    if status != 424:
        return status
    told = headers.get("ms-azureml-model-error-statuscode", "")
    return int(told) if _STATUS.fullmatch(told) else 503


def _by_status(status: int, fault: Fault, said: str, headers: Mapping[str, str]) -> HopError:
    if status in _SAYS_LACKS and not fault.filtered and _LACKS.search(fault.message):
        return Incapable(said)
    match status:
        case 401 | 403:
            return AuthFailed(said)
        case 404 | 410:
            return Gone(said)
        case 408:
            return TimedOut(said)
        case 413:
            return Incapable(said)
        case 402 | 429:
            return _limited(status, fault, said, headers)
        case 407:
            return Unavailable(f"{said}; the proxy wants credentials", retryable=False)
        case 202:
            return Unavailable(  # it was taken: sent again, it would be paid for again
                f"{said}; the answer is still pending, and this wire can't wait for it",
                retryable=False,
            )
        case 409 | 425:
            return Unavailable(said)
        case 405:
            return Refused(f"{said}; is the path in base_url right?")
    if status >= 500:
        return Unavailable(said)
    if status < 400:
        return BadWire(f"{said}; expected 200")
    if fault.filtered:
        of = f" ({', '.join(fault.categories)})" if fault.categories else ""
        return Filtered(said + of, categories=fault.categories)
    if fault.words & _INCAPABLE or _TOO_LONG.search(fault.message):
        return Incapable(said)
    return Refused(said)


def _limited(status: int, fault: Fault, said: str, headers: Mapping[str, str]) -> HopError:
    """Short limits pass; a day's limit and an empty purse don't within a request's life."""
    if status == 402 or fault.words & _NO_MONEY:
        return RateLimited(f"{said}; the account has no quota left", retryable=False)
    told = " ".join((*fault.words, fault.message, headers.get("x-ratelimit-type", "")))
    if _PER_DAY.search(told):
        return RateLimited(f"{said}; the limit is per day", retryable=False)
    return RateLimited(said)


def _redirect(status: int, headers: Mapping[str, str]) -> HopError:
    try:
        to = urlsplit(headers.get("location", ""))
        where = f"{to.scheme}://{to.hostname}{to.path}" if to.hostname else to.path or "nowhere"
    except ValueError:
        where = "an address that can't be read"
    return Refused(
        f"HTTP {status}: it redirects to {where}, which was not followed, for the key may go to no "
        "other address; if that one is right, put it into base_url",
        status=status,
    )


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."
