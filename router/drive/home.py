"""What every request of a router shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..clock import Clock
from ..ledger.entry import Sink
from ..policy.confided import of_confidence
from ..policy.rules import Policy
from ..signals import wanted_signals
from .live import Live
from .measured import SOURCES
from .outgoing import Transform
from .senses import Senses
from .wanted import Wanted

_POLICIES = 64
"""Policies whose signals are remembered; each change of a file makes another one."""


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
    _wanted: dict[str, Wanted] = field(default_factory=dict, init=False, repr=False)

    def wanted(self, policy: Policy) -> Wanted:
        """The signals that a request under `policy` is measured by."""
        found = self._wanted.get(policy.revision)
        if found is None:
            tiers = [live.target.tier for live in self.targets.values()]
            names = wanted_signals(policy.signals(), policy.record_signals, tiers)
            if self.senses.confidence is not None and of_confidence(names):
                names |= SOURCES
            found = Wanted(names)
            if len(self._wanted) >= _POLICIES:
                self._wanted.clear()
            self._wanted[policy.revision] = found
        return found
