"""Whether the network is paid by volume: the system's word or nothing."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path

import pytest

from router.world.metered import metered, of_cost_hint, of_network_manager

posix = pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script as the client")


def client(folder: Path, script: str) -> str:
    """A stand-in for systemd's D-Bus client: a program that prints what it would."""
    file = folder / "busctl"
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@posix
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("u 1", True),
        ("u 2", False),
        ("u 3", True),
        ("u 4", False),
        ("u 0", None),
        ("u 9", None),
        ("", None),
        ('s "yes"', None),
    ],
)
def test_what_network_manager_says_is_taken(
    tmp_path: Path, said: str, expected: bool | None
) -> None:
    assert of_network_manager(client(tmp_path, f"echo '{said}'"), tmp_path) is expected


@posix
def test_network_manager_is_asked_for_its_property(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    of_network_manager(client(tmp_path, f'echo "$@" > "{asked}"'), tmp_path)

    assert asked.read_text(encoding="ascii").split() == [
        "--system",
        "--timeout=1",
        "get-property",
        "org.freedesktop.NetworkManager",
        "/org/freedesktop/NetworkManager",
        "org.freedesktop.NetworkManager",
        "Metered",
    ]


@posix
@pytest.mark.parametrize("script", ["echo 'u 1'; exit 1", "exit 1", "exec sleep 60"])
def test_a_client_that_fails_or_hangs_makes_it_unknown(tmp_path: Path, script: str) -> None:
    started = time.perf_counter()
    assert of_network_manager(client(tmp_path, script), tmp_path) is None
    assert time.perf_counter() - started < 5


@posix
def test_nobody_is_asked_where_network_manager_never_ran(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    busctl = client(tmp_path, f'touch "{asked}"; echo "u 1"')

    assert of_network_manager(busctl, tmp_path / "none") is None
    assert not asked.exists()


def test_a_client_that_is_not_there_makes_it_unknown(tmp_path: Path) -> None:
    assert of_network_manager(str(tmp_path / "none"), tmp_path) is None


@pytest.mark.parametrize(
    ("cost", "expected"), [(0, None), (1, False), (2, True), (3, True), (4, None)]
)
def test_windows_cost_hint_is_read(cost: int, expected: bool | None) -> None:
    assert of_cost_hint(cost) is expected


def test_this_machine_can_be_asked() -> None:
    assert metered() in (None, True, False)
