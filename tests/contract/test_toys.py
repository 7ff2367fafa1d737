"""How little a provider takes: two toys, each one short file, held to what all the rest promise.

`toy_chat` speaks the chat wire and lies where providers are found, so everything in
`test_every_provider.py`, `test_more_than_text.py` and `test_checks.py` holds it too, over both
transports. `toy_lines` has a wire of its own and is held to the same promises here.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract.calls import ASK, KEY, OWN, SHIPPED, Heard, listen, opened, target
from contract.replay import Ending, Recording, Replay

from router import providers
from router.errors import HopError
from router.types import Ask, Tool, Usage

TOYS = Path(__file__).parent / "toys"


def lines(*packets: str | bytes, ending: Ending = "end") -> Recording:
    """An answer of the toy's, a packet each."""
    data = tuple(p.encode() if isinstance(p, str) else p for p in packets)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    return Recording("made here", "", {}, head, data, ending)


def status(line: str, body: str = '{"error": "no"}', *headers: str) -> Recording:
    text = "\r\n".join([f"HTTP/1.1 {line}", *headers, f"Content-Length: {len(body)}", "", ""])
    return Recording("made here", "", {}, text.encode(), (body.encode(),), "end")


PLAIN = lines('["say", "Grü"]\n["say"', ', "ße."]\n["end", 2]\n')


def said(*script: Recording, ask: Ask = ASK, **more: Any) -> tuple[Heard, Replay]:
    async def main() -> tuple[Heard, Replay]:
        async with Replay(list(script)) as replay:
            bound = target("toy_lines", replay.url(""), "lean", **more)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider, ask), replay

    return asyncio.run(main())


def failure(heard: Heard) -> HopError:
    assert heard.error is not None
    return heard.error


@pytest.mark.parametrize("file", sorted(TOYS.glob("*.py")), ids=lambda f: f.stem)
def test_a_toy_is_one_file_of_less_than_sixty_lines_and_found_by_itself(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 60
    assert file.stem in providers.names()
    assert file.stem not in SHIPPED


def test_the_toy_of_the_chat_wire_is_held_to_every_promise_of_that_wire() -> None:
    assert "toy_chat" in OWN


def test_its_answer_comes_as_it_is_said_with_its_end_and_usage() -> None:
    heard, replay = said(PLAIN)

    assert heard.error is None
    assert heard.text == "Grüße."
    assert [chunk.text for chunk in heard.chunks] == ["Grü", "ße.", ""]
    assert (heard.only("finish"), heard.only("usage")) == ("stop", Usage(output_tokens=2))
    assert replay.sent[0].line == "POST /say HTTP/1.1"
    assert replay.sent[0].values("authorization") == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("recording", "kind", "retryable"),
    [
        (lines('["say", "Hel"]\n', ending="cut"), "bad_wire", True),
        (lines('["say", "Hel"]\n'), "bad_wire", True),
        (lines("hello\n"), "bad_wire", True),
        (lines(b'["say", "\xff"]\n'), "bad_wire", True),
        (lines("7\n"), "bad_wire", True),
        (status("400 Bad", '{"error": {"code": "content_filter"}}'), "filtered", False),
        (status("401 No"), "auth_failed", False),
        (status("404 No"), "gone", False),
        (status("410 Gone"), "gone", False),
        (status("408 Slow"), "timed_out", True),
        (status("413 Long"), "incapable", False),
        (status("422 Wrong"), "refused", False),
        (status("429 Wait", "{}", "Retry-After: 7"), "rate_limited", True),
        (status("500 Oh"), "unavailable", True),
        (status("503 Oh"), "unavailable", True),
    ],
)
def test_what_goes_wrong_is_told_in_the_words_all_providers_use(
    recording: Recording, kind: str, retryable: bool
) -> None:
    error = failure(said(recording)[0])

    assert (error.kind, error.retryable, error.target) == (kind, retryable, "cloud")
    assert error.retry_after_s == (7.0 if kind == "rate_limited" else None)


def test_it_keeps_to_its_time() -> None:
    began = time.perf_counter()
    error = failure(said(lines('["say", "a"]\n', ending="stall"), timeout_s=0.3)[0])

    assert error.kind == "timed_out"
    assert time.perf_counter() - began < 1.5


def test_no_time_left_asks_nobody() -> None:
    heard, replay = said(PLAIN, ask=replace(ASK, timeout_s=0.0))

    assert (failure(heard).kind, failure(heard).unbilled) == ("timed_out", True)
    assert replay.sent == []


def test_leaving_stops_the_work_behind_it() -> None:
    async def main() -> float:
        async with Replay([lines('["say", "a"]\n', ending="stall")]) as replay:
            bound = target("toy_lines", replay.url(""), "lean")
            async with opened(providers.build(bound)) as provider:
                reader = asyncio.create_task(listen(provider))
                await asyncio.wait_for(replay.asked.wait(), 5.0)
                left = time.perf_counter()
                reader.cancel()
                await asyncio.wait([reader])
                await asyncio.wait_for(replay.hung_up.wait(), 5.0)
                return time.perf_counter() - left

    assert asyncio.run(main()) < 0.150


def test_what_it_can_not_honour_is_refused_and_nothing_is_sent() -> None:
    for ask in (replace(ASK, tools=(Tool(name="f"),)), replace(ASK, json=True)):
        heard, replay = said(PLAIN, ask=ask)

        assert (failure(heard).kind, failure(heard).unbilled) == ("incapable", True)
        assert replay.sent == []


def test_nobody_there_is_certainly_free() -> None:
    async def main() -> Heard:
        async with Replay([PLAIN]) as replay:
            url = replay.url("")
        async with opened(providers.build(target("toy_lines", url, "lean"))) as provider:
            return await listen(provider)

    error = failure(asyncio.run(main()))

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", True, True)


def test_its_key_goes_nowhere_else_and_into_no_error() -> None:
    async def main() -> tuple[Heard, Replay]:
        async with Replay([PLAIN]) as other:
            moved = status("307 There", "{}", f"Location: {other.url('/say')}")
            async with Replay([moved]) as replay:
                bound = target("toy_lines", replay.url(""), "lean")
                async with opened(providers.build(bound)) as provider:
                    return await listen(provider), other

    heard, other = asyncio.run(main())
    told = failure(said(status("401 No", f'{{"error": "no such key: {KEY}"}}'))[0])
    unset = failure(said(PLAIN, api_key=None)[0])

    assert failure(heard).kind == "refused"
    assert other.connections == 0
    assert KEY not in "".join(traceback.format_exception(told))
    assert "TOY_KEY" in unset.message


def test_after_closing_a_call_fails_as_a_hop_does() -> None:
    async def main() -> Heard:
        provider = providers.build(target("toy_lines", "http://127.0.0.1:9", "lean"))
        await provider.aclose()
        return await listen(provider)

    assert (failure(asyncio.run(main())).kind) == "unavailable"
