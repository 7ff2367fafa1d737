"""The built wheel, elsewhere: an app with its own `router.py`, and two server workers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi"
PYTHON = os.environ.get("FIRSTHOP_APP_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None,
    reason="needs FIRSTHOP_APP_PYTHON: a Python with the built wheel, fastapi and uvicorn",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, object] = json.load(answer)
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLE, folder)
    port = free_port()
    log = (tmp_path / "server.log").open("w")
    assert PYTHON is not None
    going = subprocess.Popen(
        [PYTHON, "-m", "uvicorn", "app:app", "--workers", "2", "--port", str(port)],
        cwd=folder,
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                get(f"{url}/processes")
                break
            except urllib.error.URLError:
                if time.monotonic() > until or going.poll() is not None:
                    pytest.fail((tmp_path / "server.log").read_text())
                time.sleep(0.2)
        yield url
    finally:
        going.terminate()
        going.wait(30)
        log.close()


def test_two_server_workers_share_one_model_process(server: str) -> None:
    question = urllib.parse.quote("What is the capital of France?")
    answered = get(f"{server}/ask?question={question}")
    assert answered["answered_by"] == "device"
    assert answered["text"]
    assert answered["cost_usd"] == "0"

    seen: dict[object, set[object]] = {}
    until = time.monotonic() + 60
    while len(seen) < 2:
        assert time.monotonic() < until, f"only one server process answered: {seen}"
        get(f"{server}/ask?question={question}")
        processes = get(f"{server}/processes")
        seen.setdefault(processes["server"], set()).add(processes["model"])

    (model,) = set.union(*seen.values())
    assert model not in seen
    assert model is not None
