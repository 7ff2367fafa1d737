"""Which NIM a container is: version 1 and 2 want a JSON Schema in different words.

Version 1 takes it as ``nvext: {guided_json: ...}``. Version 2 has no `nvext`, and passes over what
it doesn't know without an error; it takes OpenAI's `response_format`. One that doesn't say what it
is gets the latter too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from ..clock import Clock
from ..document import nearest
from ..errors import ConfigError, HopError, Unavailable
from .base import Target
from .endpoint import Endpoint
from .looking import Look, looking

Kind = Literal["nim1", "nim2"]
Asked = Literal["auto", "nim1", "nim2"]

PROBE_S = 2.0
AGAIN_S = 60.0
"""How long a container that could not be asked is left alone with the question."""


class Version:
    """What is known of one container's version; `learn` asks it once.

    Attributes:
        release: As the container says it. None: not asked, or it doesn't say.
    """

    def __init__(self, target: Target, endpoint: Endpoint, clock: Clock, *, hosted: bool) -> None:
        """Read the option `dialect`. Raises: ConfigError."""
        asked = _asked(target)
        self._target = target
        self._endpoint = endpoint
        self._clock = clock
        self._kind: Kind | None = None if asked == "auto" else asked
        self._auto = asked == "auto" and not hosted  # the hosted service has no such route
        self._known = not self._auto
        self._next_at: float | None = None
        self.release: str | None = None

    async def learn(self, headers: Mapping[str, str]) -> Kind | None:
        """Its kind; None: it can't be told. Asks the container only when that may help.

        What it has answered is remembered, also that it doesn't know; that it could not be reached
        is remembered for `AGAIN_S`.
        """
        if self._known or (self._next_at is not None and self._clock.now() < self._next_at):
            return self._kind
        async with looking(self._target, self._endpoint, clock=self._clock, most_s=PROBE_S) as look:
            try:
                self.learned(await read_release(look, self._endpoint, headers))
            except HopError:  # whoever calls it next will see why
                self._next_at = self._clock.now() + AGAIN_S
        return self._kind

    def learned(self, release: str | None) -> None:
        """Note what it says its release is."""
        self.release = release
        if self._auto:
            self._kind, self._known = _kind(release), True

    def forget(self) -> None:
        """Ask again when it matters: it did not do what one of its kind does."""
        if self._auto:
            self._known, self._next_at = False, None


async def read_release(look: Look, endpoint: Endpoint, headers: Mapping[str, str]) -> str | None:
    """What the container says its release is. None: it doesn't, having no such routes.

    Raises: HopError when it can't be asked now, as while it starts.
    """
    for route, field in (("version", "release"), ("metadata", "version")):
        got = await look.get(f"{endpoint.base_url}/{route}", headers)
        if got.status not in (200, 404, 405):
            raise Unavailable(f"HTTP {got.status} from its route {route}", status=got.status)
        told = got.json() if got.status == 200 else None
        if isinstance(told, Mapping) and isinstance(told.get(field), str):
            return cast(str, told[field])
    return None


def reword(body: dict[str, Any], kind: Kind | None) -> None:
    """Ask for a schema as `kind` wants to be asked. Changes `body`."""
    asked = body["response_format"]
    if kind == "nim1" and asked["type"] == "json_schema":
        del body["response_format"]
        body["nvext"] = {"guided_json": asked["json_schema"]["schema"]}


def _kind(release: str | None) -> Kind | None:
    number = re.match(r"v?(\d+)(?=[.\-+]|\Z)", release or "")
    if number is None or int(number[1]) == 0:
        return None
    return "nim1" if int(number[1]) == 1 else "nim2"


def _asked(target: Target) -> Asked:
    given = target.options.get("dialect", "auto")
    if given not in get_args(Asked):
        raise ConfigError(
            f"{given!r} is no dialect of NIM",
            field=f"targets.{target.name}.options.dialect",
            hint=nearest(str(given), get_args(Asked)),
        )
    return cast(Asked, given)
