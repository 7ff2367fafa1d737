"""The catalogue of models: what is shipped is sound, and what is wrong in a file is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from router import providers
from router.catalogue.life import Life
from router.catalogue.models import Catalogue, shipped
from router.catalogue.models_file import read_models
from router.errors import ConfigError

DAY = date(2026, 11, 22)

GOOD = """\
models:
  - {provider: azure_ai, model: M, max_input_tokens: 1000, abilities: [tools], source: here,
     checked: 2026-01-02, valid_from: 2026-01-01,
     retires: [{day: 2027-02-01, source: b, checked: 2026-01-02},
               {day: 2027-01-01, source: a, checked: 2026-01-02}]}
"""


def read(folder: Path, text: str) -> Catalogue:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return Catalogue(read_models(path))


def test_a_model_is_found_by_its_name_from_its_day_on(tmp_path: Path) -> None:
    catalogue = read(tmp_path, GOOD)
    found = catalogue.find("azure_ai", "m", None, DAY)

    assert found is not None
    assert (found.max_input_tokens, found.max_output_tokens) == (1000, None)
    assert [end.source for end in found.retires] == ["a", "b"], "earliest first"
    assert catalogue.find("azure_ai", "m", None, date(2025, 12, 31)) is None
    assert catalogue.find("azure_ai", "m-2", None, DAY) is None
    assert catalogue.find("nvidia_nim", "m", None, DAY) is None


def test_a_newer_entry_takes_over_on_its_day(tmp_path: Path) -> None:
    newer = GOOD.partition("\n")[2].replace("1000", "2000").replace("2026-01-01", "2026-06-01")
    catalogue = read(tmp_path, GOOD + newer)

    sizes = []
    for on in (date(2026, 5, 31), date(2026, 6, 1)):
        found = catalogue.find("azure_ai", "M", None, on)
        assert found is not None
        sizes.append(found.max_input_tokens)
    assert sizes == [1000, 2000]


def test_an_entry_of_a_host_holds_for_no_other_server() -> None:
    assert shipped().find("openai_compatible", "o3", "https://api.openai.com/v1", DAY)
    assert not shipped().find("openai_compatible", "o3", "https://gateway.example/v1", DAY)
    assert not shipped().find("openai_compatible", "o3", "http://[::1/v1", DAY)
    assert not shipped().find("openai_compatible", "o3", None, DAY)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source: here", "sorce: here", r"models\.yaml:2:\d+: models\[0\]\.sorce: unknown field"),
        ("max_input_tokens: 1000", "max_input_tokens: 0", r"models\[0\]\.max_input_tokens"),
        ("abilities: [tools]", "abilities: [tool]", r"models\[0\]\.abilities\[0\]"),
        ("day: 2027-02-01", "day: soon", "not a day"),
        ("source: here,", "", r"models\[0\]\.source: is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, GOOD.replace(old, new))


def test_a_model_may_not_be_there_twice_from_one_day_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there twice"):
        read(tmp_path, GOOD + GOOD.partition("\n")[2].replace("model: M", "model: m"))


def test_every_shipped_model_is_of_a_provider_and_its_days_are_in_order() -> None:
    assert len(shipped().models) > 50
    for facts in shipped().models:
        assert facts.provider in providers.names()
        assert facts.valid_from <= facts.checked
        assert [e.on for e in facts.retires] == sorted(e.on for e in facts.retires)


@pytest.mark.parametrize(
    ("model", "days"),
    [
        ("gpt-4o", [date(2026, 10, 1), date(2027, 4, 14)]),
        ("gpt-4.1", [date(2026, 10, 14), date(2027, 4, 14)]),
        ("gpt-4.1-nano", [date(2027, 4, 14)]),
        ("Phi-3.5-mini-instruct", [date(2025, 8, 30)]),
    ],
)
def test_the_days_that_sources_dispute_are_all_shipped(model: str, days: list[date]) -> None:
    found = shipped().find("azure_ai", model, None, DAY)
    assert found is not None
    assert [end.on for end in found.retires] == days
    assert Life(what=model, ends=found.retires).conflict == (len(days) > 1)


def test_a_list_that_nobody_looked_at_again_was_checked_on_its_own_day() -> None:
    schedule = "Microsoft's schedule of "
    ends = [end for facts in shipped().models for end in facts.retires]
    found = {(e.source, str(e.checked)) for e in ends if e.source.startswith(schedule)}
    assert found == {(f"{schedule}2026-07-07", "2026-07-07")}


def test_what_is_named_as_a_successor_has_not_ended_itself() -> None:
    by_name = {(f.provider, f.model): f for f in shipped().models}
    for facts in shipped().models:
        heir = by_name.get((facts.provider, facts.successors))
        if heir is not None:
            assert Life(what="", ends=heir.retires).state(DAY) == "alive", facts.model
