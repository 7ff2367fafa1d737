"""A value that is quick to make is a frozen dataclass in all else."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field, fields, replace

import pydantic
import pytest

from router.answer import Answer
from router.hops import Attempt, Outcome
from router.policy.explain import PolicyTrace
from router.quick import quick
from router.types import Chunk, Image, Message

OUTCOME = Outcome(
    decision_id="d",
    started_at=1.0,
    policy="p",
    policy_revision="r",
    status="answered",
    answered_by=0,
    hops=(),
    flags=(),
    ttfb_s=None,
    total_s=1.0,
    cost_usd=None,
    trace=PolicyTrace(()),
)


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
        Chunk("Hi")  # type: ignore[misc]


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
    one, other = Chunk(text="Hi"), Chunk(text="Hi")

    assert one == other
    assert hash(one) == hash(other)
    assert one != Chunk(text="Ho")
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


def test_nothing_can_be_derived_from_one_and_that_is_said_at_once() -> None:
    with pytest.raises(TypeError, match="Pair can't be derived from Point: make a class that"):
        type("Pair", (Point,), {})


def test_what_an_app_makes_itself_can_be_derived_from() -> None:
    class Noted(Message):
        note = "mine"

    class Judged(Answer):
        good = True

    assert Noted(role="user", content="Hi").content == "Hi"
    assert Judged("Hi", OUTCOME).text == "Hi"


def test_messages_can_be_read_by_pydantic() -> None:
    told = [{"role": "user", "content": "Hi", "images": [{"url": "https://a.example/b.png"}]}]

    read = pydantic.TypeAdapter(list[Message]).validate_python(told)

    assert read == [
        Message(role="user", content="Hi", images=(Image(url="https://a.example/b.png"),))
    ]
