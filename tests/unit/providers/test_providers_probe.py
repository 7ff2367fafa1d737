"""The probe: what a list of models tells, and what an answer that is none means."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from contract.replay import Recording, Replay

from router import providers
from router.clock import ManualClock
from router.providers.base import Target
from router.providers.probe import Probe, probe

MODELS = {"data": [{"id": "a-model"}, {"id": "b"}]}


def answer(status: str, body: bytes, *headers: str) -> Recording:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return Recording("made", "", {}, head.encode(), (body,), "end")


def ok(payload: Any, *headers: str) -> Recording:
    return answer("200 OK", json.dumps(payload).encode(), *headers)


def probed(*script: Recording, provider: str = "openai_compatible", **more: Any) -> Probe:
    async def main() -> Probe | None:
        async with Replay(list(script)) as replay:
            fields = {"model": "a-model", "base_url": replay.url(), **more}
            target = Target(name="cloud", tier="t", provider=provider, **fields)
            made = providers.build(target)
            try:
                return await probe(target, made, timeout_s=0.3, clock=ManualClock())
            finally:
                await made.aclose()

    found = asyncio.run(main())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("payload", "exists"),
    [
        (MODELS, True),
        ({"data": [{"id": "A-model"}]}, False),
        ({"data": []}, None),
        ([{"id": "a-model"}], True),
        ({"models": [{"name": "a-model"}]}, True),
        ({"data": [{"id": 5}, "a-model", None]}, None),
        ({"data": "a-model"}, None),
        (7, None),
    ],
)
def test_a_model_is_there_when_the_list_has_it(payload: Any, exists: bool | None) -> None:
    found = probed(ok(payload))

    assert (found.reachable, found.authorised, found.model_exists) == (True, True, exists)


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        ("2027-01-14", date(2027, 1, 14)),
        ("2027-01-14T00:00:00Z", date(2027, 1, 14)),
        (1_799_884_800, date(2027, 1, 14)),
        ("soon", None),
        ("2027-99-99", None),
        (True, None),
        (1e300, None),
    ],
)
def test_the_day_a_service_tells(told: Any, ends: date | None) -> None:
    assert probed(ok({"data": [{"id": "a-model", "shutdown_date": told}]})).ends == ends


def test_the_key_goes_once_with_and_once_without() -> None:
    found = probed(ok(MODELS), answer("401 Unauthorized", b"{}"), api_key="k-0123456789")
    anybody = probed(ok(MODELS), api_key="k-0123456789")

    assert (found.authorised, anybody.authorised) == (True, None)


@pytest.mark.parametrize(
    ("recording", "kind", "reachable"),
    [
        (answer("302 Found", b"", "Location: http://127.0.0.1:9/"), "refused", True),
        (answer("503 No", b"<html>"), "unavailable", True),
        (answer("404 No", b"{}"), "gone", True),
        (answer("200 OK", b"<html>"), "bad_wire", True),
        (answer("200 OK", b"[" * 100_000), "bad_wire", True),
        (answer("200 OK", b"x" * 4_000_001), "bad_wire", True),
        (Recording("x", "", {}, b"", (), "stall"), "timed_out", False),
        (Recording("x", "", {}, b"SSH-2.0\r\n", (), "cut"), "unavailable", True),
    ],
)
def test_an_answer_that_is_no_list(recording: Recording, kind: str, reachable: bool) -> None:
    found = probed(recording)

    assert found.error is not None
    assert (found.error.kind, found.reachable) == (kind, reachable)
    assert found.model_exists is None


def test_nobody_there_is_told_apart(tmp_path: Path) -> None:
    found = probed(ok(MODELS), base_url="http://127.0.0.1:9/v1")

    assert not found.reachable
    assert found.error is not None
    assert "refuses connections" in found.error.message
    assert found.error.__cause__ is None


def test_the_clocks_distance_is_of_the_middle_of_the_exchange() -> None:
    # The clock of the test stands at 1,780,000,000 s: 2026-05-28 20:26:40 UTC.
    found = probed(ok(MODELS, "Date: Thu, 28 May 2026 20:36:40 GMT"))
    without = probed(ok(MODELS, "Date: soon"))

    assert found.skew_s == pytest.approx(600.5)
    assert without.skew_s is None


def test_what_has_no_wire_has_nobody_to_ask() -> None:
    target = Target(
        name="d", tier="t", provider="scripted", model="m", options={"steps": [{"text": "x"}]}
    )

    assert asyncio.run(probe(target, providers.build(target))) is None
