"""Whether heat slows the processor down, as the Linux kernel lists it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from router.world.throttle import of_coolers, throttled


def coolers(folder: Path, *found: tuple[str, str]) -> Path:
    for i, (kind, state) in enumerate(found):
        one = folder / f"cooling_device{i}"
        one.mkdir()
        (one / "type").write_text(f"{kind}\n")
        (one / "cur_state").write_text(f"{state}\n")
    return folder


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([("Processor", "0"), ("Processor", "0")], False),
        ([("Processor", "0"), ("Processor", "3")], True),
        ([("thermal-cpufreq-0", "1")], True),
        ([("cpufreq-cpu0", "0"), ("Fan", "4")], False),
        ([("intel_powerclamp", "-1")], False),
        ([("Fan", "4"), ("TCC Offset", "5"), ("LCD", "1")], None),
        ([("Processor", "unsure")], None),
        ([("Processor", "unsure"), ("Processor", "2")], True),
        ([], None),
    ],
)
def test_only_what_slows_the_processor_counts(
    tmp_path: Path, found: list[tuple[str, str]], said: bool | None
) -> None:
    assert of_coolers(coolers(tmp_path, *found)) is said


def test_without_a_list_it_is_unknown(tmp_path: Path) -> None:
    assert of_coolers(tmp_path / "none") is None


def test_only_linux_says_a_word() -> None:
    assert throttled() is None or sys.platform == "linux"
