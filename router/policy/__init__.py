"""Numbers become a choice: rules, the decision they make, and its explanation."""

from .decide import After, Before, after, before
from .explain import PolicyTrace
from .rules import Limits, Policy

__all__ = ["After", "Before", "Limits", "Policy", "PolicyTrace", "after", "before"]
