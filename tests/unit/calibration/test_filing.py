"""Where a calibration lies, whole or not at all, and what it is bound to."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.filing import binding_of, read, write
from router.calibration.goal import Goal
from router.calibration.status import filed
from router.confidence.stored import Binding, Calibration
from router.errors import ConfigError
from router.models import manifest
from router.models.manifest import Manifest
from router.providers.base import Target

BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    made = calibrate(labels(300), Goal(amount=0.1), BINDING, made_at=0.0, valid_until=86_400.0)
    assert made.calibration is not None
    return made.calibration


def device(model: Path) -> Target:
    return Target(name="device", tier="device", provider="device", model=str(model))


def test_a_file_replaces_the_one_before_whole(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "new" / "confidence.json"
    for _ in range(2):
        write(path, calibration)

    assert read(path, BINDING).certificate == calibration.certificate
    assert [file.name for file in path.parent.iterdir()] == ["confidence.json"]


def test_what_can_not_be_written_leaves_nothing(calibration: Calibration, tmp_path: Path) -> None:
    (tmp_path / "confidence.json").mkdir()

    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "confidence.json", calibration)

    assert [file.name for file in tmp_path.iterdir()] == ["confidence.json"]


def test_a_file_that_is_not_there_or_cut_off_is_refused(
    calibration: Calibration, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.json", None)
    path = tmp_path / "confidence.json"
    write(path, calibration)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ConfigError, match="escalated"):
        read(path, None)


def test_a_device_is_bound_by_model_build_and_engine(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "genai_config.json").write_text('{"model": {"type": "llama", "context_length": 64}}')

    assert binding_of(device(folder), "ort 9") == Binding(
        model="mine", quantisation="unknown", engine="ort 9"
    )
    manifest.write(
        folder,
        Manifest(
            name="tiny",
            source="file:x",
            revision="1",
            build="1-int4",
            precision="int4",
            hidden_layer=None,
            licence=None,
            context_limit=64,
            converter=None,
            created="2026-01-01T00:00:00Z",
            verified_at=None,
            files=(),
        ),
    )
    assert binding_of(device(folder), "ort 9") == Binding(
        model="tiny", quantisation="1-int4", engine="ort 9"
    )


def test_nothing_is_bound_to_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.device\.model"):
        binding_of(device(tmp_path / "none"), "ort 9")


def test_a_target_that_is_no_device_is_bound_by_the_configs_words() -> None:
    target = Target(name="cloud", tier="cloud", provider="openai_compatible", model="large")

    assert binding_of(target, None) == Binding(
        model="large", quantisation="none", engine="openai_compatible"
    )


def test_what_lies_there_is_valid_stale_foreign_or_none(
    calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "confidence.json"
    assert filed(path, None, 0.0).state == "none"
    write(path, calibration)
    here = ("phi", "int4")

    valid = filed(path, here, 43_200.0)
    assert (valid.state, valid.age_days, valid.labels, valid.bound) == ("valid", 0.5, 300, True)
    assert filed(path, here, 90_000.0).state == "stale"
    foreign = filed(path, ("phi", "int8"), 0.0)
    assert foreign.state == "refused"
    assert "made for phi (int4); the device has phi (int8)" in foreign.problem
