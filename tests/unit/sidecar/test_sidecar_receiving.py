"""Bodies that come slowly: their time, their number, their bytes, and what they must not hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.loops import in_loop
from support.sidecar import CONFIG, POLICY

from router.compose import Router
from router.sidecar.app import App
from router.sidecar.settings import Settings

BODY = b'{"messages": [{"role": "user", "content": "The capital of France?"}]}'


class Client:
    """One request, over ASGI, whose body comes as the test says."""

    def __init__(self, app: App, path: str = "/v1/chat/completions") -> None:
        self.sent: list[dict[str, Any]] = []
        self._pieces: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"host", b"localhost"), (b"expect", b"x")],
        }
        self.task = asyncio.get_running_loop().create_task(
            app(scope, self._pieces.get, self._send)  # type: ignore[arg-type]
        )

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def give(self, data: bytes, *, last: bool = False) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": data, "more_body": not last})

    @property
    def status(self) -> int | None:
        return int(self.sent[0]["status"]) if self.sent else None

    async def ended(self) -> tuple[int | None, bytes]:
        async with asyncio.timeout(10):
            await self.task
        return self.status, b"".join(m.get("body", b"") for m in self.sent)


def app_of(folder: Path, **bounds: Any) -> App:
    (folder / "plain.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "firsthop.yaml").write_text(CONFIG, encoding="utf-8")
    return App(Router.of(folder / "firsthop.yaml"), Settings(**bounds))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@in_loop
async def test_a_body_that_never_begins_is_a_408_in_its_time(tmp_path: Path) -> None:
    app = app_of(tmp_path, body_s=0.1)
    clients = [Client(app) for _ in range(3)]
    clients[1].give(BODY[:5])
    for client in clients:
        status, said = await client.ended()
        assert (status, b"did not come in time" in said) == (408, True)
    good = Client(app)
    good.give(BODY, last=True)
    assert (await good.ended())[0] == 200
    await app.aclose()


@in_loop
async def test_bodies_that_are_coming_hold_no_place(tmp_path: Path) -> None:
    app = app_of(tmp_path, max_concurrent=2)
    slow = [Client(app, path) for path in ("/v1/chat/completions", "/v1/responses") * 4]
    await turns()
    good = Client(app)
    good.give(BODY[:20])
    good.give(BODY[20:], last=True)
    assert (await good.ended())[0] == 200
    assert all(client.status is None for client in slow)
    for client in slow:
        client.task.cancel()
        assert (await client.ended())[0] == 503
    await app.aclose()


@in_loop
async def test_of_too_many_the_oldest_is_given_up(tmp_path: Path) -> None:
    app = app_of(tmp_path, max_receiving=3)
    slow = [Client(app) for _ in range(3)]
    await turns()
    good = Client(app)
    good.give(BODY, last=True)
    assert (await good.ended())[0] == 200
    status, said = await slow[0].ended()
    assert (status, b"too many others" in said) == (408, True)
    assert [client.status for client in slow[1:]] == [None, None]
    slow[1].give(BODY, last=True)
    assert (await slow[1].ended())[0] == 200
    slow[2].task.cancel()
    await slow[2].ended()
    await app.aclose()


@in_loop
async def test_of_too_many_bytes_the_oldest_is_given_up_be_it_the_one_that_sends(
    tmp_path: Path,
) -> None:
    app = app_of(tmp_path, max_body_bytes=1000, max_receiving_bytes=10)
    first, second, third = (Client(app) for _ in range(3))
    for client in (first, second):
        await turns()
        client.give(b" " * 400)
    await turns()
    assert first.status is second.status is None
    third.give(b" " * 400)
    assert (await first.ended())[0] == 408
    await turns()
    assert second.status is third.status is None
    # With no pause between them: the task is never asleep when it is given up.
    second.give(b" " * 300)
    second.give(BODY, last=True)
    assert (await second.ended())[0] == 408
    third.give(BODY, last=True)
    assert (await third.ended())[0] == 200
    await app.aclose()
