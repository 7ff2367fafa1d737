"""The public names are what they are said to be."""

from __future__ import annotations

import inspect

import router
from router import errors


def test_public_names_are_sorted_and_there() -> None:
    assert list(router.__all__) == sorted(router.__all__)
    for name in router.__all__:
        assert getattr(router, name).__doc__, name


def test_every_error_is_public_and_drawn_in_the_tree() -> None:
    kinds = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.RouterError)
    ]
    for kind in kinds:
        assert kind.__name__ in router.__all__
        assert kind.__name__ in (errors.__doc__ or "")


def test_every_hop_error_has_a_kind_of_its_own() -> None:
    kinds = [kind.kind for kind in errors.HopError.__subclasses__()]

    assert len(set(kinds)) == len(kinds)
    assert errors.HopError.kind not in kinds


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(router, "Rooter")
