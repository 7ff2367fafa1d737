"""What holds for every test: nothing leaves loopback, no key leaks in, no real home is touched."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.effort import times

hypothesis.settings.register_profile("ours", deadline=None, max_examples=times(100))
hypothesis.settings.load_profile("ours")

KEY_WORDS = ("API_KEY", "_TOKEN", "AZURE_", "NVIDIA_", "OPENAI_")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys must not change what a test sees."""
    for name in list(os.environ):
        if any(word in name for word in KEY_WORDS):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ledgers and configs go to a folder of the test's own; models are shared: they are large."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FIRSTHOP_HOME", str(home))


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anything but this machine fails the test that made it."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host not in ("127.0.0.1", "::1", "localhost"):
                pytest.fail(f"a test tried to reach {host}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed, a skipped test is a failure; one for a live cloud is not."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("FIRSTHOP_NO_SKIP") or reporter is None:
        return
    skipped = [r for r in reporter.stats.get("skipped", []) if "live" not in r.keywords]
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for report in skipped:
            print(f"\nskipped, and nothing may be: {report.nodeid}")
