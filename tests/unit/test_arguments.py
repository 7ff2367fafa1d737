"""What a caller may pass in, and that what is wrong is named at the door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from router import arguments
from router.errors import ConfigError


@pytest.mark.parametrize("given", [["a"], "ab", {"a": 1}, {"a": None}, {1: "a"}])
def test_tags_are_text_to_text(given: Any) -> None:
    with pytest.raises(ConfigError, match="tags"):
        arguments.tags(given)


def test_one_stop_text_is_one_not_its_letters() -> None:
    assert arguments.stops("END") == ("END",)
    assert arguments.stops(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize("given", [None, 1, [1], [""], "", b"a"])
def test_a_stop_that_is_no_text_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="stop"):
        arguments.stops(given)


@pytest.mark.parametrize("given", ["3", 2.5, True, 0, 2**63, Decimal(3)])
def test_a_token_cap_is_a_whole_number_of_at_least_one(given: Any) -> None:
    with pytest.raises(ConfigError, match="cap"):
        arguments.whole("cap", given, least=1)


@pytest.mark.parametrize("given", ["3", True, float("nan"), float("inf"), -0.1, 10**400, 0])
def test_a_time_is_a_finite_number_above_zero(given: Any) -> None:
    with pytest.raises(ConfigError, match="deadline_s"):
        arguments.number("deadline_s", given, zero=False)


def test_nothing_given_stays_nothing_and_zero_stays_zero() -> None:
    assert arguments.number("temperature", 0) == 0
    assert arguments.number("temperature", None) is None
    assert arguments.whole("seed", None) is None
    assert arguments.dollars("cost_usd", None) is None
    assert arguments.dollars("cost_usd", "0") == 0


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"decision_id": None}, "decision_id"),
        ({"good": "yes"}, "good"),
        ({"good": 1}, "good"),
        ({"score": "best"}, "score"),
        ({"score": 1.1}, "score"),
        ({"note": 3}, "note"),
    ],
)
def test_a_feedback_of_another_type_is_refused(said: dict[str, Any], field: str) -> None:
    whole = {"decision_id": "x", "good": None, "score": None, "note": None, **said}
    with pytest.raises(ConfigError) as caught:
        arguments.verdict(**whole)

    assert caught.value.field == field
