"""Secrets of this process, and how text is kept free of them.

Comes in: keys and proxy credentials, as they are read. Goes out: text with ``[secret]`` in their
place. One list for the whole process: a log record doesn't say which target it is about, and a
server may echo in a header what another request sent. It holds the values for as long as the
process lives, so that a key that was rotated away stays hidden too.
"""

from __future__ import annotations

import base64
import logging
import threading
import traceback
from collections.abc import Mapping
from urllib.parse import unquote

SHORTEST = 8
"""Characters a secret has at least. A shorter one guards nothing, and is part of many words."""

MARK = "[secret]"

_LIBRARIES = ("aiohttp", "azure", "firsthop", "httpcore", "httpcore2", "httpx", "httpx2",
              "keyring", "openai", "router")  # fmt: skip
# These make their loggers with the first connection; the first answer's headers must not slip by.
_LATE = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
_known: tuple[str, ...] = ()
_lock = threading.Lock()


def remember(*secrets: str | None) -> None:
    """Keep these out of errors and logs from now on; None and what is too short are passed over."""
    global _known  # noqa: PLW0603 - the one list, replaced whole so that readers need no lock
    with _lock:
        new = [s for s in secrets if s and len(s) >= SHORTEST and s not in _known]
        # The longest first: a secret may be part of another.
        _known = tuple(sorted({*_known, *new}, key=len, reverse=True))


def remember_proxy(url: str | None) -> None:
    """The same for the credentials in a proxy's URL, in every form in which they travel."""
    credentials, at, _ = (url or "").partition("://")[2].rpartition("@")
    if not at:
        return
    user, _, password = credentials.partition(":")
    plain = f"{unquote(user)}:{unquote(password)}"
    sent = base64.b64encode(plain.encode()).decode()
    remember(credentials, plain, sent, password, unquote(password))


def redact(text: str) -> str:
    """`text` without any secret, nor the beginning of one that was cut off."""
    for secret in _known:
        head = secret[:SHORTEST]
        at = text.find(head)
        while at >= 0:
            end = at + len(head)
            while end < len(text) and end - at < len(secret) and text[end] == secret[end - at]:
                end += 1
            text = text[:at] + MARK + text[end:]
            at = text.find(head, at + len(MARK))
    return text


def tells(error: BaseException) -> bool:
    """Whether an exception says a secret, in its text or in its `repr`."""
    shown = f"{error}\n{error!r}"
    return redact(shown) != shown


def clean(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers without secrets; the same object when there are none in it."""
    together = "\n".join(headers.values())
    if redact(together) == together:
        return headers
    return {name: redact(value) for name, value in headers.items()}


class _NoSecrets(logging.Filter):
    """Takes secrets out of records: libraries log what a server sent, headers included."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception as exc:  # the log's door: logging itself reports a bad format later
            said = str(exc)
        cleaned = redact(said)
        if cleaned != said:
            record.msg, record.args = cleaned, None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            told = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            if redact(told) != told:
                record.exc_text = redact(told)
                record.exc_info = None
        return True


_FILTER = _NoSecrets()


def guard_logs() -> None:
    """Put the filter on every logger there is of ours and of the libraries that see our keys.

    A filter holds for the records of its own logger and not for those below, so it goes on each;
    loggers that are made later need another call. Cheap, and safe to repeat.
    """
    for name in (*_LIBRARIES, *_LATE, *list(logging.root.manager.loggerDict)):
        if name.partition(".")[0] in _LIBRARIES:
            logger = logging.getLogger(name)
            if _FILTER not in logger.filters:
                logger.addFilter(_FILTER)
