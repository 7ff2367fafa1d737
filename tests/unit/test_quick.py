"""A value that is quick to make is a frozen dataclass in all else."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field, fields, replace

import pytest

from router.hops import Attempt
from router.quick import quick
from router.types import Message


@quick
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    seen: list[str] = field(default_factory=list, kw_only=True)


def test_it_takes_what_the_dataclass_takes() -> None:
    point = Point(1, seen=["a"])

    assert (point.x, point.y, point.seen) == (1, 2, ["a"])
    assert list(inspect.signature(Point).parameters) == ["x", "y", "seen"]
    with pytest.raises(TypeError, match="x"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="z"):
        Point(1, z=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        Message("user", "Hi")  # type: ignore[misc]


def test_each_gets_a_default_of_its_own() -> None:
    assert Point(1).seen is not Point(1).seen


def test_it_is_frozen_and_has_no_other_fields() -> None:
    point = Point(1)

    assert type(point) is Point
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert not hasattr(point, "__dict__")


def test_equal_fields_make_equal_values() -> None:
    one, other = Message(role="user", content="Hi"), Message(role="user", content="Hi")

    assert one == other
    assert hash(one) == hash(other)
    assert one != Message(role="user", content="Ho")
    assert repr(Point(1)) == "Point(x=1, y=2, seen=[])"


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_are_equal(again: object) -> None:
    assert callable(again)
    attempt = Attempt(attempt_id="a", number=1, started_at=2.0, total_s=0.5)

    assert again(attempt) == attempt
    assert again(attempt) is not attempt


def test_one_field_can_be_replaced() -> None:
    assert replace(Point(1, 3), x=5) == Point(5, 3)
    assert [part.name for part in fields(Point)] == ["x", "y", "seen"]
