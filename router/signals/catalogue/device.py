"""Signals of the device that takes the first hop."""

from __future__ import annotations

from .signal import Signal

_SPEED = (
    "the speeds that the worker has measured, for all apps that share it and kept over its starts, "
    "and the jobs it has just now; with no worker up its start is in front; unknown until it has "
    "read and written a little"
)
_ABILITY = "what the device's target is able to do; unknown without one"

DEVICE = (
    Signal(
        name="device.loaded",
        type="flag",
        known="request",
        may_be_unknown=False,
        absent=False,
        cost_us=150,
        source="the worker; false when there is no device target",
        summary="Whether the model is in memory and answering.",
    ),
    Signal(
        name="device.queue",
        type="number",
        unit="requests",
        low=0,
        whole=True,
        known="request",
        may_be_unknown=True,
        absent=0,
        cost_us=200,
        source="the worker, over all apps that share it; 0 while none is up",
        summary="Requests that are there already, the running ones included.",
    ),
    Signal(
        name="device.first_token_s",
        type="number",
        unit="seconds",
        low=0,
        known="request",
        may_be_unknown=True,
        cost_us=250,
        source=_SPEED,
        summary="Predicted time to the first token, queue included.",
    ),
    Signal(
        name="device.end_s",
        type="number",
        unit="seconds",
        low=0,
        known="request",
        may_be_unknown=True,
        cost_us=250,
        source=f"{_SPEED}; for an answer as long as its answers get, within its cap",
        summary="Predicted time to the answer's end, queue included.",
    ),
    Signal(
        name="device.in_time",
        type="flag",
        known="request",
        may_be_unknown=True,
        absent=True,
        cost_us=250,
        source="`device.end_s` against the deadline; true when there is no deadline",
        summary="Whether its answer is predicted to end before the deadline.",
    ),
    Signal(
        name="device.fits",
        type="flag",
        known="request",
        may_be_unknown=True,
        cost_us=300,
        source="`prompt.tokens` with 128 tokens for an answer, or fewer if fewer are asked, "
        "against the device model's context limit; unknown until one of them is",
        summary="Whether the prompt fits the device's model and leaves room for an answer.",
    ),
    Signal(
        name="device.sees_images",
        type="flag",
        known="request",
        may_be_unknown=True,
        source=_ABILITY,
        summary="Whether its model takes pictures.",
    ),
    Signal(
        name="device.calls_tools",
        type="flag",
        known="request",
        may_be_unknown=True,
        source=_ABILITY,
        summary="Whether its model can call tools.",
    ),
    Signal(
        name="device.battery",
        type="number",
        low=0,
        high=1,
        known="request",
        may_be_unknown=True,
        absent=1.0,
        cost_us=10,
        source="the system, at most 10 s old; 1 without a battery",
        summary="Charge of the battery.",
    ),
    Signal(
        name="device.on_mains",
        type="flag",
        known="request",
        may_be_unknown=True,
        absent=True,
        cost_us=10,
        source="the system, at most 10 s old; true without a battery",
        summary="Whether it is plugged in.",
    ),
    Signal(
        name="device.metered",
        type="flag",
        known="request",
        may_be_unknown=True,
        cost_us=10,
        source="the system, at most 10 s old, where it can be asked (NetworkManager, Windows); "
        "unknown elsewhere",
        summary="Whether its network is paid by volume.",
    ),
    Signal(
        name="device.temperature_c",
        type="number",
        unit="degrees Celsius",
        known="request",
        may_be_unknown=True,
        cost_us=10,
        source="the system's hottest processor sensor, at most 10 s old; unknown where there "
        "is none",
        summary="How hot the processor is.",
    ),
    Signal(
        name="device.throttled",
        type="flag",
        known="request",
        may_be_unknown=True,
        cost_us=10,
        source="the Linux kernel's cooling devices, at most 10 s old; unknown where it lists none "
        "of the processor's, and on other systems",
        summary="Whether the processor is slowed down because it is hot.",
    ),
)
