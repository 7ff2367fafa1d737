"""The cap on dollars, against a provider on loopback that bills calls which break off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from router.calibration.making import Caps, Cast, Maker, Work
from router.calibration.plan import Most
from router.calibration.prompts import Prompt
from router.calibration.workfile import WorkFile
from router.clock import ManualClock
from router.compose import Router
from router.config import load

CALL_USD = Decimal("0.005")
"""What the service bills for every call, whole or not: 5 output tokens at $1,000 a million."""
CONFIG = """\
version: 1
policy: demo
prices: own.yaml
ledger: {{folder: ledger}}
targets:
  device:
    tier: device
    provider: {drafter}
    model: tiny
    {drafts}
  cloud:
    tier: cloud
    provider: openai_compatible
    model: large
    base_url: {url}
    api_key: {{env: NO_KEY}}
    attempts: 4
    max_output_tokens: 5
  unpriced:
    tier: cloud
    provider: openai_compatible
    model: nobody
    base_url: {url}
    api_key: {{env: NO_KEY}}
"""
PRICE = """\
  - {{id: of-{model}, provider: openai_compatible, model: {model}, input_usd_per_1m: "0",
     output_usd_per_1m: "1000", source: us, checked: 2026-01-01, valid_from: 2026-01-01}}
"""
OWN = 'options: {steps: [{text: "It is 5"}]}'


class Service(ThreadingHTTPServer):
    """Answers, but the first `broken` calls to a model break off; every call is billed.

    Attributes:
        billed: Dollars so far.
        tells: Whether a call that breaks off has told its tokens before.
    """

    def __init__(self, broken: int, *, tells: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.broken = {"large": broken}
        self.tells = tells
        self.billed = Decimal(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Call(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.billed += CALL_USD
        left = self.server.broken.get(body["model"], 0)
        self.server.broken[body["model"]] = left - 1
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        choice = {"index": 0, "delta": {"content": "It is 5"}, "finish_reason": None}
        events = [{"choices": [choice], "usage": usage if self.server.tells else None}]
        if left <= 0:
            events += [{"choices": [choice | {"delta": {}, "finish_reason": "stop"}]}]
            events += [{"choices": [], "usage": usage}]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            shared = {"id": "x", "object": "chat.completion.chunk", "model": body["model"]}
            self._chunk(f"data: {json.dumps(shared | event)}\n\n".encode())
        if left <= 0:
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")
        self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Nothing goes to standard error."""


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    thread = Thread(target=service.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


def make(folder: Path, service: Service, cap: str, *, dear: bool = False, prompts: int = 3) -> Work:
    """A run under a cap, with a clock of its own. `dear`: the service drafts, too, at a price."""
    drafts = f"base_url: {service.url}\n    api_key: {{env: NO_KEY}}\n    max_output_tokens: 5"
    text = CONFIG.format(
        url=service.url,
        drafter="openai_compatible" if dear else "scripted",
        drafts=drafts if dear else OWN,
    )
    (folder / "firsthop.yaml").write_text(text)
    prices = PRICE.format(model="large") + (PRICE.format(model="tiny") if dear else "")
    (folder / "own.yaml").write_text("prices:\n" + prices)

    async def run() -> Work:
        router = Router.of(load(folder / "firsthop.yaml"), None, clock=ManualClock())
        maker = Maker(
            street=router,
            cast=Cast(device="device", device_tokens=5, strong="cloud"),
            file=WorkFile(folder / "work.jsonl"),
            clock=router.clock,
            caps=Caps(usd=Decimal(cap), seconds=3600.0),
            worst=lambda _: Most(draft=CALL_USD if dear else Decimal(0), other=CALL_USD),
        )
        try:
            return await maker.make([Prompt(text=f"2 + {n}?") for n in range(prompts)])
        finally:
            await router.aclose()

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_KEY", "none")


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("cap", ["0.005", "0.012", "0.018"])
def test_calls_that_break_off_and_are_made_again_stay_under_the_cap(
    tmp_path: Path, cap: str, tells: bool
) -> None:
    with serving(Service(broken=3, tells=tells)) as service:
        work = make(tmp_path, service, cap)

    assert 0 < service.billed <= Decimal(cap)
    assert work.spent_usd >= service.billed
    assert work.stopped == f"the next prompt could cost more than ${cap} in all"


def test_the_next_run_knows_of_every_call_of_the_last(tmp_path: Path) -> None:
    with serving(Service(broken=3)) as service:
        make(tmp_path, service, "0.02", prompts=1)
        again = make(tmp_path, service, "0.022", prompts=2)

    assert service.billed == again.spent_usd == 4 * CALL_USD
    assert again.made == 0


def test_a_draft_that_was_paid_for_counts_though_nobody_could_judge_it(tmp_path: Path) -> None:
    with serving(Service(broken=99)) as service:
        work = make(tmp_path, service, "0.032", dear=True)

    assert work.made == 0
    assert service.billed == work.spent_usd <= Decimal("0.032")
