"""Several choices at the same time: what each is asked with, and that they end together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loops import in_loop

from router.errors import RouterError
from router.sidecar import abreast
from router.types import Chunk, Message, Request

Run = AsyncGenerator[Any, None]


def asked(**more: Any) -> Request:
    return Request(messages=(Message(role="user", content="hi"),), **more)


@given(
    st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    st.none() | st.decimals(0, 1000, places=9),
    st.integers(2, 8),
)
def test_seeds_differ_and_dollars_are_shared(
    seed: int | None, cost: Decimal | None, count: int
) -> None:
    ids = [f"d{i}" for i in range(count)]
    found = abreast.requests(asked(seed=seed, cost_usd=cost, tags={"a": "b"}), ids)

    seeds = [one.seed for one in found]
    if seed is None:
        assert set(seeds) == {None}
    else:
        assert len({*seeds}) == count
        assert all(one is not None and one <= 2**63 - 1 for one in seeds)
        assert seeds[0] == seed or seed > 2**63 - 10
    if cost is None:
        assert {one.cost_usd for one in found} == {None}
    else:
        total = sum((one.cost_usd or Decimal(0) for one in found), Decimal(0))
        assert cost - Decimal("1e-8") < total <= cost
    for i, one in enumerate(found):
        assert one.tags == {"a": "b", "firsthop_request": "d0", "firsthop_choice": str(i)}


class Book:
    def __init__(self) -> None:
        self.made = 0
        self.closed: list[str] = []


async def counting(book: Book, name: str, most: int, wait_s: float = 0.0) -> Run:
    try:
        for i in range(most):
            await asyncio.sleep(wait_s)
            book.made += 1
            yield Chunk(text=f"{name}{i}")
    finally:
        book.closed.append(name)


async def failing(book: Book) -> Run:
    await asyncio.sleep(0.01)
    yield Chunk(text="x")
    raise RouterError("no")


@in_loop
async def test_all_of_each_comes_in_its_order() -> None:
    book = Book()
    runs = [counting(book, "a", 30), counting(book, "b", 3), counting(book, "c", 0)]
    found: dict[int, list[str]] = {0: [], 1: [], 2: []}
    async with aclosing(abreast.run(runs)) as items:
        async for index, item in items:
            assert isinstance(item, Chunk)
            found[index].append(item.text)
    assert found == {0: [f"a{i}" for i in range(30)], 1: ["b0", "b1", "b2"], 2: []}
    assert sorted(book.closed) == ["a", "b", "c"]


@in_loop
async def test_nobody_runs_far_ahead_of_a_slow_reader() -> None:
    book = Book()
    async with aclosing(abreast.run([counting(book, n, 10_000) for n in "ab"])) as items:
        await anext(items)
        for _ in range(100):
            await asyncio.sleep(0)
        assert book.made < 30
    assert sorted(book.closed) == ["a", "b"]


@in_loop
async def test_one_that_fails_stops_the_others_before_it_is_told() -> None:
    book = Book()
    async with aclosing(abreast.run([counting(book, "a", 10_000, 0.001), failing(book)])) as items:
        with pytest.raises(RouterError, match="no"):
            async for _ in items:
                pass
        assert book.closed == ["a"]


@in_loop
async def test_a_reader_that_is_cancelled_stops_them_all() -> None:
    book = Book()

    async def read() -> None:
        async with aclosing(abreast.run([counting(book, n, 9, 60) for n in "ab"])) as items:
            async for _ in items:
                pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(book.closed) == ["a", "b"]


@in_loop
async def test_a_second_cancellation_leaves_no_choice_behind() -> None:
    ended: list[int] = []

    async def one(number: int) -> Run:
        try:
            await asyncio.sleep(60)
            yield Chunk(text="never")
        finally:
            await asyncio.sleep(0.1)
            ended.append(number)

    async def work() -> None:
        async with aclosing(abreast.run([one(0), one(1)])) as items:
            async for _ in items:
                pass

    task = asyncio.create_task(work())
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1]
