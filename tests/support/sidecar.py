"""A real `firsthop serve` in a process of its own, whose targets play a script."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.ledger.report import Report, RequestDetail

POLICY = """\
policy: plain
summary: Keep what the device is sure of.
tiers: [device, cloud-fast]
guards:
  - id: secrets-stay-home
    when: {request.label: {is: secret}}
    forbid: request
accept:
  - id: sure-enough
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
"""

CONFIG = """\
version: 1
policy: ./plain.yaml
ledger: {folder: ./ledger}
targets:
  device:
    tier: device
    provider: scripted
    attempts: 1
    model: small
    options:
      price: {input_usd_per_1m: "0", output_usd_per_1m: "0"}
      steps:
        - {match: capital, text: The capital of France is Paris., mean_logprob: -0.1}
        - {match: as json, text: '{"name": "Ada", "age": 36}', mean_logprob: -0.1}
        - {match: everybody fails, fail: {kind: unavailable}}
        - {match: everybody is busy, fail: {kind: rate_limited, retry_after_s: 7}}
        - {match: nobody can, fail: {kind: incapable}}
        - {text: a DROPPED draft, mean_logprob: -3.0}
  cloud:
    tier: cloud-fast
    provider: scripted
    attempts: 1
    model: large
    options:
      price: {input_usd_per_1m: "1", output_usd_per_1m: "2"}
      steps:
        - {match: everybody fails, fail: {kind: unavailable}}
        - {match: everybody is busy, fail: {kind: rate_limited, retry_after_s: 7}}
        - {match: nobody can, fail: {kind: incapable}}
        - match: weather
          tool_calls: [{id: a1, name: weather, arguments: '{"city": "Oslo"}'}]
        - {match: breaks off, text: one two three, cut_after: 2}
        - {match: never answers, hang: true}
        - {match: takes a second, text: at last, ttft_s: 1.0}
        - {match: an essay, text: "a b c d e f g h i j k l m n o p q r s t", tpot_s: 0.1}
        - {text: An answer of the cloud.}
"""


@dataclass(frozen=True)
class Sidecar:
    """A server that runs.

    Attributes:
        folder: Of its config; the ledger lies in it.
    """

    process: subprocess.Popen[str]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def call(
        self,
        body: bytes | dict[str, Any] | None,
        path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Reply:
        """One request by hand, over a connection of its own."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        said = {"content-type": "application/json", **(headers or {})}
        try:
            line.request(method or ("GET" if raw is None else "POST"), path, raw, said)
            answer = line.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            line.close()

    def ask(self, text: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """One question."""
        turns = [{"role": "user", "content": text}]
        return self.call({"model": "auto", "messages": turns, **more}, headers=headers)

    def booked(self, decision_id: str) -> RequestDetail:
        with Report.open(self.folder / "ledger") as report:
            return report.request(decision_id)

    def last(self, most: int = 1) -> list[Any]:
        """The last requests in the ledger, newest first."""
        with Report.open(self.folder / "ledger") as report:
            return list(report.recent(most))


@dataclass(frozen=True)
class Reply:
    """A response that came whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.json["error"]["code"])


@contextmanager
def serving(folder: Path, *options: str, config: str = CONFIG) -> Iterator[Sidecar]:
    """A server on a free port, killed at the end if it still runs."""
    (folder / "plain.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "firsthop.yaml").write_text(config, encoding="utf-8")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "router",
            "serve",
            *("-c", str(folder / "firsthop.yaml")),
            *("--port", "0"),
            *options,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        port = 0 if "--uds" in options else int(said.partition("127.0.0.1:")[2].partition("/")[0])
        yield Sidecar(process, port, folder)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        process.stderr.close()


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
