"""What every benchmark says about itself, and where its figures go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--json", type=Path, help="write the figures there", metavar="FILE")
    return made


def conditions(*packages: str) -> dict[str, Any]:
    """Command, versions and machine, printed first."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{model}, {os.cpu_count()} cores",
        "load_before": load,
        "versions": {name: metadata.version(name) for name in ("firsthop", *packages)},
    }
    for name, value in found.items():
        print(f"{name:12} {value}")
    print()
    return found


def write(path: Path | None, said: dict[str, Any], figures: dict[str, Any]) -> None:
    """Put the figures, under stable names, with their conditions into a file."""
    if path is not None:
        path.write_text(json.dumps({"conditions": said, "figures": figures}, indent=2) + "\n")
        print(f"figures written to {path}")
