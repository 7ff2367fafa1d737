"""What a caller says of a request beside its body: tenant, label, tags, deadline, dollars.

Comes in: `x-firsthop-...` headers, and OpenAI's `metadata`. Goes out: options of `asking`. A header
beats metadata. In `metadata` our words begin with ``firsthop_``; every other one is a tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ...asking import Options
from ...document import nearest
from .failure import Refusal, refuse

PREFIX = b"x-firsthop-"
WORDS = ("tenant", "label", "deadline-s", "cost-usd", "tags", "target")
"""What may follow the prefix."""
MOST_TAGS = 64
MOST_NAME = 256
MOST_VALUE = 2048
"""Bounds of what is said of a request; they are wider than OpenAI's own of `metadata`."""
_METADATA = {"firsthop_" + word.replace("-", "_"): word for word in WORDS if word != "tags"}


def options_of(said: Mapping[str, str], metadata: Mapping[str, str] | None) -> Options:
    """Options as the caller said them; `asking` holds them to type and range.

    Args:
        said: From `headers_of`.

    Raises: Refusal, for a word that is none of ours or a number that is none.
    """
    if not said and not metadata:
        return {}
    words: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key, value in (metadata or {}).items():
        if not key.startswith("firsthop_"):
            tags[key] = value
        elif key in _METADATA:
            words[_METADATA[key]] = value
        else:
            field = f"metadata.{key[:MOST_NAME]}"
            raise refuse(400, f"{field}: {nearest(key, _METADATA)}", "invalid_value", param=field)
    words.update(said)
    tags.update(_tags(words.pop("tags", "")))
    found: dict[str, Any] = {
        word.replace("-", "_"): _number(word, value) if word == "deadline-s" else value
        for word, value in words.items()
    }
    if tags:
        found["tags"] = tags
    return cast(Options, found)


def bounded(options: Options) -> None:
    """Hold what the ledger keeps of a caller's words to a size. Raises: Refusal."""
    tags = options.get("tags") or {}
    if len(tags) > MOST_TAGS:
        raise _too_much("tags", f"are {len(tags)}, and {MOST_TAGS} is the most")
    for name, value in tags.items():
        if len(name) > MOST_NAME or len(value) > MOST_VALUE:
            said = f"a name may have {MOST_NAME} characters, its value {MOST_VALUE}"
            raise _too_much("tags", f"{name[:MOST_NAME]!r} is too long: {said}")
    if len(options.get("tenant") or "") > MOST_NAME:
        raise _too_much("tenant", f"may have {MOST_NAME} characters")


def _too_much(field: str, why: str) -> Refusal:
    return refuse(400, f"{field}: {why}", "invalid_value", param=field)


def headers_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Our headers, without the prefix. Raises: Refusal, for one we don't know or got twice."""
    found: dict[str, str] = {}
    for name, value in headers:
        if not name.startswith(PREFIX):
            continue
        whole = name.decode("ascii", "replace")
        word = whole[len(PREFIX) :]
        if word not in WORDS:
            hint = nearest(word, WORDS)
            raise refuse(400, f"unknown header {whole}: {hint}", "unknown_header", param=whole)
        if word in found:
            raise refuse(400, f"header {whole} was sent twice", "invalid_value", param=whole)
        try:
            found[word] = value.decode()
        except UnicodeDecodeError as exc:
            raise refuse(400, f"header {whole} is not UTF-8", "invalid_value", param=whole) from exc
    return found


def _tags(written: str) -> dict[str, str]:
    """``team=search, env=prod`` as a mapping."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in written.split(","))):
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise refuse(
                400,
                f"x-firsthop-tags: {pair!r} is no tag; write NAME=VALUE, NAME=VALUE",
                "invalid_value",
                param="x-firsthop-tags",
            )
        if name.strip().startswith("firsthop_"):
            raise refuse(
                400,
                f"x-firsthop-tags: {name.strip()!r} begins as our own words do",
                "invalid_value",
                param="x-firsthop-tags",
            )
        found[name.strip()] = value.strip()
    return found


def _number(word: str, written: str) -> float:
    try:
        return float(written)
    except ValueError as exc:
        raise refuse(
            400, f"{word} has to be a number, not {written!r}", "invalid_value", param=word
        ) from exc
