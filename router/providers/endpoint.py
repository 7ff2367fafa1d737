"""The way to one endpoint: its address, the headers that carry the key, proxy and trust.

Both transports take these from here, so that a proxy or a certificate authority that works for one
works for the other. Neither library's own reading of the environment is used: one of them would
also take credentials from a ``.netrc`` file, and they disagree on which variables count.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from ..errors import AuthFailed, ConfigError
from .base import Dialect, Target

CHAT_ROUTE = "/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one target's calls go.

    Attributes:
        base_url: Without a slash at its end.
        host: Host, and port where one is written.
        secure: Whether TLS is spoken with the host or with the proxy.
        proxy: URL of the proxy; None: straight.
        ca_file: PEM file to trust beside the system's authorities.
        connect_timeout_s: Longest a connection may take.
        route: What follows `base_url` in a call; may have a query.
    """

    base_url: str
    host: str
    secure: bool
    proxy: str | None = field(repr=False)
    ca_file: str | None
    connect_timeout_s: float
    route: str = CHAT_ROUTE

    @property
    def chat_url(self) -> str:
        """The chat-completions route."""
        return self.base_url + self.route

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, by its address."""
        host = urlsplit(self.base_url).hostname or ""
        return host == "localhost" or _is_loopback(host)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that connections are made to: the proxy's, where there is one.

        None: it is on this machine, where there is a way with or without a network.
        """
        url = urlsplit(self.proxy or self.base_url)
        host = url.hostname or ""
        if host == "localhost" or _is_loopback(host):
            return None
        return ascii_host(host), url.port or (443 if url.scheme == "https" else 80)

    def tls(self) -> ssl.SSLContext:
        """What to trust. Takes some 40 ms the first time; call it off the event loop.

        Raises: ConfigError when the CA file can't be read any more.
        """
        if self.secure:
            return _trusted(self.ca_file)
        # Never used for a connection; HTTP libraries would load all authorities for nothing.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def find_endpoint(
    target: Target, dialect: Dialect, *, example: str | None = None, route: str = CHAT_ROUTE
) -> Endpoint:
    """Check a target's address and how it is reached.

    Args:
        target: As configured.
        dialect: Gives the address where the target has none.
        example: An address to show when there is none.
        route: Of its calls.

    Raises: ConfigError.
    """
    written = target.base_url or dialect.base_url
    if not written:
        raise ConfigError(
            f"{target.provider} needs an address",
            field=f"targets.{target.name}.base_url",
            hint=f"such as {example}" if example else None,
        )
    where = f"targets.{target.name}.base_url"
    url = _checked(written, where)
    if url.query or url.fragment:
        raise ConfigError("may not have a query or a fragment", field=where)
    if url.username or url.password:
        raise ConfigError("may not carry credentials; the key has its own field", field=where)
    proxy = target.proxy
    if proxy:
        _checked(proxy, f"targets.{target.name}.proxy")
    elif proxy := _environment_proxy(url):
        _checked(proxy, f"targets.{target.name}.proxy, from the environment")
    if target.ca_file:
        _add_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), target.ca_file)
    return Endpoint(
        base_url=written.rstrip("/"),
        host=url.netloc,
        secure=url.scheme == "https" or bool(proxy and proxy.lower().startswith("https:")),
        proxy=proxy,
        ca_file=target.ca_file,
        connect_timeout_s=target.connect_timeout_s,
        route=route,
    )


def ascii_host(host: str) -> str:
    """A host as the wire and the resolver know it: by IDNA 2008, as httpx, aiohttp and browsers do.

    Python's own codec is of 2003, where straße is strasse, a name that may be somebody else's.

    Raises: UnicodeError: there is no such name.
    """
    if host.isascii():
        host.encode("idna")  # raises for a label that is empty or too long
        return host
    import idna

    return idna.encode(host, uts46=True).decode()


def key_headers(target: Target, dialect: Dialect) -> dict[str, str]:
    """The headers that carry the key; none where there is no key and none is needed.

    A service's own address needs its key. An address of one's own choice may do without, except
    where the service has no address but the customer's.

    Raises: AuthFailed that says which variable to set, or what is wrong with the key.
    """
    key = target.key()
    if not key:
        elsewhere = dialect.base_url is not None and (
            target.base_url is not None
            and urlsplit(target.base_url).hostname != urlsplit(dialect.base_url).hostname
        )
        if dialect.key_env and not elsewhere:
            raise AuthFailed(
                f"there is no key; set {' or '.join(dialect.key_env)} and name it under api_key",
                reached=False,
            )
        return {}
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise AuthFailed(
            "the key holds a space, a line break or a character that a header can't carry; "
            "was something copied along with it?",
            reached=False,
        )
    return {
        name: f"Bearer {key}" if name == "authorization" else key for name in dialect.key_headers
    }


def _checked(written: str, where: str) -> SplitResult:
    """`written` as a URL with a scheme and a host that can be used."""
    url = _split(written)
    if url is None:
        raise ConfigError("is not a URL; in a password %-encode what is no letter", field=where)
    usable = url.scheme in ("http", "https") and bool(url.hostname)
    if not usable or any(c.isspace() for c in written):
        raise ConfigError("has to be a URL that begins with http:// or https://", field=where)
    try:
        ascii_host(url.hostname or "")
    except UnicodeError as exc:
        said = "names a host that can't be looked up; is there an xn-- form of it?"
        raise ConfigError(said, field=where) from exc
    return url


def _split(written: str) -> SplitResult | None:
    """The parts of a URL. None: it is none; what Python says of it may quote a password."""
    try:
        url = urlsplit(written)
        _ = url.port  # raises when it is no number
    except ValueError:
        return None
    return url


def _environment_proxy(url: SplitResult) -> str | None:
    """The proxy that the environment (or the system's settings) names for `url`.

    A loopback address is never sent through it: a proxy can't reach this machine's loopback.
    """
    host = url.hostname or ""
    if host == "localhost" or _is_loopback(host):
        return None
    import urllib.request

    if urllib.request.proxy_bypass(url.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        return f"http://{proxy}"
    return proxy or None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=16)
def _trusted(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, and those of `ca_file`. SSL_CERT_FILE and SSL_CERT_DIR count."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    folder_is_empty = not (paths.capath and os.listdir(paths.capath))
    if not context.get_ca_certs() and paths.cafile is None and folder_is_empty:
        # Some builds of Python, on macOS above all, find no authorities on the machine.
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        _add_authorities(context, ca_file)
    return context


def _add_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(ca_file)
    except OSError as exc:  # ssl.SSLError is one
        raise ConfigError(f"can't be used as a CA file: {exc}", file=ca_file) from exc
