"""Rows of `quality.py`'s table that are no plain ranking: tiers, languages, promises, speed."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator

import numpy as np
from quality_scores import BASE, fitted_on, pair, same_question
from quality_sets import Row, Sets, column, tasks
from quality_table import Line
from quality_tiers import Walk, blind_mix, least, record, swept, walked

from router.confidence.arrays import FloatArray
from router.confidence.asked import asked_features
from router.confidence.drafted import drafted_features
from router.confidence.guarantee import Certificate, Promise, certify

_PAIR = "phi35_gpt4o"
_RESAMPLES = 300
_SPLITS = 500
_BARS = (0.3, 0.4, 0.5, 0.6, 0.7)


def tier_lines(sets: Sets, split: str) -> Iterator[Line]:
    """Device, cheap and strong cloud: dollars at 95 % of the strong one's quality."""
    train, judged = sets.load(_PAIR, "train"), sets.load(_PAIR, split)
    truth, draw = record(judged), np.random.default_rng(0)
    for votes in (False, True):
        walk = Walk(sets, train, votes=votes)
        believed = walk.believe(judged)
        every = swept(believed, truth)
        found, wins = [], 0
        for _ in range(_RESAMPLES):
            at = draw.integers(0, len(judged), len(judged))
            some, means = truth.some(at), every[:, at].mean(axis=1)
            wanted = 0.95 * float(some.right[:, 2].mean())
            cost, _ = least(means[:, 1] / some.usd[:, 2].mean(), means[:, 0], wanted)
            found.append(cost)
            wins += cost < blind_mix(some, wanted)
        means = every.mean(axis=1)
        wanted = 0.95 * float(truth.right[:, 2].mean())
        cost, _ = least(means[:, 1] / truth.usd[:, 2].mean(), means[:, 0], wanted)
        name = f"{_PAIR}, three tiers{', votes' if votes else ''}"
        yield Line(
            set=name,
            metric="cost@95q",
            value=cost,
            low=float(np.quantile(found, 0.05)),
            high=float(np.quantile(found, 0.95)),
            baseline=blind_mix(truth, wanted),
            goal=0.15,
            less=True,
            rows=len(judged),
        )
        yield Line(set=name, metric="under the blind mix", value=wins / _RESAMPLES, goal=0.95)
        right, usd = walked(believed, truth, walk.worth).mean(axis=0)
        strong = truth.right[:, 2].mean()
        yield Line(set=name, metric="dial of train: quality", value=float(right / strong))
        yield Line(
            set=name, metric="dial of train: cost", value=float(usd / truth.usd[:, 2].mean())
        )


def language_lines(sets: Sets, split: str) -> Iterator[Line]:
    """One question in eleven languages: is it the same decision? English drafts throughout."""
    train = sets.load(_PAIR, "train")
    drafts = {_even(row["prompt"]): row for row in sets.load(_PAIR, split)}
    asked: dict[int, dict[str, Row]] = {}
    for row in sets.load("mgsm_languages", split):
        asked.setdefault(row["question"], {})[row["lang"]] = row
    known = [said for said in asked.values() if _even(said["en"]["prompt"]) in drafts]
    if not known:
        return
    english = [drafts[_even(said["en"]["prompt"])] for said in known]
    languages = sorted(set(known[0]) - {"en"})
    others = [said[language] for language in languages for said in known]
    told, swapped = same_question(sets, train, english * len(languages), others)
    one, each = told[: len(known)], swapped.reshape(len(languages), len(known))
    same, off = [], []
    for share in _BARS:
        bar = np.quantile(one, 1 - share)
        same.append((each > bar) == (one > bar))
        off.append(np.abs((each > bar).mean(axis=1) - (one > bar).mean()))
    agreed = np.array(same).mean(axis=(0, 2))
    gaps = np.array(off).mean(axis=0)
    name = "mgsm_languages, score of gsm8k"
    yield Line(
        set=name,
        metric="same decision",
        value=float(agreed.mean()),
        goal=0.9,
        rows=len(others),
    )
    worst = int(agreed.argmin())
    yield Line(set=name, metric=f"worst ({languages[worst]})", value=float(agreed[worst]), goal=0.9)
    worst = int(gaps.argmax())
    yield Line(
        set=name,
        metric=f"share off, worst ({languages[worst]})",
        value=float(gaps[worst]),
        goal=0.05,
        less=True,
    )
    yield Line(set=name, metric="share off, any bar", value=float(np.max(off)), less=True)


