"""Model servers on this machine: which of the known ones answer, and with which models.

Comes in: addresses, where others than the usual ones are said. Goes out: a `Server` for each that
answered. Only this machine is asked, and nothing but lists of models.

Ollama listens on port 11434 (or where ``OLLAMA_HOST`` says), LM Studio on 1234. Foundry Local takes
another port at each start; its own command says which.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import urlsplit

from .. import providers
from ..errors import ConfigError
from ..providers.base import Target
from ..providers.check import Check, Checkable

TITLES = {"ollama": "Ollama", "lmstudio": "LM Studio", "foundry": "Foundry Local"}
_TIMEOUT_S = 2.0
_COMMAND_S = 10.0
_ADDRESS = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answered.

    Attributes:
        kind: A key of `TITLES`.
        url: Its address without a path.
        models: What it lists, models that run in a vendor's cloud left out.
    """

    kind: str
    url: str
    models: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name for people."""
        return TITLES[self.kind]


@dataclass(frozen=True, slots=True)
class Silent:
    """A server that didn't answer, and where it was looked for."""

    kind: str
    why: str


async def find_servers(given: Mapping[str, str]) -> list[Server | Silent]:
    """Ask all of them at once, two seconds a question.

    Args:
        given: Addresses by kind, for those that aren't at the usual one.
    """
    foundry = given.get("foundry") or await asyncio.to_thread(_foundry_url)
    urls = {
        "ollama": given.get("ollama") or _ollama_url(os.environ.get("OLLAMA_HOST", "")),
        "lmstudio": given.get("lmstudio") or "http://127.0.0.1:1234",
        "foundry": foundry,
    }
    return list(await asyncio.gather(*(_ask(kind, url) for kind, url in urls.items())))


async def _ask(kind: str, url: str | None) -> Server | Silent:
    if url is None:
        return Silent(kind, "`foundry service status` names no address")
    url = url.rstrip("/").removesuffix("/v1")
    if not _here(url):
        return Silent(kind, f"{url} is not on this machine; such a server is a cloud")
    any_model = Target(
        name=kind,
        tier="",
        provider="ollama" if kind == "ollama" else "openai_compatible",
        model="any",
        base_url=url if kind == "ollama" else f"{url}/v1",
        timeout_s=_TIMEOUT_S,
        connect_timeout_s=_TIMEOUT_S,
    )
    try:
        provider = providers.build(any_model)
    except ConfigError as error:
        return Silent(kind, f"{url} {error.message}")
    async with aclosing(provider):
        found = await provider.check() if isinstance(provider, Checkable) else Check()
    if found.model_exists is None:  # it showed no list
        return Silent(kind, f"nothing at {url}")
    return Server(kind=kind, url=url, models=tuple(_that_answer(found.models)))


def _that_answer(names: Iterable[str]) -> list[str]:
    from ..providers.ollama_options import is_cloud

    # An embedding model can't answer; it is told by its name alone.
    return [name for name in names if not is_cloud(name) and "embed" not in name.lower()]


def _ollama_url(host: str) -> str:
    """What ``OLLAMA_HOST`` means: an address to listen at, often without scheme or port."""
    try:
        url = urlsplit(host if "://" in host else f"http://{host}")
        name, port = url.hostname, url.port
    except ValueError:
        return host
    name = "127.0.0.1" if name in (None, "0.0.0.0", "::") else name
    return f"{url.scheme}://{f'[{name}]' if ':' in str(name) else name}:{port or 11434}"


def _here(url: str) -> bool:
    """Whether an address is this machine's: what answers first must not take a prompt elsewhere."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _foundry_url() -> str | None:
    """Where Foundry Local says that it listens."""
    command = shutil.which("foundry")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "service", "status"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _ADDRESS.search(done.stdout)
    return found[0] if found else None
