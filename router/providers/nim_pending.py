"""Answers of hosted NIM that take long: a 202 now, and the answer when it is asked for later.

The 202 carries the request's id in ``NVCF-REQID``. The status address is asked with that id and
the same key until it says something else than 202. It is asked only for NVIDIA's own hosts, or if
the config names it: a container of one's own that says 202 must not make its key go elsewhere.
What was taken is never sent again: whatever goes wrong from the 202 on is not retryable.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..clock import Clock
from ..errors import BadWire, ConfigError, Gone, HopError, Unavailable
from .base import Dialect, Target
from .endpoint import Endpoint, find_endpoint
from .http_call import Answer, Caller, within
from .openai_errors import http_error

if TYPE_CHECKING:
    from .openai_lean import LeanTransport

STATUS_URL = "https://api.nvcf.nvidia.com/v2/nvcf/pexec/status"
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
MOST_HELD_S = 300
MOST_FAILURES = 3
"""In a row, of the status address itself; the answer may be there all the same."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_hosted(endpoint: Endpoint) -> bool:
    """Whether it is NVIDIA's own service."""
    url = urlsplit(endpoint.base_url)
    return url.scheme == "https" and (url.hostname or "").endswith(".nvidia.com")


class Pending:
    """Waits for answers that a 202 has promised.

    Attributes:
        patience: Headers that ask the service to hold a connection until the answer is there,
            rather than say 202 soon.
    """

    def __init__(self, target: Target, status: Endpoint, clock: Clock) -> None:
        self._timeout_s = target.timeout_s
        seconds = max(1, min(MOST_HELD_S, int(target.timeout_s)))
        self.patience: Mapping[str, str] = {"nvcf-poll-seconds": str(seconds)}
        self._status = status
        self._clock = clock
        self._caller = Caller(target, status, self._pool)

    @classmethod
    def of(
        cls, target: Target, dialect: Dialect, endpoint: Endpoint, clock: Clock
    ) -> Pending | None:
        """For a target that may be told to wait. None: nobody is to be asked.

        Raises: ConfigError when the option `status_url` can't be used.
        """
        given = target.options.get("status_url")
        if given is None and not is_hosted(endpoint):
            return None
        field = f"targets.{target.name}.options.status_url"
        if given is not None and not isinstance(given, str):
            raise ConfigError(f"has to be an address, not {given!r}", field=field)
        try:
            status = find_endpoint(replace(target, base_url=given or STATUS_URL), dialect)
        except ConfigError as exc:
            raise ConfigError(exc.message, field=field) from exc
        return cls(target, status, clock)

    @asynccontextmanager
    async def answer(
        self, request_id: str, headers: Mapping[str, str], deadline: float
    ) -> AsyncIterator[Answer]:
        """The answer to the request of that id, waited for until `deadline`.

        Args:
            headers: Of the first call, the key among them.

        Raises: HopError with the status 202, whatever the status address said: the request was
            taken, so it may have cost something, and to send it again would cost it twice.
        """
        url = f"{self._status.base_url}/{request_id}"
        asking = {name: value for name, value in headers.items() if name != "content-type"}
        pause_s, failures = FIRST_PAUSE_S, 0
        while True:
            try:
                await within(self._clock.sleep(pause_s), deadline, self._timeout_s)
            except HopError as error:
                _taken(error)
                raise
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            async with AsyncExitStack() as stack:
                try:
                    answer = await stack.enter_async_context(self._ask(url, asking, deadline))
                except HopError as error:
                    failures += 1
                    if not error.retryable or failures == MOST_FAILURES:
                        _taken(error)
                        raise
                    pause_s = max(pause_s, error.retry_after_s or 0.0)
                    continue
                failures = 0
                if answer.status == 200:
                    try:
                        yield answer
                    except HopError as error:  # what it holds broke off, or says an error
                        error.retryable = False
                        raise
                    return
                await answer.drain()

    async def aclose(self) -> None:
        """Close the connections to the status address."""
        await self._caller.aclose()

    @asynccontextmanager
    async def _ask(
        self, url: str, headers: Mapping[str, str], deadline: float
    ) -> AsyncIterator[Answer]:
        """One question: a 200 or a 202. Raises: HopError for any other answer."""
        begin = self._caller.call(lambda pool: pool.send("GET", url, headers, None), deadline)
        async with begin as answer:
            if answer.status not in (200, 202):
                raise await self._error(answer)
            yield answer

    async def _error(self, answer: Answer) -> HopError:
        body = await answer.start()
        error = http_error(answer.status, answer.headers, body, wall_s=self._clock.wall())
        if not isinstance(error, Gone):
            return error
        # What is gone is one request, not the model; the model must not be given up for it.
        return Unavailable(
            f"it said 202, and then knew nothing of the request ({error.message})",
            retryable=False,
            code=error.code,
        )

    def _pool(self, tls: ssl.SSLContext) -> LeanTransport:
        from .openai_lean import LeanTransport

        return LeanTransport(self._status, tls)


def _taken(error: HopError) -> None:
    """Make `error` one of a request that was taken and whose answer can't be had."""
    error.reached, error.status, error.retryable = True, 202, False
    error.message = f"its answer was pending, and asking for it: {error.message}"


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id in a 202's headers. None: there is none. Raises: BadWire for one no path can carry."""
    told = headers.get("nvcf-reqid")
    if told is not None and not _ID.fullmatch(told):
        raise BadWire("answered 202 with a request id that is none", status=202, retryable=False)
    return told
