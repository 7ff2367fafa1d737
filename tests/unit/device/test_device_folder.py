from __future__ import annotations

import json

import pytest

from router.device.folder import read_folder
from router.errors import Unavailable


def write(folder, *, kind="llama", length=8192, manifest=None):
    config = {"model": {"type": kind, "context_length": length, "vocab_size": 5}, "search": {}}
    (folder / "genai_config.json").write_text(json.dumps(config))
    if manifest is not None:
        (folder / "firsthop.json").write_text(json.dumps(manifest))
    return folder


def test_a_model_may_use_the_whole_of_its_context(tmp_path):
    found = read_folder(write(tmp_path))

    assert (found.model, found.safe_limit, found.limit(None)) == (tmp_path.name, 8192, 8192)


def test_the_phi_family_stays_below_4096_whatever_anybody_says(tmp_path):
    folder = write(tmp_path, kind="phi3", length=131_072, manifest={"context_limit": 131_072})

    assert read_folder(folder).limit(100_000) == 4096


def test_a_phi_with_a_shorter_context_keeps_to_that(tmp_path):
    assert read_folder(write(tmp_path, kind="phi3", length=2048)).safe_limit == 2048


def test_the_manifest_may_lower_the_limit_and_name_the_model(tmp_path):
    manifest = {"name": "smol", "context_limit": 1000, "licence": "MIT"}
    found = read_folder(write(tmp_path, manifest=manifest))

    assert (found.model, found.safe_limit) == ("smol", 1000)


def test_a_caller_may_ask_for_less_than_is_safe_not_for_more(tmp_path):
    found = read_folder(write(tmp_path))

    assert (found.limit(100), found.limit(10**6)) == (100, 8192)


def test_a_missing_folder_is_named_with_what_to_try(tmp_path):
    with pytest.raises(Unavailable, match=r"no such folder.*models pull") as caught:
        read_folder(tmp_path / "nowhere")

    assert str(tmp_path / "nowhere") in str(caught.value)
    assert not caught.value.retryable


def test_a_folder_that_is_no_model_is_said_to_be_none(tmp_path):
    with pytest.raises(Unavailable, match=r"no genai_config\.json"):
        read_folder(tmp_path)


def test_a_broken_configuration_is_named(tmp_path):
    (tmp_path / "genai_config.json").write_text("{")

    with pytest.raises(Unavailable, match=r"genai_config\.json can't be read"):
        read_folder(tmp_path)
