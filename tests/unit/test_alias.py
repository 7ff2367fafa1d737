"""`import firsthop` means our package, whatever else is called `router`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(code: str, folder: Path, *, flags: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_both_names_are_one_set_of_classes(tmp_path: Path) -> None:
    code = (
        "import firsthop.errors, router.errors, firsthop, router;"
        "print(firsthop is router, firsthop.errors.Gone is router.errors.Gone,"
        " router.errors.__spec__.name)"
    )

    assert run(code, tmp_path) == "True True router.errors"


def test_an_apps_own_router_module_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "router.py").write_text("mine = 'mine'\n")
    code = (
        "import router, firsthop, firsthop.errors;"
        "from firsthop import Router, ConfigError;"
        "print(router.mine, Router.__module__, ConfigError is firsthop.errors.ConfigError)"
    )

    assert run(code, tmp_path) == "mine firsthop.sync True"


def test_it_does_no_harm_either_when_firsthop_is_imported_first(tmp_path: Path) -> None:
    (tmp_path / "router.py").write_text("mine = 'mine'\n")
    code = "import firsthop; from firsthop import AsyncRouter; import router; print(router.mine)"

    assert run(code, tmp_path) == "mine"


def test_the_command_runs_beside_an_apps_own_router_module(tmp_path: Path) -> None:
    (tmp_path / "router.py").write_text("raise RuntimeError('the app was imported')\n")
    done = subprocess.run(
        [sys.executable, "-m", "firsthop", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("firsthop "), done.stderr
    assert done.returncode == 0


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, router;"
        "heavy = {'numpy', 'aiohttp', 'openai', 'httpx', 'pydantic', 'yaml', 'asyncio',"
        " 'onnxruntime_genai', 'huggingface_hub', 'rich', 'typer', 'msgspec', 'tenacity'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    assert run(code, tmp_path) == "[]"
