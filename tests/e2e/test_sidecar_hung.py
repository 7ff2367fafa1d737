"""A worker that hangs, not dead, is noticed, ended and replaced; the others answer on."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.sidecar import Sidecar, serving, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one process answers there")

AWAITS = """\
import fcntl, json, os, signal, sys, time

def hang(number, frame):
    while True:
        time.sleep(3600)  # an event loop goes no further than its signals' handlers

def hold(number, frame):
    fcntl.lockf(json.loads(sys.orig_argv[-1])["board"], fcntl.LOCK_EX, 1, 0)
    hang(number, frame)

if "firsthop.sidecar.worker" in sys.orig_argv:
    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGUSR2, hold)
"""


@pytest.fixture(autouse=True)
def hanging_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(AWAITS, encoding="utf-8")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))


def of(server: Sidecar) -> dict[int, int]:
    """Processes of the workers that answer, by number; each new connection may find any."""
    found: dict[int, int] = {}
    for _ in range(12):
        worker = server.call(None, "/healthz").json["worker"]
        found[worker["number"]] = worker["process"]
    return found


def ends(server: Sidecar) -> Counter[str]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(server.call(None, "/metrics").body.decode()):
        for sample in family.samples:
            if sample.name == "firsthop_worker_ends_total":
                found[sample.labels["reason"]] += int(sample.value)
    return found


def all_of(server: Sidecar, count: int) -> dict[int, int]:
    found: dict[int, int] = {}

    def there() -> bool:
        found.update(of(server))
        return len(found) == count

    until(there, 30)
    return found


def test_one_that_is_stopped_and_one_whose_loop_is_blocked_are_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "3", "--hung-after", "5") as server:
        before = all_of(server, 3)
        stopped, blocked, well = (before[number] for number in range(3))
        os.kill(stopped, signal.SIGSTOP)
        os.kill(blocked, signal.SIGUSR1)
        hung = [psutil.Process(stopped), psutil.Process(blocked)]

        assert not psutil.wait_procs(hung, 30)[1]
        until(lambda: ends(server) == {"hung": 2, "died": 0})
        after = all_of(server, 3)
        assert after[2] == well
        assert not {stopped, blocked} & {*after.values()}
        assert server.ask("capital?").status == 200
        said = ended(server)

    for number, process in ((0, stopped), (1, blocked)):
        assert f"worker {number}, process {process}, hangs: its event loop has not come" in said
    # Who was stopped went on and ended in good order; for the other only a kill was left.
    assert f"worker 0, process {stopped}, ended: exit code 0; another is started" in said
    assert f"worker 1, process {blocked}, ended: signal 9, SIGKILL; another is started" in said


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="who has the lock isn't told")
def test_one_that_hangs_with_the_lock_is_ended_and_not_those_that_wait_for_it(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--workers", "2", "--hung-after", "5") as server:
        before = all_of(server, 2)
        os.kill(before[0], signal.SIGUSR2)

        assert not psutil.wait_procs([psutil.Process(before[0])], 30)[1]
        until(lambda: ends(server) == {"hung": 1, "died": 0})
        assert all_of(server, 2)[1] == before[1]
        said = ended(server)

    assert said.count("hangs: ") == 1, said


def ended(server: Sidecar) -> str:
    """End it. Returns: what it said."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    assert server.process.stderr is not None
    return server.process.stderr.read()
