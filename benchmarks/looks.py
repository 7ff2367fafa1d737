"""What it costs that a promise holds over several looks, and what happens without.

    python benchmarks/looks.py [--runs 1000]

Labels out of a formula: a draft of confidence u (uniform) is a loss with chance (1 - u)^1.5 / 2, so
the bar that loses exactly 5 % of all requests keeps 57.4 %. Someone looks ten times on the way
from 50 to 1,000 tested labels (100 to 2,000 in all), at sizes fixed beforehand; or looks at 50,
and after each refusal adds as many labels as it names, ten times at most; or takes six sets of 60
to 300 tested labels, each by itself, and then all of them together. A run is broken when any
certificate on the way loses more than 5 % in truth. Printed for ways of sharing the doubt: that
share; what the first and the second look keep at 300 to 700 tested labels; the fewest tested labels
without a loss that certify at look 1, 2, 3 and 10.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from router.confidence.arrays import FloatArray
from router.confidence.guarantee import Certificate, Promise, certify, labels_needed
from router.confidence.spending import confidence_of

LOSS, CONFIDENCE = 0.05, 0.9
SIZES = [round(size) for size in np.geomspace(50, 1000, 10)]
Rule = Callable[[int], float]
RULES: dict[str, Rule] = {
    "no sharing": lambda _: CONFIDENCE,
    "1 / k^2": lambda look: 1 - (1 - CONFIDENCE) * 6 / math.pi**2 / look**2,
    "halves": lambda look: 1 - (1 - CONFIDENCE) / 2**look,
    "0.8, then 0.2 / (k (k - 1))": lambda look: (
        1 - (1 - CONFIDENCE) * (0.8 if look == 1 else 0.2 / (look * (look - 1)))
    ),
    "here": lambda look: confidence_of(CONFIDENCE, look),
}


def drawn(draw: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray]:
    """Confidences and losses."""
    sure = draw.random(size)
    return sure, (draw.random(size) < 0.5 * (1 - sure) ** 1.5).astype(np.float64)


def lies(found: object) -> bool:
    """Whether a certificate's bar loses more in truth than it says."""
    return isinstance(found, Certificate) and 0.2 * (1 - found.bar) ** 2.5 > LOSS


def planned(draw: np.random.Generator, rule: Rule) -> bool:
    """Ten looks at sizes that are fixed beforehand."""
    sure, lost = drawn(draw, SIZES[-1])
    return any(
        lies(certify(sure[:size], lost[:size], Promise(loss=LOSS, confidence=rule(look))))
        for look, size in enumerate(SIZES, 1)
    )


def advised(draw: np.random.Generator, rule: Rule) -> bool:
    """As many labels more as each refusal names, until a bar is certified."""
    sure, lost = drawn(draw, 5_000)
    size = SIZES[0]
    for look in range(1, 11):
        promise = Promise(loss=LOSS, confidence=rule(look))
        found = certify(sure[:size], lost[:size], promise, again=rule(look + 1))
        if isinstance(found, Certificate):
            return lies(found)
        size = min(len(sure), size + (found.more_labels or size))
    return False


def joined(draw: np.random.Generator, rule: Rule) -> bool:
    """Six sets, each by itself, and then all of them together."""
    sets = [drawn(draw, int(draw.integers(60, 300))) for _ in range(6)]
    whole = (np.concatenate([one[0] for one in sets]), np.concatenate([one[1] for one in sets]))
    return any(
        lies(certify(sure, lost, Promise(loss=LOSS, confidence=rule(look))))
        for look, (sure, lost) in enumerate([*sets, whole], 1)
    )


def kept(draw: np.random.Generator, rule: Rule, look: int) -> float:
    """What one look keeps at 300 to 700 tested labels; a refusal keeps nothing."""
    size = int(draw.integers(300, 700))
    found = certify(*drawn(draw, size), Promise(loss=LOSS, confidence=rule(look)))
    return found.kept if isinstance(found, Certificate) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print("| doubt | broken, planned | advised | joined | kept, look 1 | look 2 | fewest labels |")
    print("|---|---|---|---|---|---|---|")
    for name, rule in RULES.items():
        shares = []
        for way in (planned, advised, joined):
            draw = np.random.default_rng(1)
            shares.append(sum(way(draw, rule) for _ in range(runs)) / runs)
        for look in (1, 2):
            draw = np.random.default_rng(2)
            shares.append(float(np.mean([kept(draw, rule, look) for _ in range(runs)])))
        fewest = [labels_needed(0.0, Promise(loss=LOSS, confidence=rule(k))) for k in (1, 2, 3, 10)]
        said = " | ".join(f"{share:.1%}" for share in shares)
        print(f"| {name} | {said} | {', '.join(map(str, fewest))} |", flush=True)
    draw, here = np.random.default_rng(1), RULES["here"]
    anew = sum(joined(draw, lambda look: here(max(1, look - 5))) for _ in range(runs)) / runs
    print(f"joined, if each set were a first look: {anew:.1%}")


if __name__ == "__main__":
    main()
