"""The environment in which a fresh interpreter finds this package, wherever it stands."""

from __future__ import annotations

import os
import site
from pathlib import Path

_HOME = Path(__file__).resolve().parents[2]
"""The folder that holds `firsthop.py` and the package."""


def environment() -> dict[str, str]:
    """Ours, with paths that hold in any folder, for ``python -P -m firsthop...``."""
    paths = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    # What lies in site-packages is found anyway; put first, it could hide the standard library.
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    if str(_HOME) not in map(os.path.realpath, installed):
        paths.insert(0, str(_HOME))
    found = {**os.environ}
    found.pop("PYTHONPATH", None)
    if paths:
        found["PYTHONPATH"] = os.pathsep.join(paths)
    return found
