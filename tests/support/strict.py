"""What a client library's own types say of a response: every field known, each of its type."""

from __future__ import annotations

import json
from typing import Any

import pydantic


def strictly(kind: Any, said: Any, *ours: str) -> Any:
    """`said`, without the fields named in `ours`, as the library's type; nothing may be left over.

    The libraries' own models take fields that they don't know, and don't check types at run time.
    """
    kept = {name: value for name, value in said.items() if name not in ours}
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    found = adapter.validate_json(json.dumps(kept), strict=True)
    for at, extra in _extras(found, type(found).__name__):
        assert not extra, f"{at} has {extra}, which its type does not know"
    return found


def _extras(value: Any, at: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(value, pydantic.BaseModel):
        found.append((at, value.model_extra or {}))
        for name in type(value).model_fields:
            found += _extras(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            found += _extras(one, f"{at}[{i}]")
    return found
