"""Battery, plug, network and heat of this machine, read at most once in a while.

Reading blocks for some milliseconds, so it is done in a worker thread; what it found is kept.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

from ..clock import Clock
from .metered import metered
from .supplies import power
from .throttle import throttled

log = logging.getLogger("firsthop")

FRESH_S = 10.0
"""Seconds for which a reading is good enough."""
_CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "x86_pkg_temp", "soc_thermal")
"""Sensors that are the processor's own. Boards' name theirs ``cpu...``; acpitz is the case's."""
_SANE_C = (-60.0, 150.0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One reading. None: not known.

    Attributes:
        battery: Charge, 0 to 1; 1 without a battery.
        on_mains: Whether it is plugged in; true without a battery.
        metered: Whether its network is paid by volume.
        temperature_c: Degrees Celsius of the hottest processor sensor.
        throttled: Whether heat slows the processor down.
        online: Whether there is a link to anywhere; not that anything answers.
    """

    battery: float | None = None
    on_mains: bool | None = None
    metered: bool | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    online: bool | None = None


class Machine:
    """What the machine last said. `fresh` is for the event loop, `read` for any other thread.

    Threads that ask to read at the same time share one reading.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        system: Any = None,
        power: Callable[[], tuple[float | None, bool | None]] | None = None,
        metered: Callable[[], bool | None] = metered,
        throttled: Callable[[], bool | None] = throttled,
    ) -> None:
        """Read nothing yet.

        Args:
            system: psutil, or what has its functions. None: psutil, imported at the first reading.
            power: Charge and plug. None: the kernel's list on Linux, `system` elsewhere.
            metered: Whether the network is paid by volume.
            throttled: Whether heat slows the processor down.
        """
        self._clock = clock
        self._system = system
        self._power = power
        self._metered = metered
        self._throttled = throttled
        self._reading = threading.Lock()
        self._last: tuple[float, Facts] | None = None

    def fresh(self) -> Facts | None:
        """The last reading. None: there is none, or it is older than `FRESH_S`."""
        last = self._last
        return last[1] if last and self._clock.now() - last[0] <= FRESH_S else None

    def read(self) -> Facts:
        """Ask the machine and remember what it says. Blocks; call it in a worker thread."""
        before = self._last
        with self._reading:
            last = self._last
            if last is not None and last is not before:
                return last[1]
            at, facts = self._clock.now(), self._facts()
            self._last = at, facts
        return facts

    def _facts(self) -> Facts:
        system = self._system = self._system or _psutil()
        if self._power is not None:
            battery, on_mains = self._power()
        else:
            battery, on_mains = power() if sys.platform == "linux" else asked_power(system)
        return Facts(
            battery=battery,
            on_mains=on_mains,
            metered=self._metered(),
            temperature_c=hottest_c(_asked(system, "sensors_temperatures", {})),
            throttled=self._throttled(),
            online=linked(_asked(system, "net_if_stats", {}), _asked(system, "net_if_addrs", {})),
        )


def hottest_c(chips: Mapping[str, Sequence[Any]]) -> float | None:
    """Degrees Celsius of the hottest processor sensor. None: there is none.

    AMD's ``Tctl`` is what fans go by, on some processors 10 to 27 degrees above the silicon; it
    counts only on chips that do not also give ``Tdie``.

    Args:
        chips: psutil's `sensors_temperatures`: by chip, each with `.label` and `.current`.
    """
    found: list[float] = []
    for chip, sensors in chips.items():
        name = chip.lower().replace("-", "_")
        if not (name in _CPU_CHIPS or name.startswith("cpu")):
            continue
        die = any(sensor.label == "Tdie" for sensor in sensors)
        found += [s.current for s in sensors if not (die and s.label == "Tctl")]
    low, high = _SANE_C
    sane = [c for c in found if isinstance(c, int | float) and low < c < high]
    return float(max(sane)) if sane else None


def linked(stats: Mapping[str, Any], addresses: Mapping[str, Iterable[Any]]) -> bool | None:
    """Whether an interface that is up has an address that reaches past its own link.

    None: no interface could be seen, not even loopback.

    Args:
        stats: psutil's `net_if_stats`: by interface, each with `.isup`.
        addresses: psutil's `net_if_addrs`: by interface, each with `.address`.
    """
    if not stats or not addresses:
        return None
    up = [name for name, stat in stats.items() if stat.isup]
    return any(_reaches(a.address) for name in up for a in addresses.get(name, ()))


def _reaches(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # an interface's hardware address is listed among the others
        return False
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast)


def charge_of(battery: Any) -> tuple[float | None, bool | None]:
    """Charge, 0 to 1, and plug from psutil's `sensors_battery`, which is None without a battery.

    Windows says 255 percent for a charge that it does not know.
    """
    if battery is None:
        return 1.0, True
    percent = battery.percent
    known = percent is not None and math.isfinite(percent) and 0 <= percent < 110
    return (min(1.0, percent / 100) if known else None), battery.power_plugged


def asked_power(system: Any) -> tuple[float | None, bool | None]:
    """Charge and plug as psutil has them. None: it has no way to ask here, or asking failed."""
    unread = object()
    battery = _asked(system, "sensors_battery", unread)
    return (None, None) if battery is unread else charge_of(battery)


def _asked(system: Any, name: str, unread: T) -> T:
    """What a function of psutil says; `unread` where it has none for this system, or it fails."""
    ask = getattr(system, name, None)
    if ask is None:
        return unread
    try:
        found: T = ask()
    except (OSError, RuntimeError, ValueError, LookupError, system.Error):
        return unread
    return found


def _psutil() -> Any:
    """psutil. Where it can't be loaded, a thing without functions: all of it is unknown then."""
    try:
        import psutil
    except (ImportError, NotImplementedError) as exc:
        log.warning("psutil can't be loaded, so battery, heat and network are unknown: %s", exc)
        return SimpleNamespace()
    return psutil
