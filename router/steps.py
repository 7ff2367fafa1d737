"""What goes over the two-way door of the street: a call, what was seen of it, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from .hops import Cause, Status
from .policy.opinions import Opinions
from .policy.predicates import Signals
from .policy.rules import Abort, Doubt, Early
from .policy.trace import Check, Entry
from .quick import quick

UNRETURNABLE = "the answer says nothing, or a filter cut it"
UNPRESENTABLE = "its draft is a refusal or breaks the form asked for, so it is not given back"


@dataclass(frozen=True, slots=True)
class Rival:
    """A second target, asked while the first is under way: its hop has the next index.

    Attributes:
        because: Why, in words.
        commits: As of a `Call`. A race's never does while both are under way.
        after_s: Seconds after the first's start. It is not asked when by then what `unless` names
            has come of the first. None: time alone doesn't start it.
        doubt: What of the first's draft so far starts it sooner. None: nothing does.
        most_usd: Most dollars its hop may cost, retries at their worst case.
    """

    target: str
    tier: str
    cause: Cause
    because: str
    commits: bool
    after_s: float | None
    unless: Literal["first_token", "end"]
    most_usd: Decimal
    doubt: Doubt | None = None


@quick
@dataclass(frozen=True, slots=True)
class Call:
    """Ask this target now.

    Attributes:
        commits: The answer goes to the caller from its first token on, because nothing stronger
            could replace it. Otherwise it is a draft that nobody sees until it is kept.
        because: Why, in words.
        early: When a draft is accepted before its end. None: it is held until it is whole.
        draft: Index of the hop whose draft goes along. None: only the conversation does.
        hop: Index of this hop.
        rival: Who is asked beside it. What ends first is seen first; the other stays under way.
        abort: When a draft is given up before its end. None: it is written to its end.
        opinions: What may be asked about its whole draft. None: nothing.
        resumed: The hop is under way already, and now the only one: see how it ends.
    """

    target: str
    tier: str
    cause: Cause
    because: str
    commits: bool
    early: Early | None = None
    draft: int | None = None
    hop: int = 0
    rival: Rival | None = None
    abort: Abort | None = None
    opinions: Opinions | None = None
    resumed: bool = False

    def of_rival(self) -> Call:
        """The call of the hop beside this one."""
        rival = self.rival
        assert rival is not None
        return Call(
            rival.target,
            rival.tier,
            rival.cause,
            rival.because,
            rival.commits,
            hop=self.hop + 1,
        )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a call.

    Attributes:
        signals: Of the draft, together with the request's. None: there was no whole answer.
        returnable: The draft could be shown: it says something, and no filter cut it.
        filtered: A content filter stopped it: blocked the prompt, or cut the answer.
        presentable: It could be shown although it was not kept: it is no refusal either, and
            does not break the form that was asked for.
        early: What was said of the beginning of the draft, whether it is shown, whether it is
            given up and whether a race starts; empty when nothing was asked.
        aborted: It was given up before its end by what `early` says.
        failure: A `HopError.kind`. None: it ended well.
        committed: Bytes of it have reached the caller.
        elapsed_s: Seconds since the request arrived; at least the deadline when that is what
            ended the call, however early its timer fired.
        spent_usd: Dollars the request has cost; unknown costs counted at their worst case.
        day_left_usd: Dollars left of the day, over all requests. None: the day has no limit.
        rivaled: The call had a rival and it was asked.
        by_rival: It is the rival that ended, and all else here is about it.
        aside: Hops that were taken for opinions of the draft; their indexes follow the draft's.
    """

    signals: Signals | None = None
    returnable: bool = False
    presentable: bool = True
    filtered: bool = False
    early: tuple[Check, ...] = ()
    failure: str | None = None
    committed: bool = False
    elapsed_s: float = 0.0
    spent_usd: Decimal = Decimal(0)
    day_left_usd: Decimal | None = None
    rivaled: bool = False
    by_rival: bool = False
    aborted: bool = False
    aside: int = 0

    @property
    def askable(self) -> bool:
        """Whether opinions may be asked about it: a draft that says something, and nobody saw."""
        return self.returnable and not (self.committed or self.by_rival)

    def given_up_because(self) -> str:
        """The bar that the draft was below, in words."""
        said = [c.effect for c in self.early if c.kind == "abort" and c.truth is True]
        return f"the draft was {said[-1] if said else 'given up'}"

    def shown_because(self, cause: Cause) -> str:
        """Why what was said goes to the caller whatever requirements say of it.

        Args:
            cause: Why the hop was taken.
        """
        accepted = [c for c in self.early if c.kind == "early" and c.truth is True]
        if accepted and not self.by_rival:  # beside a rival it is said of the draft
            return "it was accepted early"
        if cause == "asked":
            return "the caller named this target"
        if cause == "loop":
            return "a tool loop stays with its target"
        return "no stronger tier is left"

    def flagged(self, check: Check, cause: Cause) -> Check:
        """A requirement on an answer that is given whatever is said of it.

        Args:
            cause: Why the hop was taken.
        """
        effect = "" if check.truth else f"flagged; {self.shown_because(cause)}"
        return check._replace(effect=effect)


@quick
@dataclass(frozen=True, slots=True)
class Verdict:
    """How the walk ended.

    Attributes:
        answered_by: Index of the hop whose answer the caller gets. None: none.
        flags: What the reader of the answer should know.
        limit: The limit but for which there might be another answer. None: no limit did it.
        entries: Everything that was decided, in order.
        certified: A draft was kept, and whether under a certificate; one that was shown early was
            kept by a look at its beginning, which nothing certifies. None: no draft was kept.
    """

    status: Status
    answered_by: int | None
    flags: tuple[str, ...]
    limit: str | None
    entries: tuple[Entry, ...]
    certified: bool | None = None
