"""What Anthropic's dialect has beside its messages: a version, token counts, a list of models."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from .. import asking
from ..compose import Router
from .callers import chosen, usable
from .exchange import Exchange
from .names import Names
from .wire.failure import Refusal, refuse
from .wire.messages import VERSIONS, read_count

_NEVER = "1970-01-01T00:00:00Z"
"""What Anthropic's shape has for a day that is not known."""
_MOST = 1000


def check_version(exchange: Exchange) -> None:
    """Hold `anthropic-version` to those whose shapes are spoken. Raises: Refusal."""
    version = exchange.headers.get(b"anthropic-version")
    if version is not None and version not in VERSIONS:
        raise refuse(
            400,
            f"anthropic-version has to be {b' or '.join(VERSIONS).decode()}",
            "unsupported_value",
            param="anthropic-version",
        )


async def count(exchange: Exchange, body: bytes, router: Router, names: Names) -> None:
    """`POST /v1/messages/count_tokens`: the tokens of a prompt, exact or not at all.

    They are counted by the tokenizer of the model on this device; `x-firsthop-counted-by` names its
    target. What another target would make of the same text nobody here knows.

    Raises: Refusal, and ConfigError for what is no conversation.
    """
    check_version(exchange)
    model, turns = read_count(body)
    choice = await chosen(exchange.caller, model, names)
    device = router.senses.device
    if device is None or choice.target not in (None, device.live.target.name):
        whose = "no target is on this device" if device is None else f"{model!r} is not"
        raise refuse(
            404,
            f"tokens are counted by the model on this device, and {whose}",
            "not_available",
            param="model",
        )
    messages = asking.messages(turns)
    if any(message.images for message in messages):
        raise refuse(
            400,
            "messages: pictures can't be counted: each target has its own way",
            "unsupported_value",
            param="messages",
        )
    tokens = await device.count(messages)
    if not tokens:  # a worker that can't count says 0, which no prompt has
        raise refuse(
            503,
            "the device's tokenizer is not loaded; the first request that needs it loads it",
            "not_available",
        )
    by = device.live.target.name.encode("ascii", "replace")
    said = msgspec.json.encode({"input_tokens": tokens})
    await exchange.whole(200, said, [(b"x-firsthop-counted-by", by)])


async def models(exchange: Exchange, names: Names) -> None:
    """`GET /v1/models`, page by page where that is asked for. Raises: Refusal."""
    check_version(exchange)
    listed = await usable(exchange.caller, names)
    page, more = _page(exchange.query, listed)
    said = {
        "data": [_model(name) for name in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
    await exchange.whole(200, msgspec.json.encode(said))


async def model(exchange: Exchange, names: Names, name: str) -> None:
    """`GET /v1/models/{name}`. Raises: Refusal, 404."""
    check_version(exchange)
    await chosen(exchange.caller, name, names)
    await exchange.whole(200, msgspec.json.encode(_model(name)))


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _NEVER,
        "lifecycle": "active",
        "capabilities": None,
        "max_input_tokens": None,
        "max_tokens": None,
    }


def _page(query: bytes, listed: list[str]) -> tuple[list[str], bool]:
    """The names that are asked for, and whether there are more that way."""
    asked = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
    after, before = asked.pop("after_id", None), asked.pop("before_id", None)
    size = asked.pop("limit", str(_MOST))
    if asked:
        raise _wrong(next(iter(asked)), "is no parameter of this list")
    if not size.isdecimal() or not 1 <= int(size[:5]) <= _MOST:
        raise _wrong("limit", f"has to be from 1 to {_MOST}")
    if after is not None and before is not None:
        raise _wrong("before_id", "can't be given beside after_id")
    for field, name in (("after_id", after), ("before_id", before)):
        if name is not None and name not in listed:
            raise _wrong(field, f"no model is called {name!r}")
    if before is not None:
        found = listed[: listed.index(before)]
        return found[-int(size) :], len(found) > int(size)
    found = listed if after is None else listed[listed.index(after) + 1 :]
    return found[: int(size)], len(found) > int(size)


def _wrong(field: str, why: str) -> Refusal:
    return refuse(400, f"{field}: {why}", "invalid_value", param=field)
