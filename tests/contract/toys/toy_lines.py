"""A toy: a service with a wire of its own, a JSON list a line: text, and tokens at the end."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator

from router.errors import BadWire, HopError, TimedOut
from router.providers.base import Dialect, Target, text_only
from router.providers.endpoint import find_endpoint, key_headers
from router.providers.http_call import Caller
from router.providers.openai_errors import http_error
from router.providers.openai_lean import LeanTransport
from router.types import Ask, Chunk, Usage

TOY = Dialect(name="toy_lines", key_env=("TOY_KEY",))


class Toy:
    """Asks ``/say`` and reads lines: a provider in full."""

    def __init__(self, target: Target) -> None:
        way = find_endpoint(target, TOY)
        self.target, self.url = target, f"{way.base_url}/say"
        self.caller = Caller(target, way, lambda tls: LeanTransport(way, tls))

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """See `Provider`."""
        try:
            text_only(ask)
            if ask.timeout_s is not None and ask.timeout_s <= 0:
                raise TimedOut("no time left", reached=False)
            body = json.dumps([[m.role, m.content] for m in ask.messages]).encode()
            send = ("POST", self.url, key_headers(self.target, TOY), body)
            rest, ended, deadline = b"", False, self.caller.deadline()
            async with self.caller.call(lambda pool: pool.send(*send), deadline) as answer:
                if answer.status != 200:
                    said = (answer.status, answer.headers, await answer.start())
                    raise http_error(*said, wall_s=time.time())
                while piece := await answer.read():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        word, told = json.loads(line)
                        ended, used = word == "end", Usage(output_tokens=told)
                        yield Chunk(finish="stop", usage=used) if ended else Chunk(text=told)
            if not ended:
                raise BadWire("it stopped in the middle")
        except HopError as error:
            self.caller.seal(error)
            raise
        except (TypeError, ValueError) as exc:
            raise BadWire(f"a line is no list of two: {exc}", target=self.target.name) from exc

    async def aclose(self) -> None:
        await self.caller.aclose()


build = Toy
