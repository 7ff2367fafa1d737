"""A question or a draft becomes numbers and words that a policy can speak of. Pure."""

from .catalogue import CATALOGUE, AtMost, Signal, Value
from .draft import draft_signals, presentable
from .prompt import prompt_bound, request_signals
from .wanted import wanted_signals

__all__ = [
    "CATALOGUE",
    "AtMost",
    "Signal",
    "Value",
    "draft_signals",
    "presentable",
    "prompt_bound",
    "request_signals",
    "wanted_signals",
]
