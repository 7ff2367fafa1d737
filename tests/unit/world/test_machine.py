"""What the machine says of itself, as far as it can be asked, and for how long that holds."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from router.clock import ManualClock, SystemClock
from router.world.machine import FRESH_S, Facts, Machine, asked_power, charge_of, hottest_c, linked


class Odd(Exception):
    """As psutil's own errors are: of no built-in kind."""


def sensor(current: Any, label: str = "") -> Any:
    return SimpleNamespace(label=label, current=current, high=None, critical=None)


def interface(isup: bool) -> Any:
    return SimpleNamespace(isup=isup, duplex=0, speed=0, mtu=1500, flags="")


def address(text: str) -> Any:
    return SimpleNamespace(family=socket.AF_INET, address=text, netmask=None)


def system(**functions: Any) -> Any:
    return SimpleNamespace(Error=Odd, **functions)


def quiet(clock: ManualClock, **more: Any) -> Machine:
    """A machine that says nothing but what the test gives it."""
    given = {
        "system": system(),
        "power": lambda: (None, None),
        "metered": lambda: None,
        "throttled": lambda: None,
    }
    return Machine(clock, **(given | more))


def test_nothing_is_fresh_before_the_first_reading() -> None:
    assert quiet(ManualClock()).fresh() is None


def test_a_reading_is_good_for_ten_seconds() -> None:
    clock = ManualClock()
    machine = quiet(clock, power=lambda: (0.5, False))
    facts = machine.read()
    clock.advance(FRESH_S)
    assert machine.fresh() is facts
    clock.advance(0.001)

    assert machine.fresh() is None


def test_each_reading_asks_anew() -> None:
    charges = iter((0.5, 0.4))
    machine = quiet(ManualClock(), power=lambda: (next(charges), False))

    assert [machine.read().battery, machine.read().battery] == [0.5, 0.4]
    fresh = machine.fresh()
    assert fresh is not None
    assert fresh.battery == 0.4


def test_all_that_is_said_is_in_the_facts() -> None:
    machine = quiet(
        ManualClock(),
        power=lambda: (0.25, False),
        metered=lambda: True,
        throttled=lambda: True,
        system=system(
            sensors_temperatures=lambda: {"coretemp": [sensor(61.0)]},
            net_if_stats=lambda: {"eth0": interface(True)},
            net_if_addrs=lambda: {"eth0": [address("192.0.2.2")]},
        ),
    )

    assert machine.read() == Facts(
        battery=0.25,
        on_mains=False,
        metered=True,
        temperature_c=61.0,
        throttled=True,
        online=True,
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        PermissionError(),
        RuntimeError(),
        NotImplementedError(),
        ValueError(),
        KeyError(),
        Odd(),
    ],
)
def test_what_fails_is_unknown_and_spoils_nothing_else(error: Exception) -> None:
    def fail() -> Any:
        raise error

    broken = system(sensors_temperatures=fail, net_if_stats=fail, net_if_addrs=fail)
    machine = quiet(ManualClock(), system=broken, power=lambda: (1.0, True))

    assert machine.read() == Facts(battery=1.0, on_mains=True)


def test_a_mistake_of_our_own_is_not_hidden() -> None:
    def fail() -> Any:
        raise TypeError("ours")

    with pytest.raises(TypeError, match="ours"):
        quiet(ManualClock(), system=system(sensors_temperatures=fail)).read()


def test_threads_that_read_at_once_share_one_reading() -> None:
    about = (threading.Event(), threading.Event())
    together = threading.Barrier(2)
    readings: list[bool] = []

    def metered() -> None:
        for event in about:
            assert event.wait(10)
        try:
            together.wait(0.2)  # passes only if another reading goes on at the same time
            readings.append(False)
        except threading.BrokenBarrierError:
            readings.append(True)

    machine = quiet(ManualClock(), metered=metered)

    def read(event: threading.Event) -> None:
        event.set()
        machine.read()

    threads = [threading.Thread(target=read, args=(event,)) for event in about]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert readings == [True]


def test_a_reading_that_failed_lets_the_next_one_go_on() -> None:
    answers = iter((TypeError("ours"), None))

    def metered() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    machine = quiet(ManualClock(), metered=metered)
    with pytest.raises(TypeError):
        machine.read()
    assert machine.fresh() is None

    assert machine.read() == Facts()


def test_this_machine_can_be_asked() -> None:
    machine = Machine(SystemClock())
    facts = machine.read()

    assert machine.fresh() == facts
    assert facts.battery is None or 0 <= facts.battery <= 1
    assert facts.on_mains in (None, True, False)
    assert facts.online in (None, True, False)
    if sys.platform == "linux":
        assert facts.online is not None


