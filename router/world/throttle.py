"""Whether the processor is being slowed down against heat, where the system keeps such a word.

Nothing is concluded here: what the system does not say is None.

Source: Documentation/driver-api/thermal/sysfs-api.rst of the Linux kernel.
"""

from __future__ import annotations

import sys
from pathlib import Path

COOLERS = Path("/sys/class/thermal")
_OF_PROCESSOR = ("Processor", "cpufreq", "thermal-cpufreq", "intel_powerclamp", "thermal-idle")
"""Beginnings of the types of cooling devices that slow a processor down; the others are fans, the
graphics and the screen."""


def of_coolers(folder: Path = COOLERS) -> bool | None:
    """Whether a cooling device of the processor is at work. None: there is none that says.

    Its state is 0 while it lets the processor run as it likes, and -1 where it is switched off.
    """
    states = []
    try:
        coolers = sorted(folder.glob("cooling_device*"))
    except OSError:
        return None
    for cooler in coolers:
        try:
            kind = (cooler / "type").read_text(encoding="ascii", errors="replace").strip()
            if kind.startswith(_OF_PROCESSOR):
                states.append(int((cooler / "cur_state").read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return any(state > 0 for state in states) if states else None


def throttled() -> bool | None:
    """The system's word now. None: nobody says, as outside Linux."""
    return of_coolers() if sys.platform == "linux" else None
