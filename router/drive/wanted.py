"""The signals that requests under one policy are measured by, sorted once by who can tell them."""

from __future__ import annotations

from ..policy.confided import of_confidence

_LANGUAGES = frozenset(("prompt.language", "draft.language", "draft.same_language"))
_OF_MONEY = frozenset(
    f"world.{name}" for name in ("spent_today_usd", "left_today_usd", "budget_used")
)
_OF_TIME = frozenset(("world.hour", "world.weekday"))
_NEED_HEALTH = frozenset(
    f"device.{name}" for name in ("loaded", "queue", "first_token_s", "end_s", "in_time")
)
_NEED_TOKENS = _NEED_HEALTH | {"prompt.tokens", "device.fits"}
_WAITED_FOR = frozenset(("prompt.language", "prompt.tokens", "world.online"))
_OF_MACHINE = ("battery", "on_mains", "metered", "temperature_c", "throttled")
_NEED_MACHINE = frozenset((*(f"device.{name}" for name in _OF_MACHINE), "world.online"))


class Wanted:
    """Names of signals, and who has to be asked for them. Made once, read at each request.

    Attributes:
        names: All of them.
        of_request: Those that are no draft's, in order.
        of_text: What the request itself is looked at for, in order: these, and what one of them is
            found by.
        of_draft: Those that are a draft's, in order.
        of_confidence: Those of them that only a calibration tells, in order.
        tiers: Tiers of which something is wanted, in order.
        languages: A language is among them, of the prompt or of a draft.
        tokens: What is found by the device's count of the prompt is.
        device: Something of the device or of the machine is; so `machine` and `health`.
        money: The day's dollars are.
        time: The hour or the weekday is.
        waits: To tell one of them may have to be waited for.
    """

    __slots__ = (
        "device", "health", "languages", "machine", "money", "names", "of_confidence", "of_draft",
        "of_request", "of_text", "tiers", "time", "tokens", "waits",
    )  # fmt: skip

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.of_draft = tuple(sorted(name for name in names if name.startswith("draft.")))
        self.of_request = tuple(sorted(names.difference(self.of_draft)))
        chance = "prompt.escalation_chance" in names
        self.of_text = tuple(sorted({*self.of_request, *(["complexity.score"] if chance else ())}))
        self.of_confidence = tuple(sorted(of_confidence(names)))
        of_tiers = [name for name in names if name.startswith("tier.")]
        tiers = {name.split(".", 1)[1].rpartition(".")[0] for name in of_tiers}
        self.tiers = tuple(sorted(tiers))
        self.languages = not names.isdisjoint(_LANGUAGES)
        self.tokens = not names.isdisjoint(_NEED_TOKENS)
        self.machine = not names.isdisjoint(_NEED_MACHINE)
        self.health = not names.isdisjoint(_NEED_HEALTH)
        of_device = any(name.startswith("device.") for name in names)
        self.device = of_device or "world.online" in names
        self.money = not names.isdisjoint(_OF_MONEY)
        self.time = not names.isdisjoint(_OF_TIME)
        self.waits = of_device or not names.isdisjoint(_WAITED_FOR)
