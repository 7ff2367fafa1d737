"""Exact arithmetic with dollars, whatever the app's own decimal context is."""

from __future__ import annotations

from decimal import Context

EXACT = Context(prec=50)
"""`EXACT.add(a, b)`, `EXACT.subtract(a, b)`: an app's context may round to a few digits."""
