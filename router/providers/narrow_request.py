"""A request's head as bytes: for one host, and only for it.

Comes in: method, URL, headers, the body's length. Goes out: request line and headers with the blank
line. What a line break in a header would smuggle in is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..errors import Refused
from .endpoint import ascii_host
from .narrow_inflate import OFFERED

_IN_A_TARGET = "/?%:@!$&'()*+,;=~"
_WITH_A_BODY = ("POST", "PUT", "PATCH")
_MOST_LINES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where connections go.

    Attributes:
        host: A name in ASCII, or an address without brackets.
        port: The one written, or the scheme's own.
        secure: Whether TLS is spoken.
    """

    host: str
    port: int
    secure: bool


def origin_of(url: str) -> Origin:
    """The origin of an http or https URL that the config's check let through."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    return Origin(
        host=ascii_host(host),
        port=parts.port or (443 if secure else 80),
        secure=secure,
    )


class Heads:
    """Heads of requests to one origin. The lines that don't change are made once."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._lines: dict[tuple[str, str], str] = {}

    def head(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> bytes:
        """The whole head.

        Args:
            method: In capitals.
            url: Of the origin's.
            headers: All but host, content-length and accept-encoding, which are put in here.
            data: The body. None: there is none.

        Raises: Refused, for a header that would be more than one, and for a URL elsewhere.
        """
        lines = self._lines.get((method, url)) or self._first_lines(method, url)
        told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        count = len(headers)
        if told.count("\r") != count or told.count("\n") != count or "\0" in told:
            raise Refused("a header holds a line break or a zero byte", reached=False)
        if data is not None:
            length = f"content-length: {len(data)}\r\n\r\n"
        else:
            length = "content-length: 0\r\n\r\n" if method in _WITH_A_BODY else "\r\n"
        try:
            return f"{lines}{told}{length}".encode()
        except UnicodeEncodeError as exc:
            raise Refused("a header holds half a character", reached=False) from exc

    def _first_lines(self, method: str, url: str) -> str:
        if origin_of(url) != self._origin:
            raise Refused(f"a call meant for {self._origin.host} names another host", reached=False)
        parts = urlsplit(url)
        target = quote(parts.path or "/", safe=_IN_A_TARGET)
        if parts.query:
            target += "?" + quote(parts.query, safe=_IN_A_TARGET)
        host = self._origin.host
        host = f"[{host}]" if ":" in host else host
        if self._origin.port != (443 if self._origin.secure else 80):
            host += f":{self._origin.port}"
        lines = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: {OFFERED}\r\n"
        if len(self._lines) >= _MOST_LINES:  # addresses with an id in them are many
            self._lines.clear()
        self._lines[method, url] = lines
        return lines
