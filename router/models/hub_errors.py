"""What a failure on the way to a hub means for the person who asked for a model.

In goes an exception of `huggingface_hub` or of the HTTP client below it; out comes a `ModelError`
that names the hub, or the answer to "may the same question succeed soon?".
"""

from __future__ import annotations

from ..errors import ModelError

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


def wire_error() -> type[Exception]:
    """The base of all errors of the HTTP client below `huggingface_hub`.

    That is httpx before 2.0 and httpx2 since; the library's own error has it as its first base.
    """
    from huggingface_hub.errors import HfHubHTTPError

    base: type[Exception] = HfHubHTTPError.__bases__[0]
    return base


def status(exc: Exception) -> int | None:
    """HTTP status behind an error. None: it didn't come to an answer."""
    code = getattr(getattr(exc, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def may_pass(exc: Exception) -> bool:
    """Whether the same question may succeed soon."""
    code = status(exc)
    return _UNTRUSTED not in str(exc) if code is None else code in _PASSING


def refused(model: str, endpoint: str, repo: str, exc: Exception) -> ModelError:
    """For what won't change by asking again."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if _UNTRUSTED in str(exc):
        text = (
            f"{endpoint} shows a certificate this machine doesn't trust. Behind a proxy that opens "
            "TLS, set SSL_CERT_FILE to a PEM file with its authority"
        )
    elif isinstance(exc, RevisionNotFoundError):
        text = f"{endpoint} has {repo}, but not the revision asked for"
    elif isinstance(exc, RepositoryNotFoundError) or status(exc) in (401, 403):
        text = (
            f"{endpoint} shows us no {repo}: it isn't there, or it needs a token (HF_TOKEN), "
            "or the token may not read it"
        )
    else:
        text = f"{endpoint} refused {repo}: {_first_line(exc)}"
    return ModelError(text, model=model)


def unreachable(model: str, endpoint: str, exc: Exception | None) -> ModelError:
    """For a failure that went on for as long as we tried. None: the hub just stopped sending."""
    why = _first_line(exc) if exc is not None else "it sends less than it promised"
    return ModelError(
        f"can't get {model} from {endpoint}: {why}. What came so far is kept; pull again to go on. "
        "Behind a proxy set HTTPS_PROXY; for a mirror set HF_ENDPOINT",
        model=model,
    )


def no_hub(model: str, endpoint: str, why: str) -> ModelError:
    """For an answer in another language than a hub's."""
    return ModelError(
        f"{endpoint} doesn't answer like a Hugging Face hub ({why}). "
        "Check HF_ENDPOINT, and whether this network asks for a login first",
        model=model,
    )


def offline(model: str) -> ModelError:
    """For a machine that was told to stay off the network."""
    return ModelError(
        f"{model} isn't here, and HF_HUB_OFFLINE forbids to fetch it; unset it for this pull",
        model=model,
    )


def _first_line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
