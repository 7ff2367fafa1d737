"""The YAML shape of a policy, as pydantic models. `build` turns it into rules."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

from ..document import shown
from ..types import Label
from .rules import AtLimit, Escalate, OnFailure, OnFiltered, Recorded

_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_USD = 1_000_000
FEWEST_USD = Decimal("1e-12")


def dollars(value: object) -> Decimal:
    """A dollar amount from a config or a caller: text or a whole number, never a float.

    Raises:
        ValueError: it is no amount, is negative, finer than 1e-12 or more than a million. (A text
            such as "1e99999999" is a number, and writing it out would take 100 MB.)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('has to be an amount of dollars in quotes, like "0.01"')
    try:
        amount = Decimal(value)
    except ArithmeticError as exc:
        raise ValueError(f'{shown(value)} is no amount of dollars; write it like "0.01"') from exc
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise ValueError(f"{shown(value)} is no amount of dollars between 0 and {MOST_USD}")
    if amount % FEWEST_USD:
        raise ValueError(f"{shown(value)} is finer than {FEWEST_USD} dollars")
    return abs(amount)  # "-0" is zero


def _a_word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is no name: use at most 64 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first"
        )
    return value


Name = Annotated[StrictStr, AfterValidator(_a_word)]
Dollars = Annotated[Decimal, BeforeValidator(dollars)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Predicate = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class GuardPart(_Part):
    """Forbids tiers, or the whole request, when it matches, and when it can't tell."""

    id: Name
    when: Predicate
    forbid: Literal["request"] | Annotated[list[StrictStr], Field(min_length=1)]


class RoutePart(_Part):
    """Chooses where to start. The first rule that matches decides."""

    id: Name
    when: Predicate
    start: StrictStr


class AcceptPart(_Part):
    """What a draft of some tiers has to meet to be kept."""

    id: Name
    on: list[StrictStr] = Field(min_length=1)
    require: Predicate
    near_budget: Predicate | None = Field(
        default=None, description="Where the bars stand once the day's dollars are spent."
    )
    until_certified: Predicate | None = Field(
        default=None,
        description="Held in place of require while the config names no calibration file.",
    )


class EarlyPart(_Part):
    """Accept a draft before its end, and show it from there on."""

    on: list[StrictStr] = Field(min_length=1)
    tokens: StrictInt = Field(ge=1, le=100_000)
    require: Predicate


class BarPart(_Part):
    """A look at the draft so far that gives it up."""

    tokens: StrictInt = Field(ge=1, le=100_000)
    when: Predicate = Field(description="One comparison of one signal of the draft.")


class AbortPart(_Part):
    """Give a draft up before its end, and ask the next tier at once."""

    on: list[StrictStr] = Field(min_length=1)
    bars: list[BarPart] = Field(min_length=1, description="By length, shortest first.")


class OpinionsPart(_Part):
    """What is asked about a whole draft, where that decides whether it is kept."""

    on: list[StrictStr] = Field(min_length=1)
    samples: StrictInt = Field(
        default=0, ge=0, le=16, description="More answers of the draft's own target."
    )
    temperature: float = Field(
        default=0.7, strict=True, gt=0, le=2, allow_inf_nan=False, description="Of the samples."
    )
    second: StrictBool = Field(
        default=False, description="Whether another target of the tier answers too."
    )
    p_true: StrictBool | Literal["always"] = Field(
        default=False,
        description="Whether the model is asked if its draft is right; below 3B only by always.",
    )
    max_s: Seconds | None = Field(default=None, description="Most seconds for all of it.")


class LimitsPart(_Part):
    """Bounds of a request, and of a day."""

    hops: StrictInt | None = Field(default=None, ge=1, description="Most targets tried.")
    deadline_s: Seconds | None = Field(
        default=None, description="Seconds from arrival, shared by all hops."
    )
    cost_usd: Dollars | None = Field(default=None, description="Most dollars of a request.")
    day_usd: Dollars | None = Field(default=None, description="Most dollars of a local day.")
    pace_from: float = Field(
        default=0.7,
        strict=True,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Share of the day's dollars from which on the bars of near_budget move.",
    )
    at_limit: AtLimit = Field(
        default="draft", description="Give back the best draft, flagged, or refuse."
    )


class GainPart(_Part):
    """How best_gain weighs the stronger tiers."""

    source: Literal["labels"] | None = Field(
        default=None,
        alias="from",
        description="The config's calibration file tells what each tier gains; `share` beside it "
        "holds where it doesn't.",
    )
    share: dict[str, Share] | None = Field(
        default=None,
        description="By tier: how often it is right where the draft was not kept. It is what holds "
        "where no calibration file tells of all tiers.",
    )
    second_usd: Dollars = Field(
        default=Decimal(0), description="What a second of waiting is worth."
    )


class DoubtPart(_Part):
    """A look at the draft so far that starts a race."""

    tokens: StrictInt = Field(ge=1, le=100_000)
    when: Predicate


class RacePart(_Part):
    """When the next tier starts beside the device."""

    over_s: Seconds | None = Field(
        default=None, description="Only when predicted draft seconds times chance are more."
    )
    after_s: Seconds | None = Field(
        default=None, description="Seconds of drafting after which it starts."
    )
    doubt: DoubtPart | None = None
    cost_usd: Dollars = Field(description="Most dollars, at the worst case, it may cost.")


class HedgePart(_Part):
    """When a second target of a tier is asked beside one that is late."""

    on: list[StrictStr] = Field(min_length=1)
    cost_usd: Dollars = Field(description="Most dollars, at the worst case, the second may cost.")


class SamplePart(_Part):
    """Which kept answers are asked again of a stronger tier, for labels."""

    share: Share = Field(description="Of the requests that were kept.")
    tier: StrictStr
    day_usd: Dollars = Field(description="Most dollars of a local day for it.")


class PolicyDocument(_Part):
    """The document as people write it."""

    policy: Name
    summary: StrictStr
    tiers: list[Name] = Field(min_length=1, description="Weak to strong.")
    guards: list[GuardPart] = Field(
        default=[], description="Any one that matches forbids; order is nothing."
    )
    route: list[RoutePart] = Field(
        default=[], description="Before any model has run; the first that matches decides."
    )
    accept: list[AcceptPart] = Field(
        default=[], description="After each draft; all that apply must hold."
    )
    early: list[EarlyPart] = Field(default=[], description="Drafts accepted before their end.")
    abort: list[AbortPart] = Field(default=[], description="Drafts given up before their end.")
    opinions: list[OpinionsPart] = Field(
        default=[], description="What the device is asked about its own whole drafts."
    )
    limits: LimitsPart = LimitsPart()
    escalate: Escalate = Field(
        default="next", description="The next stronger tier, or the one worth its price most."
    )
    gain: GainPart | None = None
    on_failure: OnFailure = Field(
        default="draft",
        description="When nobody stronger answered: give back the best draft, flagged, or refuse.",
    )
    on_filtered: OnFiltered = Field(
        default="next",
        description="After a content filter: ask on, give the best draft back, or refuse.",
    )
    attach_draft: StrictBool = Field(
        default=False, description="Whether the draft goes along when the question goes on."
    )
    race: RacePart | None = None
    hedge: HedgePart | None = None
    sample: SamplePart | None = None
    default_label: Label = Field(
        default="public", description="Label of a request whose caller said nothing."
    )
    record_signals: Recorded = Field(
        default="policy", description="Which signals the ledger keeps."
    )
