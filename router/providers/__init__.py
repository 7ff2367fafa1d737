"""Places that can answer, one module each.

A module in this package is a provider when it defines ``build(target) -> Provider``; there is no
table. One that speaks the chat-completions wire also has a ``DIALECT``, and where that
depends on the target a ``dialect_of(target)``.
"""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from ..document import nearest
from ..errors import ConfigError
from .base import Dialect, Provider, Target

__all__ = ["Dialect", "Provider", "Target", "build", "dialect", "dialect_of", "names"]


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """The providers there are, sorted.

    Found by looking into the modules' code without running it, for some import heavy libraries.
    """
    return tuple(
        sorted(info.name for info in pkgutil.iter_modules(__path__) if _defines_build(info))
    )


def dialect(name: str) -> Dialect | None:
    """How the provider `name` speaks the chat-completions wire. None: it doesn't.

    Raises: ConfigError when there is no such provider.
    """
    return cast("Dialect | None", getattr(_module(name), "DIALECT", None))


def dialect_of(target: Target) -> Dialect | None:
    """How `target` in particular is spoken to, where its provider knows several ways.

    Else as `dialect`. Raises: ConfigError when there is no such provider, or the target is wrong.
    """
    its_own = getattr(_module(target.provider, target), "dialect_of", None)
    if its_own is None:
        return dialect(target.provider)
    return cast("Dialect", its_own(target))


def build(target: Target) -> Provider:
    """The provider that `target` names, bound to it. Touches no network.

    Raises: ConfigError when there is no such provider, or when it finds fault with the target.
    """
    return cast("Provider", _module(target.provider, target).build(target))


def _module(name: str, target: Target | None = None) -> Any:
    if name not in names():
        raise ConfigError(
            f"there is no provider {name!r}",
            field=f"targets.{target.name}.provider" if target else None,
            hint=nearest(name, names()),
        )
    return import_module(f".{name}", __name__)


def _defines_build(info: pkgutil.ModuleInfo) -> bool:
    spec = cast("Any", info.module_finder).find_spec(info.name, None)
    code = spec.loader.get_code(spec.name)
    return "build" in code.co_names
