"""What an act of `chaos.py` is played on: the clouds' process, a config, a watch for leaks."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from chaos_clouds import MODEL

DEADLINE_S = 2.0
SETTLE_S = 1.0
TICK_S = 0.005
POLICY = f"""
policy: chaos
summary: Two clouds of one tier, a third above them.
tiers: [cloud, last]
accept:
  - id: finished
    on: [cloud]
    require: {{draft.finish: {{in: [stop]}}}}
limits: {{hops: 6, deadline_s: {DEADLINE_S}}}
"""
TARGETS = {
    "a": ("cloud", "openai_compatible", "lean"),
    "b": ("cloud", "openai_compatible", "sdk"),
    "c": ("last", "azure_ai", "lean"),
}


class Clouds:
    """The servers' process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("chaos_clouds.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def __enter__(self) -> Clouds:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


@dataclass
class Watch:
    """What nobody may leave behind, and how long the event loop was held up.

    Attributes:
        kept_back: When the loop came round late although this process was not at work, and by how
            many seconds: the machine had given the processors to others.
    """

    longest_gap_s: float = 0.0
    kept_back: list[tuple[float, float]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def tick(self) -> None:
        last, cpu = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(TICK_S)
            now, used = time.perf_counter(), time.process_time()
            gap = now - last - TICK_S
            self.longest_gap_s = max(self.longest_gap_s, gap)
            if gap - (used - cpu) > TICK_S:
                self.kept_back.append((now, gap - (used - cpu)))
            last, cpu = now, used

    def kept_back_s(self, began: float, ended: float) -> float:
        """Seconds kept from this process in that time."""
        return sum(gap for at, gap in self.kept_back if began <= at <= ended)

    def heard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"event loop: {context.get('exception') or context['message']}")

    def unraised(self, what: sys.UnraisableHookArgs) -> None:
        self.complaints.append(f"unraisable: {what.exc_value!r} in {what.object!r}")


def written(folder: Path, ports: dict[str, int]) -> Path:
    """The config and the policy of an act."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "chaos.yaml").write_text(POLICY.lstrip())
    targets = {
        name: {
            "tier": tier,
            "provider": provider,
            "transport": transport,
            "model": MODEL,
            "base_url": f"http://127.0.0.1:{ports[name]}/v1",
            "timeout_s": 0.6,
            "connect_timeout_s": 0.5,
        }
        for name, (tier, provider, transport) in TARGETS.items()
    }
    # What the last one is waited for, the deadline ends.
    targets["c"] |= {"api_key": {"env": "CHAOS_KEY"}, "timeout_s": 30}
    config = folder / "firsthop.yaml"
    config.write_text(
        json.dumps(
            {
                "version": 1,
                "policy": "chaos",
                "targets": targets,
                "ledger": {"folder": str(folder / "ledger")},
            }
        )
    )
    return config


def open_files() -> int:
    """Descriptors, or handles, of this process."""
    me = psutil.Process()
    return int(me.num_handles() if sys.platform == "win32" else me.num_fds())


async def tasks_left(but: set[asyncio.Task[Any] | None]) -> int:
    """Tasks that still run a while after the end.

    HTTP libraries leave generators to the collector, which the event loop then closes in tasks.
    """
    gc.collect()
    left = asyncio.all_tasks() - but
    if left:
        await asyncio.wait(left, timeout=SETTLE_S)
    return len(asyncio.all_tasks() - but)
