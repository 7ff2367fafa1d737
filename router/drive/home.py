"""What every request of a router shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..clock import Clock
from ..ledger.entry import Sink
from .live import Live
from .outgoing import Transform
from .senses import Senses


@dataclass(frozen=True, slots=True)
class Home:
    """What every request of a router shares.

    Attributes:
        targets: What can be called, by name, in the order of the config.
        ledger: Where everything is booked.
        senses: Where signals are read from, and what was measured goes.
        keep_text: Whether prompts and answers go into the ledger.
        transforms: What leaves for a target goes through these, in order.
    """

    targets: Mapping[str, Live]
    ledger: Sink
    clock: Clock
    senses: Senses
    keep_text: bool = False
    transforms: Sequence[Transform] = ()
