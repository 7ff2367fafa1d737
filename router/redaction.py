"""Secrets of this process, and how text is kept free of them.

Comes in: keys and proxy credentials, as they are read. Goes out: text with ``[secret]`` in their
place. One list for the whole process: a log record doesn't say which target it is about, and a
server may echo in a header what another request sent. It holds the values for as long as the
process lives, so that a key that was rotated away stays hidden too.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import traceback
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

SHORTEST = 8
"""Characters a secret has at least. A shorter one guards nothing, and is part of many words."""

MARK = "[secret]"

_LIBRARIES = ("aiohttp", "azure", "firsthop", "httpcore", "httpcore2", "httpx", "httpx2",
              "keyring", "msal", "openai", "router")  # fmt: skip
# These make their loggers with the first connection; the first answer's headers must not slip by.
_LATE = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
_known: Mapping[re.Pattern[str], tuple[str, ...]] = {}
# By how they begin: tokens of one authority all begin alike, and are looked for at once.
_lock = threading.Lock()


def remember(*secrets: str | None) -> None:
    """Keep these out of errors and logs from now on; None and what is too short are passed over."""
    global _known  # noqa: PLW0603 - the one list, replaced whole so that readers need no lock
    with _lock:
        known = dict(_known)
        for secret in secrets:
            if not secret or len(secret) < SHORTEST:
                continue
            head = re.compile("".join(_any_form(c) for c in secret[:SHORTEST]))
            alike = known.get(head, ())
            if secret not in alike:
                known[head] = (*alike, secret)
        _known = known


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
    """`text` without any secret, nor the beginning of one that was cut off.

    A secret is known too when a URL or JSON carries it with some of its characters escaped.
    """
    found = [
        (at.start(), max(_end(text, at.start(), secret) for secret in alike))
        for head, alike in _known.items()
        for at in head.finditer(text)
    ]
    if not found:
        return text
    kept: list[str] = []
    behind = 0
    for start, end in sorted(found):
        if start >= behind:
            kept += (text[behind:start], MARK)
        behind = max(behind, end)  # a secret may be part of another
    return "".join((*kept, text[behind:]))


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


@lru_cache(maxsize=256)
def _forms(character: str) -> tuple[str, ...]:
    """How a character of a secret is written: itself, %-encoded, and as JSON escapes it."""
    encoded = quote(character, safe="", errors="surrogatepass")
    if encoded == character:  # a letter, a digit or one of -._~
        return (character,)
    escaped = json.dumps(character)[1:-1]
    forms = (character, encoded, encoded.lower(), escaped, f"\\{character}")
    hexed = f"\\u{ord(character):04x}", f"\\u{ord(character):04X}"
    return tuple(dict.fromkeys((*forms, *hexed)))


def _any_form(character: str) -> str:
    """A pattern of all its forms."""
    first, *others = map(re.escape, _forms(character))
    return f"(?:{'|'.join((first, *others))})" if others else first


def _end(text: str, start: int, secret: str) -> int:
    """Where the secret that begins at `start` ends, or breaks off. Each character in any form."""
    ends = {start}
    last = start
    for character in secret:
        ends = {e + len(f) for e in ends for f in _forms(character) if text.startswith(f, e)}
        if not ends:
            break
        last = max(ends)
    return last


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
