"""The state of a layer: asked of the device where somebody reads it, and handed on with the draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from support.street import Fixed, Player, Street, ask, collected, says

from router.layerstate import LayerState
from router.policy import predicates
from router.policy.rules import Policy, Requirement
from router.signals.catalogue import Value
from router.types import Chunk, Completion, Request

STATE = LayerState(layer=20, mean=b"\0" * 8)
"""Of two zeros."""
