"""The device's benchmarks run and say what they promise to say. The figures of a tiny model mean
nothing, so no verdict on speed is looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.tiny_phi3 import build_tiny_phi3

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "phi3"
    build_tiny_phi3(folder)
    return folder


def figures_of(name: str, model: Path, report: Path, *options: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, BENCHMARKS / name, "--model", model, "--json", report, *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    assert report.is_file(), ran.stdout + ran.stderr
    figures: dict[str, Any] = json.loads(report.read_text())["figures"]
    return figures


def test_the_device_is_measured_beside_the_peers_that_can_be_had(
    tiny: Path, tmp_path: Path
) -> None:
    figures = figures_of("device.py", tiny, tmp_path / "device.json", "--quick", "--threads", "1")

    assert set(figures["peers"]) == {"ours", "bare"}
    assert set(figures["without"]) == {"llama_wheel", "llama_source", "transformers"}
    for peer in figures["peers"].values():
        assert peer["decode_tokens_per_s"] > 0
        assert [each["tokens"] for each in peer["together"].values()] == [8, 16, 32, 64]
    assert figures["ratios"]["together_4_over_bare"]["median"] > 0
    assert figures["holds"]["four_over_llama_source"] is None
    assert figures["holds"]["decode_over_bare"] in (True, False)
    assert figures["decode"]["tokens"] == 8
    assert [first["prompt_tokens"] >= 300 for first in figures["first_token"]] == [
        False,
        True,
        True,
    ]


def test_a_phi_model_ends_at_its_limit_and_refuses_what_is_past_it(
    tiny: Path, tmp_path: Path
) -> None:
    figures = figures_of("phi35_shape.py", tiny, tmp_path / "phi.json", "--rounds", "1")

    told = {what: good for what, good in figures["holds"].items() if what != "second_over_first"}
    assert told == dict.fromkeys(
        (
            "within_4096",
            "longest_ends_at_limit",
            "too_long_refused",
            "answers_as_before",
            "same_worker",
        ),
        True,
    )
    assert figures["limit"]["longest_prompt_tokens"] > 4000


def test_what_a_state_costs_is_measured_by_steps_in_turn(tiny: Path, tmp_path: Path) -> None:
    figures = figures_of("probe.py", tiny, tmp_path / "probe.json", "--tokens", "4")

    assert (figures["layer"], figures["width"]) == (1, 64)
    assert set(figures["step_cpu_ms"]) == {"1", "4"}
    assert set(figures["step_cpu_ms"]["4"]) == {"without", "unasked", "asked", "asked_more_us"}
    assert figures["probe"]["read_us"] > 0
