"""Streams whose drafts are kept or dropped: what reached the socket, and when.

    python benchmarks/commit.py [--requests 500] [--at-once 48] [--seed 7] [--json FILE]

`firsthop serve` plays recorded drafts (`draft_logprobs.json`: every token's log-probability of real
answers of a small model) before two clouds, to clients of three dialects, under three policies: one
that holds each draft until it is whole, one that commits early, one that races. Some targets break
off in the middle. Each target writes in an alphabet of its own, so that one byte of a dropped draft
among the bytes of a response, read to the end of its connection, tells where it came from.

How far a kept draft was when its first byte went out is measured twice: at the client, as the time
until its first letter was there of the time until its last was; and in the ledger, as the tokens
its target had written by `ttfb_s` of all its tokens.

Exits with 1 if a byte of a dropped draft was found, an answer is not what its target wrote, or the
ledger says another thing than the socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import conditions, parser, write
from door import PATHS, Heard, Reply, exchange, read, request, served

from router.ledger.report import Report, RequestDetail

RECORDED = Path(__file__).with_name("draft_logprobs.json")
KEEP, EARLY, AFTER = -0.40, -0.30, 24
"""Mean log-probability that keeps a whole draft, and one of so many tokens."""
ALPHABETS = {"device": 0x3B1, "fast": 0x430, "strong": 0x5D0}
"""A letter of each target's own; the next fifteen are its too."""
DRAFTS, CLOUDS = 60, 40
"""How many of each there are: a script may be 256 KB large."""
POLICIES = ("held", "early", "racing")
POLICY = """\
policy: {name}
summary: Keep what the device, or the first cloud, is sure of.
tiers: [device, fast, strong]
{more}accept:
  - id: sure-enough
    on: [device, fast]
    require: {{draft.mean_logprob: {{gte: {keep}}}}}
"""
MORE = {
    "held": "",
    "early": (
        f"early:\n  - on: [device]\n    tokens: {AFTER}\n"
        f"    require: {{draft.mean_logprob: {{gte: {EARLY}}}}}\n"
    ),
    "racing": 'race: {after_s: 0.1, cost_usd: "1"}\n',
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a target writes for a question that has `mark` in it.

    Attributes:
        cut_after: It breaks off after so many tokens. None: it does not.
    """

    target: str
    number: int
    logprobs: tuple[float, ...]
    cut_after: int | None

    @property
    def mark(self) -> str:
        return f"{self.target}-{self.number:03}."

    @property
    def words(self) -> list[str]:
        """Its tokens. The first is its number, so that no two drafts of a target are the same."""
        return [self._word(self.number), *map(self._word, range(1, len(self.logprobs)))]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def _word(self, number: int) -> str:
        first = ALPHABETS[self.target]
        return "".join(chr(first + (number >> shift & 15)) for shift in (8, 4, 0))

    def step(self, tpot_s: float) -> dict[str, Any]:
        """As a script has it."""
        found = {"match": self.mark, "text": self.text, "logprobs": list(self.logprobs)}
        found |= {"ttft_s": 0.005, "tpot_s": tpot_s}
        return found if self.cut_after is None else {**found, "cut_after": self.cut_after}

    def kept(self, *, early: bool) -> bool:
        """Whether the policy's bars hold it."""
        written = self.logprobs[: self.cut_after]
        if early and len(written) >= AFTER and statistics.fmean(written[:AFTER]) >= EARLY:
            return True
        return self.cut_after is None and statistics.fmean(self.logprobs) >= KEEP


@dataclass(frozen=True, slots=True)
class Question:
    """One request: who would write what, and how it is asked."""

    number: int
    dialect: str
    policy: str
    drafts: dict[str, Draft]

    @property
    def sent(self) -> bytes:
        text = "Say " + " ".join(draft.mark for draft in self.drafts.values())
        return request(self.dialect, text, model=self.policy, stream=True, user=f"u{self.number}")

    def expected(self) -> str | None:
        """Who answers. None: it is a race, and the machine's load has a say."""
        if self.policy == "racing":
            return None
        if self.drafts["device"].kept(early=self.policy == "early"):
            return "device"
        return "fast" if self.drafts["fast"].kept(early=False) else "strong"


def made(dice: random.Random) -> dict[str, list[Draft]]:
    """Every draft that can be asked for, by target."""
    recorded = json.loads(RECORDED.read_text())["drafts"]
    found: dict[str, list[Draft]] = {}
    for target, count in (("device", DRAFTS), ("fast", CLOUDS), ("strong", CLOUDS)):
        drafts = found[target] = []
        for number, logprobs in enumerate(dice.sample(recorded, count)):
            probs = tuple(logprobs if target == "device" else logprobs[:30])
            cut = dice.randrange(1, len(probs)) if dice.random() < 0.08 else None
            drafts.append(Draft(target, number, probs, cut))
    return found


def questions(count: int, drafts: dict[str, list[Draft]], dice: random.Random) -> list[Question]:
    return [
        Question(
            number,
            dice.choice(list(PATHS)),
            dice.choice(POLICIES),
            {target: dice.choice(all_of) for target, all_of in drafts.items()},
        )
        for number in range(count)
    ]


def configured(folder: Path, drafts: dict[str, list[Draft]], tpot_s: float) -> str:
    """A config with policies and scripts beside it."""
    (folder / "policies").mkdir()
    for name in POLICIES:
        policy = POLICY.format(name=name, more=MORE[name], keep=KEEP)
        (folder / "policies" / f"{name}.yaml").write_text(policy)
    targets: dict[str, Any] = {}
    for target, all_of in drafts.items():
        script = folder / f"{target}.json"
        steps = {"steps": [draft.step(tpot_s) for draft in all_of]}
        script.write_text(json.dumps(steps, ensure_ascii=False), encoding="utf-8")
        price = {"input_usd_per_1m": "1", "output_usd_per_1m": "2"}
        targets[target] = {
            "tier": target,
            "provider": "scripted",
            "model": f"{target}-model",
            "attempts": 1,
            "options": {"price": price, "steps": str(script)},
        }
    ledger = {"folder": str(folder / "ledger")}
    # JSON is YAML too.
    return json.dumps({"version": 1, "policy": "held", "ledger": ledger, "targets": targets})


async def ask_all(port: int, asked: Sequence[Question], at_once: int) -> list[Heard]:
    turn = asyncio.Semaphore(at_once)

    async def one(question: Question) -> Heard:
        async with turn, asyncio.timeout(60):
            return await exchange(port, question.sent)

    return await asyncio.gather(*(one(question) for question in asked))


def written_in(raw: bytes) -> set[str]:
    """Whose letters are among some bytes: as UTF-8, one byte of a letter is enough, or escaped."""
    found = set()
    for target, first in ALPHABETS.items():
        leads = {chr(first + i).encode()[0] for i in range(16)}
        escaped = {f"\\u{first + i:04x}".encode() for i in range(16)}
        if leads & set(raw) or any(sign in raw.lower() for sign in escaped):
            found.add(target)
    return found


def faults(question: Question, reply: Reply, row: RequestDetail) -> list[str]:
    """What is wrong with one answer."""
    request = row.request
    on_socket = written_in(reply.raw)
    answered = None if request.answered_by is None else request.path[request.answered_by]
    wrong = []
    if not reply.ended:
        wrong.append("the stream has no end")
    if answered is not None:
        if on_socket != {answered}:
            wrong.append(f"answered by {answered}, and on the socket: {sorted(on_socket)}")
        if reply.error is not None or reply.text != question.drafts[answered].text:
            wrong.append(f"it is not what {answered} wrote ({reply.error})")
        if question.expected() not in (None, answered):
            wrong.append(f"{question.expected()} should have answered, not {answered}")
        return wrong
    if reply.error is None:
        wrong.append("the ledger has no answer, and the caller was told of no error")
    if len(on_socket) > 1:
        wrong.append(f"two targets on the socket: {sorted(on_socket)}")
    for target in on_socket:
        if "cut" not in request.flags or not question.drafts[target].text.startswith(reply.text):
            wrong.append(f"a part of what {target} wrote, and it was not cut")
        if question.expected() not in (None, target):
            wrong.append(f"a dropped draft of {target}")
    return wrong


def time_share(heard: Heard) -> float:
    """When the first letter was there, of the time until the last was."""
    letters = [offset for offset, byte in enumerate(heard.raw) if byte > 127]
    return heard.at_s(letters[0]) / heard.at_s(letters[-1])


def written_share(row: RequestDetail) -> float:
    """Tokens its target had written when the first byte was given out, of all it wrote."""
    call = row.hops[row.request.answered_by or 0].attempts[-1]
    assert row.request.ttfb_s is not None
    assert row.request.started_at is not None
    assert call.started_at is not None
    assert call.ttft_s is not None
    assert call.tpot_s is not None
    assert call.output_tokens is not None
    first_at_s = call.started_at - row.request.started_at + call.ttft_s
    return (1 + (row.request.ttfb_s - first_at_s) / call.tpot_s) / call.output_tokens


def moments(pairs: Sequence[tuple[Heard, RequestDetail]]) -> dict[str, Any]:
    """How far kept drafts of the device were when they were committed."""
    found: dict[str, Any] = {"kept_drafts": len(pairs)}
    for name, shares in (
        ("by_client_time", [time_share(heard) for heard, _ in pairs]),
        ("by_ledger_tokens", [written_share(row) for _, row in pairs]),
    ):
        found[name] = {
            "before_last_quarter_share": sum(x < 0.75 for x in shares) / max(1, len(shares)),
            "median": statistics.median(shares) if shares else None,
        }
    return found


def report(
    asked: Sequence[Question], heard: Sequence[Heard], rows: dict[str, RequestDetail]
) -> tuple[dict[str, Any], list[str]]:
    """Figures, and what is wrong."""
    counts: Counter[str] = Counter(dropped_drafts=0, cut_after_commit=0, failed=0)
    kept: dict[str, list[tuple[Heard, RequestDetail]]] = {policy: [] for policy in POLICIES}
    wrong: list[str] = []
    for question, one in zip(asked, heard, strict=True):
        row = rows.get(f"u{question.number}")
        if row is None:
            wrong.append(f"{question.number}: not booked")
            continue
        found = faults(question, read(question.dialect, one.raw), row)
        wrong += [f"{question.number} {question.dialect} {question.policy}: {x}" for x in found]
        shown, answered = written_in(one.raw), row.request.answered_by
        end = "cut_after_commit" if shown else "failed"
        counts["answered" if answered is not None else end] += 1
        counts["dropped_drafts"] += sum(hop.target not in shown for hop in row.hops)
        if answered is not None and row.request.path[answered] == "device":
            kept[question.policy].append((one, row))
    figures = {
        "requests": len(asked),
        "by_dialect": dict(Counter(question.dialect for question in asked)),
        **counts,
        "faults": len(wrong),
        "kept": {policy: moments(pairs) for policy, pairs in kept.items()},
    }
    return figures, wrong


def run(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    dice = random.Random(args.seed)
    drafts = made(dice)
    asked = questions(args.requests, drafts, dice)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configured(folder, drafts, args.tpot_ms / 1e3)
        with served(folder, config, "--heartbeat", "0.1") as (_, port):
            heard = asyncio.run(ask_all(port, asked, args.at_once))
            with Report.open(folder / "ledger") as ledger:
                recent = ledger.recent(2 * args.requests)
                rows = {row.tags["user"]: ledger.request(row.decision_id) for row in recent}
                assert len(recent) == len(rows), "a request was booked twice"
    return report(asked, heard, rows)


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--requests", type=int, default=500)
    made.add_argument("--at-once", type=int, default=48)
    made.add_argument("--seed", type=int, default=7)
    made.add_argument("--tpot-ms", type=float, default=2.0, help="between two tokens of a draft")
    args = made.parse_args()
    said = conditions("uvicorn")
    figures, wrong = run(args)
    print(json.dumps(figures, indent=2))
    write(args.json, said, figures)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