def test_psutil_has_the_functions_that_are_asked_by_name() -> None:
    assert callable(psutil.net_if_stats)
    assert callable(psutil.net_if_addrs)
    assert issubclass(psutil.Error, Exception)
    if sys.platform == "linux":
        assert callable(psutil.sensors_temperatures)
    if sys.platform in ("linux", "win32", "darwin"):
        assert callable(psutil.sensors_battery)


@pytest.mark.parametrize(
    ("chips", "expected"),
    [
        ({}, None),
        ({"coretemp": []}, None),
        ({"coretemp": [sensor(50.0, "Package id 0"), sensor(57.5, "Core 1")]}, 57.5),
        ({"cpu_thermal": [sensor(48)], "nvme": [sensor(80.0)], "acpitz": [sensor(90.0)]}, 48.0),
        ({"cpu-thermal": [sensor(48.0)]}, 48.0),
        ({"cpu0_thermal": [sensor(40.0)], "cpu1_thermal": [sensor(41.0)]}, 41.0),
        ({"nvme": [sensor(80.0)], "iwlwifi_1": [sensor(60.0)]}, None),
        ({"k10temp": [sensor(70.0, "Tctl"), sensor(60.0, "Tdie")]}, 60.0),
        ({"k10temp": [sensor(70.0, "Tctl"), sensor(62.0, "Tccd1")]}, 70.0),
        ({"coretemp": [sensor(None), sensor(float("nan")), sensor(65261.8), sensor(51.0)]}, 51.0),
        ({"coretemp": [sensor(-128.0)]}, None),
    ],
)
def test_the_hottest_sensor_of_the_processor_counts(
    chips: dict[str, Any], expected: float | None
) -> None:
    assert hottest_c(chips) == expected


LOOPBACK = {"lo": [address("127.0.0.1"), address("::1"), address("00:00:00:00:00:00")]}


@pytest.mark.parametrize(
    ("up", "addresses", "expected"),
    [
        (True, [], False),
        (True, ["192.0.2.2"], True),
        (True, ["2001:db8::2"], True),
        (True, ["fd00::2"], True),
        (False, ["192.0.2.2"], False),
        (True, ["169.254.3.4"], False),
        (True, ["fe80::1%eth0"], False),
        (True, ["02:fc:00:00:00:01"], False),
        (True, ["0.0.0.0", "::"], False),
        (True, ["fe80::1%eth0", "10.1.2.3"], True),
    ],
)
def test_online_is_an_address_that_reaches_past_its_link(
    up: bool, addresses: list[str], expected: bool
) -> None:
    stats = {"lo": interface(True), "eth0": interface(up)}
    given = LOOPBACK | {"eth0": [address(text) for text in addresses]}

    assert linked(stats, given) is expected


def test_only_loopback_is_offline_and_no_interface_at_all_is_unknown() -> None:
    assert linked({"lo": interface(True)}, LOOPBACK) is False
    assert linked({}, LOOPBACK) is None
    assert linked({"lo": interface(True)}, {}) is None
    assert linked({"lo": interface(True), "gone": interface(True)}, LOOPBACK) is False


def battery(percent: Any, plugged: bool | None) -> Any:
    return SimpleNamespace(percent=percent, secsleft=-1, power_plugged=plugged)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, (1.0, True)),
        (battery(42, False), (0.42, False)),
        (battery(0, True), (0.0, True)),
        (battery(100.4, None), (1.0, None)),
        (battery(255, True), (None, True)),
        (battery(-1, False), (None, False)),
        (battery(None, False), (None, False)),
        (battery(float("nan"), True), (None, True)),
    ],
)
def test_no_battery_is_full_and_plugged_in_and_an_unknown_charge_is_unknown(
    said: Any, expected: tuple[float | None, bool | None]
) -> None:
    assert charge_of(said) == expected


def test_psutil_that_has_no_battery_function_leaves_it_unknown() -> None:
    def fail() -> Any:
        raise OSError

    assert asked_power(system(sensors_battery=lambda: battery(50, False))) == (0.5, False)
    assert asked_power(system(sensors_battery=lambda: None)) == (1.0, True)
    assert asked_power(system(sensors_battery=fail)) == (None, None)
    assert asked_power(system()) == (None, None)


def test_psutil_is_loaded_at_the_first_reading_not_before() -> None:
    code = (
        "import sys\n"
        "from router.clock import SystemClock; from router.world.machine import Machine\n"
        "machine = Machine(SystemClock()); assert 'psutil' not in sys.modules\n"
        "machine.read(); assert 'psutil' in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_psutil_its_facts_are_unknown_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)  # importing it fails from here on
    machine = quiet(ManualClock(), system=None, power=lambda: (0.5, False))

    assert machine.read() == machine.read() == Facts(battery=0.5, on_mains=False)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
