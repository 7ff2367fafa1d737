"""One observer that is stuck: it costs what it did not take, and nobody else anything."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from support.booking import START

from router.sidecar import lane
from router.sidecar.after import After, Over, Turned
from router.sidecar.lane import Lane


class Taker:
    traces = False

    def __init__(self, stuck: threading.Event | None = None) -> None:
        self.seen: list[Over | Turned] = []
        self.asked = threading.Event()
        self.closed = 0
        self._stuck = stuck

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        self.asked.set()
        if self._stuck is not None:
            self._stuck.wait()
        self.seen += seen

    def reopen(self) -> None: ...

    def close(self) -> None:
        self.closed += 1


class NoLedger:
    def begin(self, began: object) -> None: ...

    def end(self, *args: object, **more: object) -> None: ...

    def close_request(self, request: object) -> None: ...


def turned(status: int) -> Turned:
    return Turned(at=START, status=status, code="none")


def test_who_is_stuck_loses_the_oldest_and_no_more_is_kept_than_the_most(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lane, "MOST_WAITING", 5)
    go = threading.Event()
    taker = Taker(go)
    one = Lane(taker)
    one.add(turned(0))
    assert taker.asked.wait(10)
    for number in range(1, 13):
        one.add(turned(number))
    go.set()
    one.close()
    one.close()

    assert [t.status for t in taker.seen if isinstance(t, Turned)] == [0, *range(8, 13)]
    assert "7 entries are lost" in caplog.text
    assert taker.closed == 1


def test_one_that_is_stuck_holds_up_neither_the_first_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lane, "END_S", 0.2)
    go = threading.Event()
    free, stuck = Taker(), Taker(go)
    after = After(NoLedger(), [free, stuck])
    after.turned(turned(1))
    assert stuck.asked.wait(10)
    after.turned(turned(2))
    assert after.then(lambda: len(free.seen)) == 2
    after.close()
    go.set()

    assert free.closed == 1
    assert "Taker takes nothing: 1 entries are lost" in caplog.text
