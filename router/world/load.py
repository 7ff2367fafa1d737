"""How busy this machine's processor is, all programs together."""

from __future__ import annotations


def processor_used(over_s: float = 1.0) -> float:
    """Share of all processors in use over the next `over_s` seconds, 0 to 1.

    Blocks for so long; call it in a worker thread.
    """
    import psutil

    return float(psutil.cpu_percent(interval=over_s)) / 100
