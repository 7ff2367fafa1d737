"""Findings as plain values for machines. What is no number in JSON is null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .compare import Change
from .findings import Findings
from .measured import Figure


def plain(found: Findings) -> dict[str, Any]:
    """Everything, by the names of the fields; arrays as lists."""
    made = _plain(found)
    assert isinstance(made, dict)
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return [_plain(x) for x in value.tolist()]
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Figure | Change):
            made["better"] = value.kind.better
        if isinstance(value, Change):
            made["verdict"] = value.verdict
        return made
    return value
