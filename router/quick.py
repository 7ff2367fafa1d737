"""Frozen values that are quick to make: a decorator over `dataclass`.

A frozen dataclass sets each field through `object.__setattr__`, which takes several times as long
as a plain assignment, and a request makes some forty values. Here a value is filled while it is
still of a twin class that takes assignments, and then becomes what it is: in half the time, as
frozen as before. All else is the dataclass's own.

Not for what an app makes or takes in itself: its class can't be derived from, and libraries that
fill a dataclass in by its `__init__`, as pydantic does, can't make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Make values of a dataclass quicker to make.

    Args:
        cls: Frozen and with slots, of no other class, without `__post_init__`. Nothing may be
            derived from it.
    """
    parts = fields(cls)  # type: ignore[arg-type] # a dataclass, as said
    twin = type(cls.__name__, (), {"__slots__": tuple(part.name for part in parts)})
    known: dict[str, Any] = {"_new": object.__new__, "_twin": twin, "_missing": MISSING}
    taken: list[str] = []
    lines = ["self = _new(_twin)"]
    for part in parts:
        name = value = part.name
        if part.kw_only and "*" not in taken:
            taken.append("*")
        if part.default_factory is not MISSING:
            known[f"_{name}"] = part.default_factory
            taken.append(f"{name}=_missing")
            value = f"_{name}() if {name} is _missing else {name}"
        elif part.default is not MISSING:
            known[f"_{name}"] = part.default
            taken.append(f"{name}=_{name}")
        else:
            taken.append(name)
        lines.append(f"self.{name} = {value}")
    lines += ["self.__class__ = cls", "return self"]
    exec(f"def __new__(cls, {', '.join(taken)}):\n  " + "\n  ".join(lines), known)
    known["__new__"].__qualname__ = f"{cls.__qualname__}.__new__"
    cls.__new__ = known["__new__"]  # type: ignore[method-assign]
    del cls.__init__
    cls.__getnewargs_ex__ = _for_copies  # type: ignore[attr-defined]
    cls.__init_subclass__ = classmethod(_refuse)  # type: ignore[assignment]
    return cls


def _refuse(cls: type) -> NoReturn:
    """A value is of its class and no other while it is filled."""
    raise TypeError(
        f"{cls.__name__} can't be derived from {cls.__bases__[0].__name__}: "
        "make a class that holds one instead"
    )


def _for_copies(self: Any) -> tuple[tuple[()], Mapping[str, Any]]:
    """What `copy` and `pickle` make the value anew with."""
    return (), {part.name: getattr(self, part.name) for part in fields(self)}
