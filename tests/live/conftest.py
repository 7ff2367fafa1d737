"""Live tests need what every other test is kept from: keys, and the world beyond this machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_keys() -> None:
    """In place of the fixture that takes keys away."""


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    """In place of the fixture that keeps tests on this machine."""
