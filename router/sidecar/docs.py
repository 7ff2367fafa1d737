"""`/openapi.json`, and `/docs`: the same as a page that loads nothing from anywhere."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any

import msgspec

from .. import __version__
from .exchange import Exchange, Headers

_HTML = (b"content-type", b"text/html; charset=utf-8")
_ALONE: Headers = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
]
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
    "color-scheme:light dark}code,pre{font:13px ui-monospace,monospace}"
    "pre{overflow:auto;padding:.5em;border:1px solid #8886}h2{margin-top:2em}"
    "td,th{text-align:left;vertical-align:top;padding:.1em 1em .1em 0}"
)


async def document(exchange: Exchange) -> None:
    """`GET /openapi.json`."""
    await exchange.whole(200, _document())


async def page(exchange: Exchange) -> None:
    """`GET /docs`."""
    await exchange.whole(200, _page(), _ALONE, _HTML)


@cache
def _document() -> bytes:
    from .openapi.document import document as made  # nobody else needs it

    return msgspec.json.encode(made(__version__))


@cache
def _page() -> bytes:
    said = msgspec.json.decode(_document())
    info = said["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        "<p>As data: <a href=/openapi.json>/openapi.json</a></p>",
    ]
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    parts.append("<h1>Schemas</h1>")
    for name, schema in said["components"]["schemas"].items():
        parts.append(f"<h2 id={escape(name)}>{escape(name)}</h2>{_shown(schema)}")
    return "\n".join(parts).encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p>{escape(operation['summary'])}</p><table>",
    ]
    parts += [
        _row(p["name"], f"{p['in']}: {p['description']}") for p in operation.get("parameters", ())
    ]
    if "requestBody" in operation:
        parts.append(_row("body", _kinds(operation["requestBody"]["content"])))
    for status, response in operation["responses"].items():
        kinds = _kinds(response["content"])
        parts.append(_row(status, f"{response['description']} {kinds}"))
    return "".join(parts) + "</table>"


def _kinds(content: dict[str, Any]) -> str:
    """What a body is, such as ``ChatCompletion``; other media types by their names."""
    names = [
        media["schema"]["$ref"].rpartition("/")[2] if "$ref" in media["schema"] else kind
        for kind, media in content.items()
    ]
    return ", ".join(names)


def _row(name: str, said: str) -> str:
    return f"<tr><th><code>{escape(name)}</code><td>{escape(said)}"


def _shown(schema: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
    return f"<pre>{escape(text)}</pre>"
