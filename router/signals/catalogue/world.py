"""Signals of the world around: network, money, time, and how the tiers have been doing."""

from __future__ import annotations

from .signal import Signal

_DAY = (
    "this process's (of a server: all workers') bookings since local midnight, calls under way at "
    "their worst case; unknown once a call's price was"
)
_MOVING = "moving mean over this process's calls, over the tier's quickest target that is not open"

WORLD = (
    Signal(
        name="world.online",
        type="flag",
        known="request",
        may_be_unknown=True,
        cost_us=10,
        source="false while no target behind the network can be reached, true for 60 s after one "
        "answered; else the system's network interfaces, at most 10 s old: false when only "
        "loopback is up, and true says that there is a link, not that anything answers",
        summary="Whether there is a network.",
    ),
    Signal(
        name="world.spent_today_usd",
        type="number",
        unit="dollars",
        low=0,
        known="request",
        may_be_unknown=True,
        absent=0.0,
        source=_DAY,
        summary="Dollars spent today.",
    ),
    Signal(
        name="world.left_today_usd",
        type="number",
        unit="dollars",
        low=0,
        known="request",
        may_be_unknown=True,
        absent=1_000_000.0,
        source=f"`limits.day_usd` less {_DAY}; 1,000,000 without such a limit",
        summary="Dollars left today.",
    ),
    Signal(
        name="world.budget_used",
        type="number",
        low=0,
        high=1,
        known="request",
        may_be_unknown=True,
        absent=0.0,
        source="dollars spent today over `limits.day_usd`; 0 without such a limit",
        summary="Share of the day's dollars that is spent.",
    ),
    Signal(
        name="world.calibrated",
        type="flag",
        known="request",
        may_be_unknown=False,
        absent=False,
        source="the config: whether it names a calibration file under `confidence`, be that good "
        "or refused",
        summary="Whether drafts are to be judged by a calibration.",
    ),
    Signal(
        name="world.hour",
        type="number",
        unit="hours",
        low=0,
        high=24,
        known="request",
        may_be_unknown=False,
        source="the local clock; 13.5 is half past one",
        summary="Time of day.",
    ),
    Signal(
        name="world.weekday",
        type="word",
        words=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        known="request",
        may_be_unknown=False,
        source="the local calendar",
        summary="Day of the week.",
    ),
    Signal(
        name="tier.*.breaker",
        type="word",
        words=("closed", "half_open", "open"),
        known="request",
        may_be_unknown=True,
        source="the circuit breakers of the tier's targets, the best of them; unknown when no "
        "target serves the tier",
        summary="Whether calls to the tier are let through.",
    ),
    Signal(
        name="tier.*.first_token_s",
        type="number",
        unit="seconds",
        low=0,
        known="request",
        may_be_unknown=True,
        source=_MOVING,
        summary="Its usual time to the first token.",
    ),
    Signal(
        name="tier.*.end_s",
        type="number",
        unit="seconds",
        low=0,
        known="request",
        may_be_unknown=True,
        source=_MOVING,
        summary="Its usual time to the end of an answer.",
    ),
)
