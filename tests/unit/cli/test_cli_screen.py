from __future__ import annotations

import pytest

from router.cli.screen import counted, folded

RULE = (
    " route  the-device-has-no-eyes   no       prompt.images 0 > 0, device.sees_images unknown is "
    "false   -> starts at cloud-fast"
)


def test_a_rule_goes_on_under_what_it_tests() -> None:
    lines = folded(RULE, 80).splitlines()

    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == " route  the-device-has-no-eyes   no       prompt.images 0 > 0,"
    assert lines[1] == " " * 42 + "device.sees_images unknown is false"


def test_a_terminal_too_narrow_for_that_gets_a_small_indent() -> None:
    second = folded(RULE, 60).splitlines()[1]

    assert len(second) - len(second.lstrip()) == 3


@pytest.mark.parametrize("width", [80, 60, 40])
def test_folding_loses_no_word(width: int) -> None:
    assert folded(RULE, width).split() == RULE.split()


def test_what_fits_stays_as_it_is() -> None:
    assert folded(RULE, 200) == RULE


@pytest.mark.parametrize(("count", "says"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases")])
def test_one_is_one(count: int, says: str) -> None:
    assert counted(count, "case") == says
