"""Is a model on this machine fit to answer first? Real runs, and a report that can be shared."""

from .run import run

__all__ = ["run"]
