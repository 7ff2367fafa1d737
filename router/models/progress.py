"""How far a pull has come: `Progress` values for whoever draws a bar.

A `Meter` is told of every block of bytes and passes on ten `Progress` a second at most,
and the first and the last of each phase always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["wait", "look", "download", "unpack", "convert", "check", "place", "done"]

_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment in a pull or a check.

    Attributes:
        model: Name of the model.
        phase: ``wait``: another process is pulling this model. ``look``: asking the source what
            there is. ``download``, ``unpack``, ``convert``, ``check`` (checksums): as they say.
            ``place``: all is checked, the folder is about to be moved into the store.
            ``done``: it is there.
        bytes_done: Bytes of this phase that are behind us, those of an earlier, broken-off pull
            among them. None: the phase isn't counted in bytes.
        bytes_total: None: not known, or not counted in bytes.
        fraction: 0 to 1. None: not known.
        detail: File name, or what the converter says it does.
    """

    model: str
    phase: Phase
    bytes_done: int | None = None
    bytes_total: int | None = None
    fraction: float | None = None
    detail: str = ""


OnProgress = Callable[[Progress], None]


class Meter:
    """Counts, and calls `on_progress` now and then.

    What `on_progress` raises goes through to the caller of the pull: that is how to stop one.

    Args:
        model: Name of the model.
        on_progress: None: nobody listens.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, model: str, on_progress: OnProgress | None, now: Callable[[], float]):
        self._model = model
        self._tell = on_progress
        self._now = now
        self._phase: Phase = "look"
        self._done: int | None = None
        self._total: int | None = None
        self._detail = ""
        self._told_at = 0.0

    def begin(
        self, phase: Phase, *, total: int | None = None, done: int | None = None, detail: str = ""
    ) -> None:
        """Start a phase; `done` bytes of it were there before. Always told."""
        self._phase, self._total, self._detail = phase, total, detail
        self._done = 0 if done is None and total is not None else done
        self._emit()

    def detail(self, text: str) -> None:
        """Say what is being worked on, from the next `Progress` on."""
        self._detail = text

    def advance(self, count: int) -> None:
        """`count` more bytes are done; negative when some have to be done again."""
        self._done = (self._done or 0) + count
        if self._done == self._total or self._now() - self._told_at >= _EVERY_S:
            self._emit()

    def share(self, detail: str, fraction: float) -> None:
        """For phases not counted in bytes: 0 to 1."""
        self._detail = detail
        self._emit(min(1.0, max(0.0, fraction)))

    def _emit(self, fraction: float | None = None) -> None:
        self._told_at = self._now()
        if self._tell is None:
            return
        if fraction is None and self._total and self._done is not None:
            fraction = self._done / self._total
        self._tell(
            Progress(
                model=self._model,
                phase=self._phase,
                bytes_done=self._done,
                bytes_total=self._total,
                fraction=fraction,
                detail=self._detail,
            )
        )
