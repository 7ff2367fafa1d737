"""Whether the machine's network is paid by volume, where the system keeps such a word.

Nothing is concluded here: what the system does not say is None. Blocking, at most a second.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LONGEST_S = 1.0
_NM = "org.freedesktop.NetworkManager"
_NM_METERED = {b"u 1": True, b"u 2": False, b"u 3": True, b"u 4": False}
"""`NMMetered`: yes, no, guess-yes, guess-no; 0 is unknown. The guesses are NetworkManager's own, by
the kind of link and the DHCP server's hint, and all there is unless somebody set the profile."""
_COST_HINT = {1: False, 2: True, 3: True}
"""`NL_NETWORK_CONNECTIVITY_COST_HINT`: unrestricted, fixed (an allotment), variable (by the byte);
0 is unknown."""


def of_network_manager(busctl: str, state: Path = Path("/run/NetworkManager")) -> bool | None:
    """NetworkManager's word for the whole machine. None: it is not there or does not say.

    Args:
        busctl: Path of systemd's D-Bus client.
        state: The folder NetworkManager makes when it starts; without it nobody is asked.

    Source: D-Bus property `org.freedesktop.NetworkManager.Metered`, since 1.0.6.
    """
    path = "/" + _NM.replace(".", "/")
    command = [busctl, "--system", f"--timeout={LONGEST_S:g}", "get-property"]
    try:
        if not state.is_dir():
            return None
        said = subprocess.run(
            [*command, _NM, path, _NM, "Metered"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _NM_METERED.get(said.strip())


def of_cost_hint(cost: int) -> bool | None:
    """What Windows's cost hint says."""
    return _COST_HINT.get(cost)


if sys.platform == "win32":

    def metered() -> bool | None:
        """Windows's word for the whole machine. None: it does not say, or is older than 2004.

        Source: `GetNetworkConnectivityHint` in iphlpapi.dll, Windows 10 version 2004 and later.
        """
        import ctypes

        class Hint(ctypes.Structure):
            _fields_ = (
                ("level", ctypes.c_int),
                ("cost", ctypes.c_int),
                ("approaching_data_limit", ctypes.c_ubyte),
                ("over_data_limit", ctypes.c_ubyte),
                ("roaming", ctypes.c_ubyte),
            )

        try:
            ask = ctypes.WinDLL("iphlpapi").GetNetworkConnectivityHint
        except (OSError, AttributeError):
            return None
        ask.argtypes, ask.restype = [ctypes.POINTER(Hint)], ctypes.c_ulong
        hint = Hint()
        return None if ask(ctypes.byref(hint)) else of_cost_hint(hint.cost)

elif sys.platform == "linux":

    def metered() -> bool | None:
        """NetworkManager's word for the whole machine. None: nobody says."""
        import shutil

        busctl = shutil.which("busctl")
        return None if busctl is None else of_network_manager(busctl)

else:

    def metered() -> bool | None:
        """None: this system has no word for it that a program without a window may ask."""
        return None
