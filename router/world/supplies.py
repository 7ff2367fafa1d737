"""The machine's battery and plug as the Linux kernel lists them.

psutil is not asked here: it takes the first supply whose name looks like a battery, which may be
the mouse's, and finds none where the kernel calls it something else.

Source: Documentation/ABI/testing/sysfs-class-power of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")
_FIELDS = ("type", "scope", "present", "status", "capacity", "online")
_PLUGGED = {"Charging": True, "Full": True, "Not charging": True, "Discharging": False}

Supply = Mapping[str, str]


def power(folder: Path = SUPPLIES) -> tuple[float | None, bool | None]:
    """The batteries' mean charge, 0 to 1, and whether the machine is plugged in.

    A machine whose list names no battery of its own has none: 1.0 and True. None: there is a
    battery that can't be read, or the list itself can't.
    """
    try:
        supplies = [_read(entry) for entry in sorted(folder.iterdir())]
    except OSError:
        return None, None
    own = [supply for supply in supplies if supply.get("scope") != "Device"]
    batteries = [s for s in own if s.get("type") == "Battery" and s.get("present") != "0"]
    if not batteries:
        return 1.0, True
    return _charge(batteries), _on_mains(batteries, own)


def _read(entry: Path) -> Supply:
    """What the kernel says of one supply; a field it lacks or can't read is left out."""
    found = {}
    for field in _FIELDS:
        try:
            found[field] = (entry / field).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
    return found


def _charge(batteries: Sequence[Supply]) -> float | None:
    """Mean over the batteries, whatever their size. None: one of them does not say."""
    shares = []
    for battery in batteries:
        percent = battery.get("capacity", "")
        if not percent.isdecimal() or int(percent) > 100:
            return None
        shares.append(int(percent) / 100)
    return sum(shares) / len(shares)


def _on_mains(batteries: Sequence[Supply], own: Sequence[Supply]) -> bool | None:
    """A plug that says it feeds the machine; without one, what the batteries do."""
    plugs = [s.get("online") for s in own if s.get("type") not in ("Battery", "UPS")]
    if any(online not in (None, "0") for online in plugs):
        return True
    does = [_PLUGGED.get(battery.get("status", "")) for battery in batteries]
    if False in does:
        return False
    if True in does:
        return True
    return False if "0" in plugs else None
