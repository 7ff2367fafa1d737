"""The YAML shape of a policy's file of cases, as pydantic models. `cases` turns it into cases."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from ..hops import Status
from .document import Dollars

Says = Literal["answer", "nothing", "refusal"]
Wait = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class ExpectPart(_Part):
    """What has to come out; only what is written is compared."""

    path: list[StrictStr] | None = Field(default=None, description="Tiers asked, in order.")
    answer: StrictStr | None = Field(
        default=None, description="The tier whose answer is returned, or none."
    )
    status: Status | None = Field(default=None, description="How the request ends.")
    flags: list[StrictStr] | None = Field(default=None, description="Flags of the answer.")
    race: StrictStr | None = Field(
        default=None, description="The tier that would start beside the first, or none."
    )
    limit: StrictStr | None = Field(default=None, description="The limit that decided, or none.")
    certified: StrictBool | Literal["none"] | None = Field(
        default=None, description="The mark of a draft that is kept, or none."
    )


class DraftPart(_Part):
    """What one tier would answer, beside its signals."""

    fails: StrictStr | None = Field(
        default=None, description="It gives no answer: the kind of the failure."
    )
    says: Says = Field(default="answer", description="An answer, nothing at all, or a refusal.")
    seconds: Wait | None = Field(default=None, description="Until it is whole, or has failed.")
    usd: Dollars | None = Field(default=None, description="What it costs.")
    beginning: dict[str, Any] = Field(
        default={}, description="Its signals when an early commit looks at it."
    )


class CasePart(_Part):
    """One case: what is given, and what has to come out."""

    name: Text
    given: dict[str, Any] = Field(default={}, description="Signals of the request.")
    drafts: dict[str, dict[str, Any]] = Field(
        default={}, description="By tier, what it would answer."
    )
    unserved: list[StrictStr] = Field(default=[], description="Tiers without a target.")
    stay: StrictStr | None = Field(
        default=None, description="Inside a tool loop: the tier that made the call."
    )
    asked: StrictStr | None = Field(
        default=None, description="The tier whose target the caller named."
    )
    expect: ExpectPart


class UsualPart(_Part):
    """What every case has that says nothing else."""

    given: dict[str, Any] = Field(default={}, description="Signals of the request.")
    draft: dict[str, Any] = Field(default={}, description="Signals of every draft.")


class CasesDocument(_Part):
    """A whole file of cases."""

    policy: StrictStr | None = Field(
        default=None,
        description="The policy's file, beside this one; if not written, the same name.",
    )
    prices: dict[str, Dollars | None] = Field(
        default={}, description="By tier, dollars of a call at worst; null: not known."
    )
    seconds: dict[str, Wait] = Field(default={}, description="By tier, expected seconds.")
    usual: UsualPart = Field(
        default=UsualPart(), description="What every case has that says nothing else."
    )
    cases: list[CasePart] = Field(min_length=1)
