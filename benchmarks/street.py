"""What a race buys: escalation delay against dollars, over race settings and without a race.

    python benchmarks/street.py --data phi35_gpt4o.test.jsonl.gz --train phi35_gpt4o.train.jsonl.gz

The whole street runs (signals, policy, walk, hops, speeds, chances, ledger in memory), on an event
loop whose time passes only while nobody has anything to do, so an hour takes a second. Its two ends
are played:

- the device by a worker that reads and writes as fast as Phi-3.5-mini was measured to, one request
  at a time, with the recorded lengths of its real answers;
- the cloud with the recorded lengths of gpt-4o's real answers. Nobody recorded their seconds with
  them, so those follow published measurements: first token as Artificial Analysis gave it for Azure
  (median 0.77 s; its spread, a log-normal's sigma of 0.5, is an assumption), tokens a second as a
  user's eight timed essays had them (quartiles 57, 66, 72, from 36 to 80).

How sure a draft is was not recorded either. Its rank among the others is drawn so that it tells
right drafts from wrong ones as well as the mean log-probability was measured to on a real small
model (AUROC 0.70). Its tokens are those of a real draft of that rank: `draft_logprobs.json` holds
the log-probabilities of SmolLM2's tokens on questions of the same kind. Those end after 160 tokens
at most; a longer draft goes on with drafts of the ranks beside it, so that a beginning doesn't say
more of the whole than it does there. The bar is the one at which the wanted share of drafts is
kept.

Dollars are what the cloud would bill: a call that is stopped costs its prompt and the tokens it had
written by then. Delay is that of the requests that escalate without a race: seconds from arrival to
the start of the call that answered, 0 where it was the first, and the draft's end where the draft
was kept after all. So nothing is gained by sending to the cloud what was never going there. A rival
is held until it or the draft has ended, so the first byte comes later than the delay; it is printed
beside it. The setting named at the end was chosen on the training rows, with 5 % of the dollars to
spare, and what is said of it is measured on the others.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from common import conditions, parser, write
from draft_logprobs import RECORDED
from support.street import MemorySink
from support.virtual import LoopClock, run_virtual

from router.device.wire import Healthy
from router.drive.breaker import Breakers
from router.drive.chances import Chances
from router.drive.home import Home
from router.drive.live import Live
from router.drive.orchestrator import Orchestrator
from router.drive.purse import Purse
from router.drive.senses import DeviceSense, Senses
from router.drive.speeds import Speeds
from router.hops import Outcome
from router.policy.predicates import Test
from router.policy.rules import Doubt, Policy, Race, Requirement
from router.providers.base import Target
from router.types import Ask, Chunk, Message, Request, TokenStat, Usage
from router.world.machine import Machine

PREFILL_PER_S, DECODE_PER_S = 50.0, 12.0
TTFT_MEDIAN_S, TTFT_SIGMA = 0.77, 0.5
CLOUD_PER_S = (36.0, 57.0, 66.0, 72.0, 80.0)
"""Least, quartiles, most; drawn from the straight lines between them."""
USD_IN, USD_OUT = Decimal("2.50") / 10**6, Decimal("10") / 10**6
AUROC = 0.70
MOST_TOKENS = 4096
TOKENS_A_CHUNK = 12
NEIGHBOURS = 7
HEADROOM = 0.95
"""Of the dollars that may be spent; a setting that spends all of them elsewhere overspends here."""
WARM_UP, MEASURED = 200, 500
LIMITS = {"dollars_ratio": 1.3, "mean_delay_ratio": 0.6, "p95_delay_s": 3.0}
TIMES: tuple[float, ...] = (60, 45, 35, 30, 25, 20, 15, 10, 5, 2.5, 1)
"""`after_s` alone."""
CHANCES: tuple[float, ...] = (24, 22, 20, 16, 12)
"""`over_s` alone."""
LOOKS: tuple[int, ...] = (12, 36, 72)
"""`doubt.tokens`, with the bar and with two below it, and each with 30 s, or 15, at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded question, with what is drawn for it; the same in every setting."""

    prompt: str
    prompt_tokens: int
    device_tokens: int
    cloud_tokens: int
    tokens: tuple[float, ...]
    ttft_s: float
    cloud_per_s: float


@dataclass
class Phi:
    """The device: one request at a time, at its measured speed."""

    rows: dict[str, Row]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        row = self.rows[ask.messages[-1].content]
        async with self.lock:
            await asyncio.sleep(row.prompt_tokens / PREFILL_PER_S)
            written = 0
            for count in _pieces(row.device_tokens):
                await asyncio.sleep(count / DECODE_PER_S)
                said = (row.tokens[(written + i) % len(row.tokens)] for i in range(count))
                stats = tuple(TokenStat(logprob, entropy=0.5, margin=0.5) for logprob in said)
                yield Chunk(text="word " * count, tokens=stats)
                written += count
            yield Chunk(
                finish="stop",
                usage=Usage(input_tokens=row.prompt_tokens, output_tokens=row.device_tokens),
            )

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass
class Cloud:
    """The cloud, and its bill."""

    rows: dict[str, Row]
    bill: Decimal = Decimal(0)
    calls: int = 0

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        row = self.rows[ask.messages[-1].content]
        written = 0
        self.calls += 1
        try:
            await asyncio.sleep(row.ttft_s)
            for count in _pieces(row.cloud_tokens):
                written += count
                yield Chunk(text="word " * count)
                await asyncio.sleep(count / row.cloud_per_s)
            yield Chunk(
                finish="stop",
                usage=Usage(input_tokens=row.prompt_tokens, output_tokens=row.cloud_tokens),
            )
        finally:
            self.bill += USD_IN * row.prompt_tokens + USD_OUT * written

    async def aclose(self) -> None:
        """Nothing is open."""


def _pieces(tokens: int) -> list[int]:
    whole, rest = divmod(tokens, TOKENS_A_CHUNK)
    return [TOKENS_A_CHUNK] * whole + ([rest] if rest else [])


class Free:
    """The device's meter."""

    price = "free"
    free = True

    def cost(self, usage: Usage) -> Decimal | None:
        return Decimal(0)

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        return Decimal(0)

    def at(self, wall_s: float) -> Free:
        return self


