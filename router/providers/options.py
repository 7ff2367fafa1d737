"""A target's `options`: which words a provider knows."""

from __future__ import annotations

from collections.abc import Collection

from ..document import nearest
from ..errors import ConfigError
from .base import Target


def check_options(target: Target, known: Collection[str]) -> None:
    """Refuse options this provider doesn't know.

    Raises: ConfigError that names the field and the nearest known word.
    """
    for word in target.options:
        if word not in known:
            raise ConfigError(
                f"{target.provider} has no such option",
                field=f"targets.{target.name}.options.{word}",
                hint=nearest(word, known),
            )


def flag(target: Target, option: str, *, default: bool = False) -> bool:
    """A yes-or-no option; absent means `default`.

    Raises: ConfigError when it is neither true nor false.
    """
    value = target.options.get(option, default)
    if not isinstance(value, bool):
        raise ConfigError(
            f"has to be true or false, not {value!r}",
            field=f"targets.{target.name}.options.{option}",
        )
    return value
