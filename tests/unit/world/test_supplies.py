"""Charge and plug from the kernel's list of supplies, with the things in it that mislead."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.world.supplies import power

Supply = dict[str, str]

AC: Supply = {"type": "Mains", "online": "1"}
NO_AC: Supply = {"type": "Mains", "online": "0"}
MOUSE: Supply = {"type": "Battery", "scope": "Device", "status": "Discharging", "capacity": "5"}


def battery(capacity: str | None = "60", status: str | None = "Discharging") -> Supply:
    given = {"type": "Battery", "capacity": capacity, "status": status}
    return {field: value for field, value in given.items() if value is not None}


def listed(folder: Path, **supplies: Supply) -> Path:
    for name, fields in supplies.items():
        (folder / name).mkdir()
        for field, value in fields.items():
            (folder / name / field).write_text(f"{value}\n", encoding="ascii")
    return folder


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ({}, (1.0, True)),
        ({"AC": AC}, (1.0, True)),
        ({"BAT0": battery(), "AC": NO_AC}, (0.6, False)),
        ({"BAT0": battery("100", "Full"), "AC": AC}, (1.0, True)),
        ({"BAT0": battery("80", "Not charging"), "AC": AC}, (0.8, True)),
        ({"BAT0": battery("0")}, (0.0, False)),
        ({"C1AC": battery("42", "Charging")}, (0.42, True)),
        ({"BAT0": battery("5"), "BAT1": battery("95", "Unknown")}, (0.5, False)),
        ({"BAT0": battery("80", "Unknown"), "AC": NO_AC}, (0.8, False)),
        ({"BAT0": battery("80", "Unknown")}, (0.8, None)),
        ({"BAT0": battery("80", None)}, (0.8, None)),
        ({"BAT0": battery("80"), "ucsi": {"type": "USB", "online": "1"}}, (0.8, True)),
    ],
)
def test_charge_and_plug_are_read(
    tmp_path: Path, supplies: dict[str, Supply], expected: tuple[float | None, bool | None]
) -> None:
    assert power(listed(tmp_path, **supplies)) == expected


def test_a_mouse_is_not_the_machines_battery(tmp_path: Path) -> None:
    assert power(listed(tmp_path, hidpp_battery_0=MOUSE)) == (1.0, True)


def test_a_mouse_beside_a_battery_changes_nothing(tmp_path: Path) -> None:
    folder = listed(tmp_path, hidpp_battery_0=MOUSE, zz=battery("70", "Charging"))

    assert power(folder) == (0.7, True)


def test_an_empty_bay_is_no_battery(tmp_path: Path) -> None:
    folder = listed(tmp_path, BAT0=battery("90"), BAT1={"type": "Battery", "present": "0"})

    assert power(folder) == (0.9, False)


@pytest.mark.parametrize("capacity", [None, "", "-1", "101", "255", "full", "²"])
def test_a_battery_that_cannot_be_read_is_unknown_not_absent(
    tmp_path: Path, capacity: str | None
) -> None:
    folder = listed(tmp_path, AC=AC)
    (folder / "BAT0").mkdir()
    (folder / "BAT0" / "type").write_text("Battery\n", encoding="ascii")
    if capacity is not None:
        (folder / "BAT0" / "capacity").write_text(capacity, encoding="utf-8")

    assert power(folder) == (None, True)


def test_one_unreadable_battery_of_two_makes_the_charge_unknown(tmp_path: Path) -> None:
    folder = listed(tmp_path, BAT0=battery("90"), BAT1=battery(None))

    assert power(folder) == (None, False)


def test_a_list_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    assert power(tmp_path / "none") == (None, None)