class PerToken:
    """The cloud's."""

    price = "gpt-4o"
    free = False

    def cost(self, usage: Usage) -> Decimal | None:
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        return USD_IN * usage.input_tokens + USD_OUT * usage.output_tokens

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        return USD_IN * input_tokens + USD_OUT * max_output_tokens

    def at(self, wall_s: float) -> PerToken:
        return self


def main() -> int:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--data", type=Path, required=True, help="recorded answers to measure on")
    made.add_argument("--train", type=Path, required=True, help="others: the bar, and warming up")
    made.add_argument("--kept", type=float, default=0.5, help="share of drafts that are kept")
    args = made.parse_args()
    said = conditions()
    train, test = _rows(args.train, seed=1), _rows(args.data, seed=2)[:MEASURED]
    sure = sorted(_sure(row) for row in train)
    figures = _frontier(train, test, sure[int(len(sure) * (1 - args.kept))])
    print(_text(figures))
    write(args.json, said, figures)
    return 0 if all(figures["holds"].values()) else 1


def _rows(path: Path, seed: int) -> list[Row]:
    dice = random.Random(seed)
    apart = 2**0.5 * NormalDist().inv_cdf(AUROC)
    drafts = sorted(json.loads(RECORDED.read_text())["drafts"], key=fmean)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        said = list({row["prompt"]: row for row in map(json.loads, lines)}.values())
    scores = [dice.gauss(apart if row["weak_correct"] else 0.0, 1.0) for row in said]
    ranks = {at: rank for rank, at in enumerate(sorted(range(len(said)), key=scores.__getitem__))}
    return [
        _row(row, _tokens(drafts, ranks[at] * len(drafts) // len(said)), dice)
        for at, row in enumerate(said)
    ]


def _tokens(drafts: list[list[float]], rank: int) -> tuple[float, ...]:
    """Those of the draft of that rank, and then those of its neighbours, from near to far."""
    beside = sorted(range(len(drafts)), key=lambda other: abs(other - rank))[:NEIGHBOURS]
    return tuple(logprob for other in beside for logprob in drafts[other])


def _row(said: dict[str, Any], tokens: tuple[float, ...], dice: random.Random) -> Row:
    share = dice.random() * 4
    low, high = CLOUD_PER_S[int(share)], CLOUD_PER_S[int(share) + 1]
    return Row(
        prompt=said["prompt"],
        prompt_tokens=said["prompt_tokens"],
        device_tokens=said["weak_tokens"],
        cloud_tokens=said["strong_tokens"],
        tokens=tokens,
        ttft_s=TTFT_MEDIAN_S * dice.lognormvariate(0.0, TTFT_SIGMA),
        cloud_per_s=low + (high - low) * (share % 1),
    )


def _sure(row: Row) -> float:
    """Mean log-probability of its whole draft."""
    whole, rest = divmod(row.device_tokens, len(row.tokens))
    return (whole * sum(row.tokens) + sum(row.tokens[:rest])) / row.device_tokens


def _races(bar: float) -> list[Race]:
    """The settings."""
    most = Decimal(1)
    found = [Race(after_s=after_s, cost_usd=most) for after_s in TIMES]
    found += [Race(over_s=over_s, cost_usd=most) for over_s in CHANCES]
    for tokens in LOOKS:
        for below in (0.0, 0.05, 0.1):
            doubt = Doubt(tokens, Test("draft.mean_logprob", "lt", round(bar - below, 3)))
            found += [
                Race(doubt=doubt, after_s=after_s, cost_usd=most) for after_s in (None, 30.0, 15.0)
            ]
    return found


def _frontier(train: list[Row], test: list[Row], bar: float) -> dict[str, Any]:
    plain = Policy(
        name="street",
        revision="0" * 12,
        summary="A draft is kept when it is sure enough.",
        tiers=("device", "cloud"),
        accept=(
            Requirement("sure", frozenset({"device"}), Test("draft.mean_logprob", "gte", bar)),
        ),
    )
    races = _races(bar)
    warm, chosen_on = train[:WARM_UP], train[WARM_UP : WARM_UP + MEASURED]
    before, _ = _settings(plain, races, warm, chosen_on)
    settings, none = _settings(plain, races, warm, test)
    by_name = {found["race"]: found for found in settings}
    affordable = [s for s in before if s["dollars_ratio"] <= HEADROOM * LIMITS["dollars_ratio"]]
    bounded = [s for s in before if s["p95_delay_s"] <= LIMITS["p95_delay_s"]]
    best = min(affordable, key=lambda s: s["mean_delay_ratio"], default=None)
    cheapest = min(bounded, key=lambda s: s["dollars_ratio"], default=None)
    best = best and by_name[best["race"]]
    cheapest = cheapest and by_name[cheapest["race"]]
    return {
        "requests": len(test),
        "without_race": none,
        "settings": settings,
        "chosen_affordable": best,
        "chosen_bounded": cheapest,
        "limits": LIMITS,
        "holds": {
            "mean_delay_at_1.3_dollars": best is not None
            and best["dollars_ratio"] <= LIMITS["dollars_ratio"]
            and best["mean_delay_ratio"] <= LIMITS["mean_delay_ratio"],
            "p95_bounded": cheapest is not None
            and cheapest["p95_delay_s"] <= LIMITS["p95_delay_s"],
        },
    }


def _settings(
    plain: Policy, races: list[Race], warm: list[Row], rows: list[Row]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What each race makes of these rows, and what comes without one."""
    alone, bill, calls = _run(plain, warm, rows)
    escalated = [i for i, outcome in enumerate(alone) if outcome.answered_by]
    none = _figures(alone, escalated, bill, calls)
    found = []
    for race in races:
        one = _figures(*_with(race, plain, warm, rows, escalated))
        one |= {
            "race": _named(race),
            "dollars_ratio": one["dollars"] / none["dollars"],
            "mean_delay_ratio": one["mean_delay_s"] / none["mean_delay_s"],
        }
        found.append(one)
    return found, none


def _with(
    race: Race, plain: Policy, warm: list[Row], rows: list[Row], escalated: list[int]
) -> tuple[list[Outcome], list[int], Decimal, int]:
    outcomes, bill, calls = _run(replace(plain, race=race), warm, rows)
    return outcomes, escalated, bill, calls


def _run(policy: Policy, train: list[Row], test: list[Row]) -> tuple[list[Outcome], Decimal, int]:
    """Send all, one after another; what came of the test's, its bill, its calls of the cloud."""
    return run_virtual(_sent(policy, train, test))


async def _sent(
    policy: Policy, train: list[Row], test: list[Row]
) -> tuple[list[Outcome], Decimal, int]:
    rows = {row.prompt: row for row in (*train, *test)}
    cloud = Cloud(rows)
    street = _street(Phi(rows), cloud, rows)
    for row in train:
        # Warming up is without a race: which drafts are kept is seen of each.
        await _one(street, replace(policy, race=None), row)
    cloud.bill, cloud.calls = Decimal(0), 0
    outcomes = [await _one(street, policy, row) for row in test]
    return outcomes, cloud.bill, cloud.calls


async def _one(street: Orchestrator, policy: Policy, row: Row) -> Outcome:
    asked = Request(messages=(Message(role="user", content=row.prompt),))
    outcome: Outcome | None = None
    async for item in street.run(asked, policy):
        if isinstance(item, Outcome):
            outcome = item
    assert outcome is not None
    return outcome


def _street(phi: Phi, cloud: Cloud, rows: dict[str, Row]) -> Orchestrator:
    clock = LoopClock()

    def target(name: str) -> Target:
        return Target(
            name=name,
            tier=name,
            provider="played",
            model=name,
            max_output_tokens=MOST_TOKENS,
            timeout_s=3600.0,
        )

    lives = {
        "device": Live(target=target("device"), provider=phi, meter=Free(), here=True),
        "cloud": Live(target=target("cloud"), provider=cloud, meter=PerToken()),
    }

    async def count(messages: tuple[Message, ...]) -> int | None:
        return rows[messages[-1].content].prompt_tokens

    async def health() -> Healthy:
        return Healthy(
            id=0,
            pid=0,
            clients=1,
            running=phi.lock.locked(),
            queued=0,
            jobs_done=0,
            up_s=0.0,
            memory_bytes=None,
        )

    async def foresees(**_: object) -> None:
        return None  # no policy here asks when the device would answer

    async def limit() -> int | None:
        return None

    senses = Senses(
        clock=clock,
        targets=lives,
        device=DeviceSense(lives["device"], count, health, limit, foresees),
        machine=Machine(clock),
        speeds=Speeds(clock),
        purse=Purse(clock),
        breakers=Breakers(clock),
        chances=Chances(),
    )
    return Orchestrator(Home(lives, MemorySink(), clock, senses))


def _figures(
    outcomes: list[Outcome], escalated: list[int], bill: Decimal, calls: int
) -> dict[str, Any]:
    """Of one setting. Seconds are of the requests that escalate without a race."""
    delays = sorted(_delay_s(outcomes[i]) for i in escalated)
    firsts = sorted(outcomes[i].ttfb_s or outcomes[i].total_s for i in escalated)
    ends = [outcome.total_s for outcome in outcomes]
    return {
        "dollars": float(bill),
        "cloud_calls": calls,
        "p50_delay_s": _quantile(delays, 0.50),
        "p95_delay_s": _quantile(delays, 0.95),
        "mean_delay_s": fmean(delays),
        "p95_first_byte_s": _quantile(firsts, 0.95),
        "mean_first_byte_s": fmean(firsts),
        "escalate": len(escalated),
        "mean_answer_s": fmean(ends),
    }


def _delay_s(outcome: Outcome) -> float:
    """Escalation delay; of a draft that was kept after all, what its caller waited for it."""
    if outcome.answered_by == 0:
        return outcome.total_s
    delay = outcome.escalation_delay_s
    assert delay is not None
    return delay


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _text(figures: dict[str, Any]) -> str:
    none = figures["without_race"]
    lines = [
        f"{figures['requests']} requests, {none['escalate']} escalate",
        "",
        f"{'race':<30}  dollars  ratio  calls   delay p50     p95    mean  ratio  "
        "first byte p95   mean",
        _line(none, "no race", 1.0, 1.0),
    ]
    for s in sorted(figures["settings"], key=lambda s: s["dollars"]):
        lines.append(_line(s, s["race"], s["dollars_ratio"], s["mean_delay_ratio"]))
    lines.append("")
    best, cheapest = figures["chosen_affordable"], figures["chosen_bounded"]
    if best is not None:
        lines.append(
            f"at no more than {LIMITS['dollars_ratio']} of the dollars: mean delay "
            f"{best['mean_delay_ratio']:.3f} of that without a race ({best['race']}, "
            f"{best['dollars_ratio']:.3f} of the dollars)"
        )
    if cheapest is not None:
        lines.append(
            f"p95 of the delay within {LIMITS['p95_delay_s']:g} s: {cheapest['p95_delay_s']:.2f} s "
            f"({cheapest['race']}) for {cheapest['dollars_ratio']:.2f} of the dollars, "
            f"${cheapest['dollars']:.3f} instead of ${none['dollars']:.3f}"
        )
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


def _named(race: Race) -> str:
    said = [] if race.over_s is None else [f"over_s {race.over_s:g}"]
    if race.doubt is not None:
        test = race.doubt.when
        assert isinstance(test, Test)
        said.append(f"token {race.doubt.tokens} < {test.bound:g}")
    said += [] if race.after_s is None else [f"after_s {race.after_s:g}"]
    return ", ".join(said)


def _line(found: dict[str, Any], words: str, dollars: float, delay: float) -> str:
    return (
        f"{words:<30}  {found['dollars']:7.3f}  {dollars:5.2f}  {found['cloud_calls']:5}  "
        f"{found['p50_delay_s']:10.1f}  {found['p95_delay_s']:6.1f}  {found['mean_delay_s']:6.1f}  "
        f"{delay:5.2f}  {found['p95_first_byte_s']:14.1f}  {found['mean_first_byte_s']:5.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