def guarantee_lines(sets: Sets, split: str) -> Iterator[Line]:
    """Bars certified on a random half, 500 times, judged on both halves together."""
    train, judged = sets.load(_PAIR, "train"), sets.load(_PAIR, split)
    confidence = -pair(sets, train, judged, "draft").escalate
    lost = column(judged, "strong_correct") * (1 - column(judged, "weak_correct"))
    for alpha in (0.05, 0.10):
        best = _kept_within(confidence, lost, alpha)
        ours, plain, kept, refused = 0, 0, [], 0
        draw = np.random.default_rng(0)
        for _ in range(_SPLITS):
            half = draw.permutation(len(judged))[: len(judged) // 2]
            found = certify(confidence[half], lost[half], Promise(loss=alpha, confidence=0.9))
            stays = np.zeros(len(judged), dtype=np.bool_)
            if isinstance(found, Certificate):
                stays = confidence >= found.bar
            else:
                refused += 1
            ours += float((stays * lost).mean()) > alpha
            kept.append(float(stays.mean()) / best if best else math.nan)
            bar = _plain_bar(confidence[half], lost[half], alpha)
            plain += float(((confidence >= bar) * lost).mean()) > alpha
        name = f"{_PAIR}, promise of {alpha:g}"
        yield Line(
            set=name,
            metric="splits over",
            value=ours / _SPLITS,
            baseline=plain / _SPLITS,
            goal=0.10,
            less=True,
            rows=len(judged),
        )
        yield Line(set=name, metric="median kept / best", value=float(np.median(kept)), goal=0.6)
        yield Line(set=name, metric="splits refused", value=refused / _SPLITS)


def speed_lines(sets: Sets, split: str) -> Iterator[Line]:
    """Milliseconds for one draft of about 200 tokens, and seconds for a million rows."""
    train = sets.load(_PAIR, "train")
    judged = [row for row in sets.load(_PAIR, split) if 180 <= row["weak_tokens"] <= 220]
    fitted = fitted_on(sets, train, ("draft",), column(train, "weak_correct"), BASE).estimator
    taken = []
    for row in judged * 3:
        began = time.perf_counter()
        signals = asked_features(row["prompt"]) | drafted_features(
            row["prompt"], row["weak_output"]
        )
        fitted.estimate(signals, row["dataset"])
        taken.append(time.perf_counter() - began)
    yield Line(
        set="signals and estimate, 200 tokens",
        metric="median ms",
        value=1000 * float(np.median(taken)),
        goal=1.0,
        less=True,
    )
    rows = np.tile(sets.rows(train, "draft"), (1 + 100_000 // len(train), 1))[:100_000]
    kinds = (tasks(train) * (1 + 100_000 // len(train)))[:100_000]
    began = time.process_time()
    fitted.probabilities(rows, kinds)
    yield Line(
        set="a million rows scored",
        metric="CPU s (10 x 100,000)",
        value=10 * (time.process_time() - began),
        goal=60.0,
        less=True,
    )


def _even(prompt: str) -> str:
    return re.sub(r"\s+", " ", prompt).strip()


def _kept_within(confidence: FloatArray, lost: FloatArray, alpha: float) -> float:
    """Largest share that can be kept, surest first, with losses truly within alpha."""
    order = np.argsort(-confidence, kind="stable")
    within = np.cumsum(lost[order]) / len(lost) <= alpha
    return float(np.flatnonzero(within)[-1] + 1) / len(lost) if within.any() else 0.0


def _plain_bar(confidence: FloatArray, lost: FloatArray, alpha: float) -> float:
    """The lowest bar whose losses on the half itself are within alpha, with no allowance."""
    order = np.argsort(-confidence, kind="stable")
    within = np.flatnonzero(np.cumsum(lost[order]) / len(lost) <= alpha)
    return float(confidence[order][within[-1]]) if len(within) else math.inf
