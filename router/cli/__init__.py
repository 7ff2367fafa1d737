"""The command line: `firsthop`, also `python -m firsthop`."""

from .app import main

__all__ = ["main"]
