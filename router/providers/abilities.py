"""What a target takes beside text: its dialect's word, unless its options say otherwise.

A dialect speaks for a service, but what can be asked is a property of the model behind it, which
nobody can look up. So the config has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args, get_type_hints

from ..document import nearest
from ..errors import ConfigError
from ..types import Ability
from .base import Dialect, JsonFormat, Target
from .options import flag

OPTIONS = ("abilities", "json_formats", "max_image_bytes", "strict_schema")
"""The options that are read here."""


HABITS = ("cap_field", "usage_in_stream")
"""The options of `habits`."""


def habits(target: Target, dialect: Dialect) -> Dialect:
    """`dialect`, as far as the options of `target` say how its server departs from it.

    Raises: ConfigError that names the field and the nearest known word.
    """
    cap_field = target.options.get("cap_field", dialect.cap_field)
    known = get_args(get_type_hints(Dialect)["cap_field"])
    if cap_field not in known:
        raise ConfigError(
            f"{cap_field!r} is no field for the cap on output tokens",
            field=_field(target, "cap_field"),
            hint=nearest(str(cap_field), known),
        )
    return replace(
        dialect,
        cap_field=cap_field,
        usage_in_stream=flag(target, "usage_in_stream", default=dialect.usage_in_stream),
    )


def beside_text(target: Target, dialect: Dialect) -> Dialect:
    """`dialect`, as `target` speaks it.

    Raises: ConfigError that names the field and the nearest known word.
    """
    formats = _words(target, "json_formats", get_args(JsonFormat), dialect.json_formats)
    if not formats:
        raise ConfigError(
            "needs at least one; a target that gives no JSON has no `json` among its `abilities`",
            field=_field(target, "json_formats"),
        )
    return replace(
        dialect,
        abilities=frozenset(_words(target, "abilities", get_args(Ability), dialect.abilities)),
        json_formats=frozenset(formats),
        max_image_bytes=_bytes(target, "max_image_bytes", dialect.max_image_bytes),
        strict_schema=flag(target, "strict_schema", default=dialect.strict_schema),
    )


def _words(target: Target, option: str, known: tuple[Any, ...], default: Any) -> Any:
    given = target.options.get(option)
    if given is None:
        return default
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError("has to be a list of words", field=_field(target, option))
    for word in given:
        if word not in known:
            raise ConfigError(
                f"does not know the word {word!r}",
                field=_field(target, option),
                hint=nearest(str(word), known),
            )
    return given


def _bytes(target: Target, option: str, default: int) -> int:
    value = target.options.get(option, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(
            f"has to be a whole number of bytes, not {value!r}", field=_field(target, option)
        )
    return value


def _field(target: Target, option: str) -> str:
    return f"targets.{target.name}.options.{option}"
