"""Weights on this disk: which models there are, how they get here, whether they are right."""

from __future__ import annotations

from .catalogue import CATALOGUE, HubSource, Model, Precision, WheelSource
from .manifest import FileEntry, Manifest
from .placing import default_root
from .progress import OnProgress, Phase, Progress
from .shelf import FileCheck, Found, Installed, Report
from .store import Store

__all__ = [
    "CATALOGUE",
    "FileCheck",
    "FileEntry",
    "Found",
    "HubSource",
    "Installed",
    "Manifest",
    "Model",
    "OnProgress",
    "Phase",
    "Precision",
    "Progress",
    "Report",
    "Store",
    "WheelSource",
    "default_root",
]
