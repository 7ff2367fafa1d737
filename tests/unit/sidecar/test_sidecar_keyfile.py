"""Callers' keys: how they are kept, who is let in, and how often."""

from __future__ import annotations

import json
import os
import stat
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.clock import ManualClock
from router.errors import ConfigError
from router.sidecar import keyfile
from router.sidecar.callers import Callers, unknown_key
from router.sidecar.rate import Bucket, Rate, rate_of
from router.sidecar.wire.failure import Refusal

NOW = 1_780_000_000.0


def made(path: Path, name: str = "web", **rights: Any) -> str:
    return keyfile.add(path, name, now_s=NOW, **rights)


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + key.encode()}


def test_a_key_is_found_by_either_header_and_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    key = made(path)
    callers = Callers(path, ManualClock())

    for headers in (
        bearer(key),
        {b"authorization": b"bearer  " + key.encode()},
        {b"x-api-key": key.encode()},
    ):
        found = callers.of(headers)
        assert found is not None
        assert found.entry.name == "web"
    assert key.removeprefix(keyfile.PREFIX) not in path.read_text()
    assert len(key) >= 43
    assert made(path, "other") != key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Bearer none"},
        {b"x-api-key": b"none"},
        {b"authorization": b"Basic abc", b"x-api-key": b"the right one"},
    ],
)
def test_who_brings_no_key_that_holds_is_nobody(
    tmp_path: Path, headers: dict[bytes, bytes]
) -> None:
    path = tmp_path / "keys.json"
    key = made(path)
    headers = {n: key.encode() if v == b"the right one" else v for n, v in headers.items()}

    assert Callers(path, ManualClock()).of(headers) is None
    failure = unknown_key(headers).failure
    assert (failure.status, failure.code) == (401, "invalid_api_key")
    assert (b"www-authenticate", b"Bearer") in failure.headers


@pytest.mark.skipif(sys.platform == "win32", reason="there is no mode")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made(path)
    made(path, "second")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.new"))
    path.chmod(0o620)
    with pytest.raises(ConfigError, match="chmod 600"):
        keyfile.read(path)


def test_a_name_is_taken_once_and_free_again_when_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = made(path)
    with pytest.raises(ConfigError, match="already"):
        made(path)
    with pytest.raises(ConfigError, match="no key is called 'wab'"):
        keyfile.revoke(path, "wab")
    keyfile.revoke(path, "web")

    second = made(path)
    callers = Callers(path, ManualClock())
    assert callers.of(bearer(first)) is None
    assert callers.of(bearer(second)) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": ""},
        {"tenant": "a/b"},
        {"rate": "60"},
        {"rate": "0/min"},
        {"rate": "1/week"},
        {"rate": "-1/s"},
        {"day_usd": Decimal("-1")},
        {"day_usd": Decimal("NaN")},
    ],
)
def test_a_key_that_makes_no_sense_is_refused_and_not_kept(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigError):
        made(path, **wrong)

    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "salt": "00000000000000000000000000000000", "keys": []}',
        '{"version": 1, "salt": "00", "keys": []}',
        '{"version": 1, "salt": "00000000000000000000000000000000", "keys": [{"name": "a"}]}',
        '{"version": 1, "salt": "00000000000000000000000000000000", "keys": [], "more": 1}',
    ],
)
def test_a_file_that_is_wrong_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match=r"keys\.json"):
        keyfile.read(path)


def test_an_empty_file_of_keys_opens_no_server(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made(path)
    keyfile.revoke(path, "web")

    with pytest.raises(ConfigError, match="no key is in it"):
        Callers(path, ManualClock())
    with pytest.raises(ConfigError, match="there is no key yet"):
        Callers(tmp_path / "nowhere.json", ManualClock())


def test_a_change_holds_from_the_next_look_on_and_a_bad_file_changes_nothing(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "keys.json", ManualClock()
    first = made(path, rate="2/h")
    callers = Callers(path, clock)
    known = callers.of(bearer(first))
    assert known is not None
    known.let()
    second = made(path, "second")

    assert callers.of(bearer(second)) is None  # not looked at yet
    clock.advance(1.0)
    assert callers.of(bearer(second)) is not None
    again = callers.of(bearer(first))
    assert again is not None
    again.let()
    with pytest.raises(Refusal):  # its bucket is the same as before the change
        again.let()

    good = path.read_text()
    path.write_text("{")
    clock.advance(1.0)
    assert callers.of(bearer(second)) is not None
    assert "no file of keys" in (callers.problem or "")
    path.unlink()
    clock.advance(1.0)
    assert callers.of(bearer(second)) is not None
    path.write_text(json.dumps(json.loads(good) | {"keys": []}))
    os.chmod(path, 0o600)
    clock.advance(1.0)
    assert callers.of(bearer(second)) is None
    assert callers.problem is None


@given(
    st.integers(1, 50),
    st.sampled_from([1.0, 60.0, 3600.0]),
    st.lists(st.floats(0, 100), max_size=60),
)
def test_no_bucket_gives_more_than_its_count_and_what_ran_in_since(
    count: int, period_s: float, waits: list[float]
) -> None:
    clock = ManualClock()
    bucket = Bucket(Rate(count, period_s), clock)
    taken, began = 0, clock.now()
    for wait_s in waits:
        clock.advance(wait_s)
        taken += bucket.take() is None
        assert taken <= count + (clock.now() - began) * count / period_s + 1e-6


def test_who_waits_as_long_as_he_was_told_is_served() -> None:
    clock = ManualClock()
    bucket = Bucket(rate_of("3/min"), clock)
    assert [bucket.take() for _ in range(3)] == [None] * 3
    wait_s = bucket.take()

    assert wait_s == pytest.approx(20.0)
    clock.advance(19.0)
    assert bucket.take() == pytest.approx(1.0)
    clock.advance(1.0)
    assert bucket.take() is None
