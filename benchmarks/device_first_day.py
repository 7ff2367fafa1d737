"""The first day: no label, no calibration. What a shipped policy keeps of the device's drafts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from device_cache import Draft
from device_set import Question

from router.policy.load import load
from router.policy.simulate import Given, Reply, simulate
from router.signals.catalogue import Value
from router.signals.draft import draft_signals
from router.types import Completion, Request

POLICY = Path(__file__).parent.parent / "policies" / "balanced.yaml"
_GIVEN: dict[str, Value] = {
    "request.label": "public",
    "device.fits": True,
    "device.in_time": True,
    "device.sees_images": False,
    "device.calls_tools": False,
    "world.calibrated": False,
}
"""What such a request meets on a machine that has the model, and no calibration."""


def first_day(asked: Sequence[tuple[Question, Draft]]) -> tuple[int, int]:
    """How many drafts are kept on the device, and how many of those are called certified."""
    policy, prices = load(POLICY), dict.fromkeys(("device", "cloud-fast"), Decimal(0))
    wanted = policy.signals()
    kept = certified = 0
    for question, draft in asked:
        request = Request(messages=question.messages())
        said = Completion(text=draft.text, tokens=draft.stats, finish=draft.finish)
        signals = draft_signals(said, request, wanted, _GIVEN)
        replies = {"device": Reply(signals=signals)}
        played = simulate(policy, Given(signals=_GIVEN, replies=replies, prices=prices))
        if played.answer == "device":
            kept += 1
            certified += played.certified is True
    return kept, certified
