"""What `escalate: best_gain` costs and reaches by estimates, and by shares written by hand.

    python benchmarks/best_gain.py --data DIR [--eval test]

Reads `phi35_gpt4o.train.jsonl.gz` and `phi35_gpt4o.<eval>.jsonl.gz` of DIR. Four cloud tiers stand
above the draft, by the answers and dollars that were recorded. `firsthop calibrate`'s own code
makes a calibration of the train rows (a loss of 5 %, with 90 % confidence). First it prints how
true the odds are, on the train rows that the fit has not seen: by thirds of the gain, what was
expected and what came; and how many wrong drafts a tier rescued among the less and the more
confident half of them. Then a draft of the other rows that reaches the bar is kept, and any other
goes to the one tier that the shipped ranking puts first. A tier is offered at its mean dollars on
train, and each is taken to need ten seconds, as no times were recorded; what a second is worth is
the dial. Shares by hand are those that could be known at best: how often each tier is right on
train where the draft is wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from router.calibration.calibrate import calibrate
from router.calibration.goal import Goal
from router.calibration.labelled import GOOD, Labelled
from router.calibration.made import Made
from router.calibration.tracefile import read_labelled
from router.confidence.measures import static_mixture
from router.confidence.stored import Binding, Calibration, Verdict
from router.policy.gain import Offer, ranked
from router.policy.rules import Gain

SET, STRONG = "phi35_gpt4o", "gpt-4o"
PEERS = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "llama-70b": "Meta-Llama-3.1-70B-Instruct",
    "mistral-large": "Mistral-Large-2",
}
TIERS = (*PEERS, STRONG)
SECONDS = 10.0
DIALS = ("0", "0.0003", "0.0006", "0.001", "0.0015", "0.002", "0.003", "0.01")
RESAMPLES = 1000
Pick = Callable[[Verdict], str]


def rows_of(folder: Path, split: str) -> tuple[Labelled, ...]:
    """A split's rows, the recorded models as tiers."""
    made = []
    with gzip.open(folder / f"{SET}.{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            peers = {name: row["peers"][model] for name, model in PEERS.items()}
            tiers = {
                name: {"right": peer["correct"], "cost": peer["cost"]}
                for name, peer in peers.items()
            }
            tiers[STRONG] = {"right": row["strong_correct"], "cost": row["strong_cost"]}
            made.append(json.dumps({**row, "tiers": tiers}))
    with tempfile.TemporaryDirectory() as there:
        path = Path(there) / "rows.jsonl"
        path.write_text("\n".join(made), encoding="utf-8")
        read = read_labelled(path)
    assert not read.bad
    return read.rows


@dataclass(frozen=True, slots=True)
class Way:
    """What came of each row: right or not, dollars, and the tier that was asked, if any."""

    right: np.ndarray
    usd: np.ndarray
    asked: tuple[str | None, ...]


def walked(rows: Sequence[Labelled], told: Sequence[Verdict], pick: Pick) -> Way:
    """Keep what is certified, ask the picked tier about the rest."""
    right, usd, asked = [], [], []
    for row, verdict in zip(rows, told, strict=True):
        tier = None if verdict.certified else pick(verdict)
        asked.append(tier)
        right.append(row.good if tier is None else float(row.tiers[tier] >= GOOD))
        usd.append(0.0 if tier is None else row.tier_usd[tier])
    return Way(np.array(right), np.array(usd), tuple(asked))


def picker(gain: Gain, usd: Mapping[str, float], *, estimates: bool) -> Pick:
    """Who is asked, by the shipped ranking."""

    def pick(verdict: Verdict) -> str:
        offers = [
            Offer(
                tier,
                Decimal(f"{usd[tier]:.9f}"),
                SECONDS,
                verdict.tiers[tier].gain if estimates else None,
            )
            for tier in TIERS
        ]
        return ranked(gain, offers)[0][0]

    return pick


def line(name: str, way: Way, strong_usd: float) -> str:
    counts = "/".join(str(sum(one == tier for one in way.asked)) for tier in TIERS)
    return f"| {name} | {way.right.mean():.3f} | {way.usd.mean() / strong_usd:.3f} | {counts} |"


def beside(way: Way, ends: Sequence[Way], strong_usd: float) -> str:
    """What the cheapest blind mix of two of the ends spends for that quality, and the interval of
    the way's spend less that. Ends: always the same tier, behind the bar or without a draft."""

    def mix(at: np.ndarray) -> float:
        usd = [float(end.usd[at].mean()) for end in ends]
        right = [float(end.right[at].mean()) for end in ends]
        return static_mixture(usd, right, min(float(way.right[at].mean()), max(right)))

    everywhere = np.arange(len(way.right))
    draw, less = np.random.default_rng(1), []
    for _ in range(RESAMPLES):
        at = draw.integers(0, len(way.right), len(way.right))
        less.append((way.usd[at].mean() - mix(at)) / strong_usd)
    low, high = np.quantile(less, (0.05, 0.95))
    return f" {mix(everywhere) / strong_usd:.3f} | {low:+.3f} to {high:+.3f} |"


def odds_held(made: Made) -> None:
    """Whether the estimates come true on rows that they were not counted on."""
    file = made.calibration
    assert file is not None
    rows = [one.row for one in made.judged]
    sure = np.array([one.probability for one in made.judged])
    good = np.array([row.good for row in rows])
    print("| tier | right: said, was | gain by thirds: said, was | rescued: less sure, surer |")
    print("|---|---|---|---|")
    for tier in TIERS:
        said = [file.tiers[tier].chance(at, row.task) for at, row in zip(sure, rows, strict=True)]
        gain, chance = (np.array([getattr(one, name) for one in said]) for name in ("gain", "good"))
        right = np.array([float(row.tiers[tier] >= GOOD) for row in rows])
        thirds = np.array_split(np.argsort(gain), 3)
        words = "; ".join(f"{gain[at].mean():.2f} {(right - good)[at].mean():.2f}" for at in thirds)
        wrong = good == 0
        less = wrong & (sure < np.median(sure[wrong]))
        halves = f"{right[less].mean():.2f}, {right[wrong & ~less].mean():.2f}"
        print(f"| {tier} | {chance.mean():.3f}, {right.mean():.3f} | {words} | {halves} |")


def verdicts(file: Calibration, rows: Sequence[Labelled]) -> list[Verdict]:
    return [file.verdict(row.signals, row.task, row.language or None, row.prompt) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--eval", default="test")
    options = parser.parse_args()
    train, rows = rows_of(options.data, "train"), rows_of(options.data, options.eval)
    binding = Binding(model="phi", quantisation="none", engine="recorded")
    made = calibrate(train, Goal(amount=0.05), binding, made_at=0.0)
    assert made.calibration is not None, made.pooled
    odds_held(made)
    told = verdicts(made.calibration, rows)
    usd = {tier: fmean(row.tier_usd[tier] for row in train) for tier in TIERS}
    wrong = [row for row in train if not row.good]
    shares = {tier: fmean(row.tiers[tier] >= GOOD for row in wrong) for tier in TIERS}
    strong_usd = fmean(row.tier_usd[STRONG] for row in rows)
    print("shares by hand:", ", ".join(f"{tier} {shares[tier]:.2f}" for tier in TIERS))
    print(f"asked: {'/'.join(TIERS)}; spend is a share of always {STRONG}'s")
    print("| way | quality | spend | asked | a blind mix spends | spend less that, 90 % |")
    print("|---|---|---|---|---|---|")
    for tier in TIERS:
        print(line(f"always {tier}, no draft", everyone(rows, tier), strong_usd), "| |")
    behind = [walked(rows, told, lambda _, to=tier: to) for tier in TIERS]
    ends = [*behind, *(everyone(rows, tier) for tier in TIERS)]
    for tier, end in zip(TIERS, behind, strict=True):
        print(line(f"bar, else {tier}", end, strong_usd), "| |")
    for dial in DIALS:
        worth = Decimal(dial)
        by_hand, by_labels = Gain(share=shares, second_usd=worth), Gain(second_usd=worth)
        found = walked(rows, told, picker(by_hand, usd, estimates=False))
        print(line(f"shares, ${dial} a second", found, strong_usd), "| |")
        found = walked(rows, told, picker(by_labels, usd, estimates=True))
        said = line(f"estimates, ${dial} a second", found, strong_usd)
        print(said + beside(found, ends, strong_usd), flush=True)


def everyone(rows: Sequence[Labelled], tier: str) -> Way:
    right = np.array([float(row.tiers[tier] >= GOOD) for row in rows])
    return Way(right, np.array([row.tier_usd[tier] for row in rows]), (tier,) * len(rows))


if __name__ == "__main__":
    main()
