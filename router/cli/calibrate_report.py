"""The report of a calibration: its held-out rows, judged and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..calibration.made import Made


def draw(path: Path, made: Made, *, device: str, strong: str, look: str) -> None:
    """Write the report, of a refused calibration too, as far as there were rows to test it on.

    Args:
        device: The device model's name; `strong` what the strong tier is called.
        look: Which look at the model it was, in words.

    Raises:
        ConfigError: The extra `report` is not installed.
        OSError: The file can't be written.
    """
    from ..confidence.guarantee import Refused
    from ..evaluation.findings import find
    from ..evaluation.heldout import held_out
    from ..report.write import write_report
    from .calibrate_show import probe_said

    if not made.judged:
        return
    file = made.calibration
    certificate = None if isinstance(made.pooled, Refused) else made.pooled
    bars = None
    if file is not None:
        bars = [file.bar(one.row.task, one.row.language) for one in made.judged]
    judged = held_out(
        made.judged,
        name="the labels the promise was tested on",
        device=device,
        strong=strong,
        bars=bars,
        bar=0.0 if certificate is None else certificate.bar,
    )
    notes = [made.pooled.reason] if isinstance(made.pooled, Refused) else []
    notes.append(f"{look[0].upper()}{look[1:]}.")
    if made.probe is not None:
        notes.append(probe_said(made.probe))
    found = find(
        judged,
        certificate=certificate,
        promise=file.promise if file is not None and file.goal == "loss" else None,
        says="" if file is None else file.says,
        notes=tuple(notes),
        tiers=made.tiers,
    )
    write_report(path, found)
