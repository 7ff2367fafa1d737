"""How much of an answer is read, and for how long."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import Iterator

import pytest

from router.errors import BadWire, TimedOut, Unavailable
from router.limit import Limit
from router.providers.base import Target
from router.providers.endpoint import Endpoint
from router.providers.http_call import Answer, Caller
from router.providers.transport import ERROR_BODY_BYTES, Reply

PIECE = b"x" * 10_000


class Body:
    """A body of pieces, and then nothing: its end, or silence. Counts what was read."""

    def __init__(self, pieces: int, *, silent: bool = False) -> None:
        self._pieces: Iterator[bytes] = iter([PIECE] * pieces)
        self._silent = silent
        self.reads = 0

    async def read(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece and self._silent:
            await asyncio.Event().wait()
        self.reads += 1
        return piece

    async def aclose(self) -> None:
        """As a pool has it."""

    def answer(self, timeout_s: float = 60.0) -> Answer:
        reply = Reply(status=500, headers={}, read=self.read)
        return Answer(reply, timeout_s, Limit(timeout_s))


def test_of_an_endless_error_only_the_start_is_read() -> None:
    async def main() -> int:
        return len(await body.answer().start())

    body = Body(1000)

    assert asyncio.run(main()) == ERROR_BODY_BYTES
    assert body.reads == 7


def test_an_error_that_falls_silent_is_what_came_of_it_after_a_second() -> None:
    async def main() -> bytes:
        async with asyncio.timeout(5.0):
            return await Body(2, silent=True).answer().start()

    assert asyncio.run(main()) == PIECE * 2


def test_a_body_is_read_whole_or_refused_for_its_size() -> None:
    async def main(most_bytes: int) -> bytes:
        return await Body(3).answer().whole(most_bytes)

    assert asyncio.run(main(30_000)) == PIECE * 3
    with pytest.raises(BadWire, match="longer than 29999 bytes"):
        asyncio.run(main(29_999))


def test_a_read_ends_with_the_calls_time_and_sooner_when_that_was_shortened() -> None:
    async def main(timeout_s: float, shorter_s: float) -> None:
        answer = Body(0, silent=True).answer(timeout_s)
        answer.shorten(shorter_s)
        async with asyncio.timeout(5.0):
            await answer.read()

    with pytest.raises(TimedOut, match=r"within 0\.01 s"):
        asyncio.run(main(0.01, 60.0))
    with pytest.raises(TimedOut):
        asyncio.run(main(60.0, 0.01))


def test_draining_ends_soon_at_the_end_in_silence_and_in_a_flood() -> None:
    async def main(body: Body) -> int:
        async with asyncio.timeout(5.0):
            await body.answer().drain()
        return body.reads

    assert asyncio.run(main(Body(2))) == 3
    assert asyncio.run(main(Body(2, silent=True))) == 2
    assert asyncio.run(main(Body(1000))) < 20


def caller(api_key: str | None) -> Caller[Body]:
    target = Target(name="cloud", tier="x", provider="ollama", model="m", api_key=api_key)
    endpoint = Endpoint(
        base_url="http://127.0.0.1:9",
        host="127.0.0.1:9",
        secure=False,
        proxy="http://me:word9@127.0.0.1:8",
        ca_file=None,
        connect_timeout_s=1.0,
    )

    def make(tls: ssl.SSLContext) -> Body:
        raise AssertionError("nothing is called here")

    return Caller(target, endpoint, make)


@pytest.mark.parametrize("secret", ["a-key-0123456789", "me:word9"])
def test_no_secret_is_in_a_sealed_error(secret: str) -> None:
    error = Unavailable(f"no {secret} here", code=f"bad {secret}")
    error.__cause__ = OSError(f"{secret} was sent")

    caller("a-key-0123456789").seal(error)

    assert secret not in "".join(traceback.format_exception(error)) + repr(error)
    assert str(error) == "cloud: no [secret] here"
    assert error.code == "bad [secret]"


def test_a_key_of_a_few_letters_is_part_of_many_words_and_cuts_none() -> None:
    error = Unavailable("the server is busy", code="busy")

    caller("is").seal(error)

    assert error.message == "the server is busy"
