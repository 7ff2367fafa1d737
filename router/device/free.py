"""How much memory can be had here without swapping: by the machine, and by the container's limit.

A container sees the whole machine's memory; what it may take of it stands in its control group.

Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the Linux kernel.
"""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

_OWN = Path("/proc/self/cgroup")
_TREE = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """What is available now: the least of machine and container. None: nobody can say."""
    here = [available_bytes()]
    if sys.platform == "linux":
        here.append(cgroup_free_bytes())
    return min((count for count in here if count is not None), default=None)


def available_bytes() -> int | None:
    """What the system could give, caches that can go included. None: it can't be asked."""
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except (ImportError, NotImplementedError, OSError, RuntimeError):
        return None


def cgroup_free_bytes(own: Path = _OWN, tree: Path = _TREE) -> int | None:
    """What this process's control group, or one around it, leaves. None: no limit is known.

    Args:
        own: Which groups we are in, a line each: number, controllers, path.
        tree: Where groups are mounted.
    """
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found: list[int] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            found += _left(tree, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _left(tree / "memory", path, names)
    return min(found, default=None)


def _left(root: Path, path: str, names: tuple[str, str, str]) -> list[int]:
    """What each group from `path` up to the root leaves, where it has a limit.

    In a container the tree often begins at its own group, so that `path` is not there.
    """
    group = PurePosixPath(path.lstrip("/"))
    found = []
    for inner in (group, *group.parents):
        limit = _number(root / inner / names[0])
        used = _number(root / inner / names[1])
        if limit is not None and used is not None and limit < _NO_LIMIT:
            found.append(max(0, limit - used + _reclaimable(root / inner, names[2])))
    return found


_NO_LIMIT = 1 << 60
"""Version 1 writes a number near 2**63 where there is none; version 2 the word ``max``."""


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _reclaimable(group: Path, name: str) -> int:
    """Bytes of files in the cache that nobody has used of late: they go when room is wanted."""
    try:
        stat = (group / "memory.stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in stat.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0
