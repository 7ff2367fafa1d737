"""What a calibration is bound to, as providers tell it."""

from __future__ import annotations

import json
from pathlib import Path

from router import providers
from router.device.folder import read_folder
from router.providers.base import Target
from router.providers.identity import Identified, Identity, identity_of


def target(provider: str, model: str, **options: object) -> Target:
    return Target(
        name="t",
        tier="device",
        provider=provider,
        model=model,
        base_url="https://cloud.invalid/v1" if provider == "openai_compatible" else None,
        options=options,
    )


def folder(path: Path) -> Path:
    path.mkdir()
    config = {"model": {"type": "llama", "context_length": 2048}}
    (path / "genai_config.json").write_text(json.dumps(config))
    return path


def test_a_device_tells_model_and_build_by_its_folder_and_no_engine_before_a_worker_is_up(
    tmp_path: Path,
) -> None:
    device = providers.build(target("device", str(folder(tmp_path / "mine"))))

    assert isinstance(device, Identified)
    assert device.identity() == Identity("mine", "unknown", None)


def test_the_build_is_what_the_manifest_calls_it(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine")
    (path / "firsthop.json").write_text(json.dumps({"name": "small", "build": "1.2-int4"}))

    found = read_folder(path)

    assert (found.model, found.build) == ("small", "1.2-int4")


def test_a_device_without_a_model_tells_nothing_and_does_once_it_is_there(tmp_path: Path) -> None:
    device = providers.build(target("device", str(tmp_path / "mine")))
    assert isinstance(device, Identified)
    assert device.identity() == Identity(None, None, None)

    folder(tmp_path / "mine")

    assert device.identity() == Identity("mine", "unknown", None)


def test_what_stands_behind_an_address_is_known_by_the_configs_words_alone() -> None:
    of = target("openai_compatible", "a-model")
    cloud = providers.build(of)

    assert not isinstance(cloud, Identified)
    assert identity_of(of, cloud)() == Identity("a-model", "none", "openai_compatible")
