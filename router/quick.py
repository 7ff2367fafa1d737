"""Frozen values that are quick to make: a decorator over `dataclass`.

A frozen dataclass sets each field through `object.__setattr__`, which takes several times as long
as a plain assignment, and a request makes some forty values. Here a value is filled while it is
still of a twin class that takes assignments, and then becomes what it is: in half the time, as
frozen as before. All else is the dataclass's own.

Not for what an app makes or takes in itself: its class can't be derived from, and libraries that
fill a dataclass in by its `__init__`, as pydantic does, can't make one. Such a class stays as it
is, and who makes many of them here takes `maker` or `copier`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Make values of a dataclass quicker to make.

    Args:
        cls: Frozen and with slots, of no other class, without `__post_init__`. Nothing may be
            derived from it.
    """
    new = _maker(cls, "__new__", "cls")
    new.__qualname__ = f"{cls.__qualname__}.__new__"
    cls.__new__ = new  # type: ignore[method-assign]
    del cls.__init__
    cls.__getnewargs_ex__ = _for_copies  # type: ignore[attr-defined]
    cls.__init_subclass__ = classmethod(_refuse)  # type: ignore[assignment]
    return cls


def maker(cls: Callable[P, T]) -> Callable[P, T]:
    """What makes values of a dataclass with slots, more quickly than a call of the class.

    It takes what that takes: a function, which Python calls without a dict for what is named. The
    class stays as it is.
    """
    made: Callable[P, T] = _maker(cls, "make")
    return made


def copier(cls: type[T], source: type, *given: str) -> Callable[..., T]:
    """What makes a value of a dataclass out of another value, without asking for each field.

    Args:
        cls: What is made: frozen and with slots.
        source: What it is made of; has each field of `cls` but those in `given`.
        given: Fields that are told, in this order, behind the source.
    """
    names = [part.name for part in fields(cls)]  # type: ignore[arg-type] # a dataclass, as said
    lacking = set(names) - set(given) - {part.name for part in fields(source)}
    if lacking:
        raise TypeError(f"{source.__name__} has no {', '.join(sorted(lacking))}")
    values = {name: name if name in given else f"source.{name}" for name in names}
    made: Callable[..., T] = _written("copy", ("source", *given), cls, values, {})
    return made


def _maker(cls: Any, name: str, *first: str) -> Any:
    known: dict[str, Any] = {"_missing": MISSING}
    taken, values = [*first], {}
    for part in fields(cls):
        field = values[part.name] = part.name
        if part.kw_only and "*" not in taken:
            taken.append("*")
        if part.default_factory is not MISSING:
            known[f"_{field}"] = part.default_factory
            taken.append(f"{field}=_missing")
            values[field] = f"_{field}() if {field} is _missing else {field}"
        elif part.default is not MISSING:
            known[f"_{field}"] = part.default
            taken.append(f"{field}=_{field}")
        else:
            taken.append(field)
    return _written(name, taken, cls, values, known)


def _written(
    name: str,
    taken: Iterable[str],
    cls: type,
    values: Mapping[str, str],
    known: dict[str, Any],
) -> Any:
    """A function that fills a twin of the class, and makes it what it is."""
    # Not one of them without the other: Python then takes the slow way for every assignment.
    own = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    twin = type(cls.__name__, cls.__bases__, {**own, "__slots__": vars(cls)["__slots__"]})
    known |= {"_twin": twin, "_cls": cls}
    lines = ["self = _twin()", *(f"self.{n} = {value}" for n, value in values.items())]
    lines += ["self.__class__ = _cls", "return self"]
    exec(f"def {name}({', '.join(taken)}):\n  " + "\n  ".join(lines), known)
    return known[name]


def _refuse(cls: type) -> NoReturn:
    """A value is of its class and no other while it is filled."""
    raise TypeError(
        f"{cls.__name__} can't be derived from {cls.__bases__[0].__name__}: "
        "make a class that holds one instead"
    )


def _for_copies(self: Any) -> tuple[tuple[()], Mapping[str, Any]]:
    """What `copy` and `pickle` make the value anew with."""
    return (), {part.name: getattr(self, part.name) for part in fields(self)}
