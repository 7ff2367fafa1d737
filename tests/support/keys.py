"""Keys of callers, for a server that asks for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from router.sidecar import keyfile


def add(path: Path, name: str, **rights: Any) -> dict[str, str]:
    """A key, as a header."""
    key = keyfile.add(path, name, now_s=time.time(), **rights)
    return {"authorization": f"Bearer {key}"}
