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
from router.quick import copier, maker, quick
from router.types import Ask, Chunk, Image, Message

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    name: str
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    size: int = 1
    tags: list[str] = field(default_factory=list)


def test_a_maker_makes_what_the_class_itself_makes() -> None:
    made = maker(Derived)(name="a", size=3)

    assert made == Derived(name="a", size=3)
    assert type(made) is Derived
    assert made.tags is not maker(Derived)(name="a").tags
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.size = 4  # type: ignore[misc]
    with pytest.raises(TypeError, match="name"):
        maker(Derived)(size=3)
    assert Derived(name="b").name == "b"


def test_a_copier_takes_the_fields_of_another_value() -> None:
    given = copier(Derived, Base, "size", "tags")(Base(name="a", seen=("b",)), 7, ["c"])

    assert given == Derived(name="a", seen=("b",), size=7, tags=["c"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.name = "z"  # type: ignore[misc]


def test_a_copier_is_refused_where_a_field_has_no_source() -> None:
    with pytest.raises(TypeError, match="Base has no tags"):
        copier(Derived, Base, "size")


def test_an_ask_for_one_call_is_the_ask_with_its_id_and_time() -> None:
    ask = Ask(attempt_id="", messages=(), max_output_tokens=3, seed=4, stop=("x",), tenant="t")

    assert ask.once("a1", 2.0) == replace(ask, attempt_id="a1", timeout_s=2.0, timed=True)
