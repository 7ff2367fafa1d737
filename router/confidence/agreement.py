"""How far several answers to one question agree: samples of one model, or several models' votes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from .answers import canonical, final_answer, kind_of, same, stated

AGREED = (
    "votes.agree", "votes.rival", "votes.lead", "votes.entropy", "votes.different",
    "votes.silent", "votes.first",
)  # fmt: skip
SAMPLED = (
    "samples.top", "samples.lead", "samples.entropy", "samples.different", "samples.first_is_top",
    "samples.length_spread", "samples.silent",
)  # fmt: skip

_FEW = 4
"""Most words of a bare answer that is looked for in a sentence."""
_FIGURE = re.compile(r"[-\u2212]?\d(?:[\d,.]*\d)?")
_LETTERED = re.compile(r"\(?([A-J])[).:]")
_WORD = re.compile(r"\w+")
_POLAR = {"yes", "no", "true", "false"}
_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)


def vote_features(
    answer: str | None, votes: Mapping[str, str | None], known: Sequence[str] = ()
) -> dict[str, float]:
    """How the answers of other models stand to the draft's.

    Args:
        answer: The draft's final answer. None: it has none, and so nobody agrees with it.
        votes: Each model's final answer. None: that model was asked and gave none.
        known: Models that get a figure of their own, ``vote.<model>``: 1 agrees, 0 differs, -0.5
            gave none, NaN was not asked.

    Returns: The `AGREED` figures, NaN when nobody was asked, and one for each of `known`.
    """
    own = canonical(answer) if answer else None
    said = {model: canonical(vote) if vote else None for model, vote in votes.items()}
    found = dict.fromkeys(AGREED, math.nan)
    for model in known:
        vote = said.get(model)
        found[f"vote.{model}"] = (
            math.nan if model not in said else -0.5 if vote is None else float(vote == own)
        )
    if not said:
        return found
    counts = Counter(vote for vote in said.values() if vote is not None)
    agree = counts.get(own, 0) if own is not None else 0
    rival = max((times for vote, times in counts.items() if vote != own), default=0)
    everyone = counts + Counter([own] if own is not None else [])
    asked = len(said)
    return found | {
        "votes.agree": agree / asked,
        "votes.rival": rival / asked,
        "votes.lead": (agree - rival) / asked,
        "votes.entropy": entropy(list(everyone.values()), asked + 1),
        "votes.different": len(everyone) / (asked + 1),
        "votes.silent": sum(vote is None for vote in said.values()) / asked,
        "votes.first": float(own is not None and agree >= rival),
    }


def sample_features(samples: Sequence[str | None]) -> dict[str, float]:
    """The `SAMPLED` figures of final answers sampled from one model, the draft's own first.

    None in `samples` is a sample without an answer. All NaN for fewer than two.
    """
    if len(samples) < 2:
        return dict.fromkeys(SAMPLED, math.nan)
    said = [canonical(sample) if sample else None for sample in samples]
    counts = Counter(answer for answer in said if answer is not None)
    ranked = counts.most_common(2)
    top = ranked[0][1] if ranked else 0
    second = ranked[1][1] if len(ranked) > 1 else 0
    lengths = [len(answer) for answer in said if answer is not None]
    mean = sum(lengths) / max(1, len(lengths))
    spread = math.sqrt(sum((x - mean) ** 2 for x in lengths) / max(1, len(lengths)))
    return {
        "samples.top": top / len(said),
        "samples.lead": (top - second) / len(said),
        "samples.entropy": entropy(list(counts.values()), max(1, sum(counts.values()))),
        "samples.different": len(counts) / len(said),
        "samples.first_is_top": float(bool(ranked) and counts[said[0] or ""] == top),
        "samples.length_spread": math.log1p(spread),
        "samples.silent": sum(answer is None for answer in said) / len(said),
    }


def entropy(counts: Sequence[int], total: int) -> float:
    """Entropy in nats of counts over a total, which may be larger than their sum."""
    return -sum(count / total * math.log(count / total) for count in counts if count)


def agrees(one: str, other: str) -> bool:
    """Whether two whole answers to one question say the same.

    Compared are their marked answers, where both have one; else what they are, where both are JSON;
    else the code in them, without its layout; else their final answers, or all of the text. Of two
    that are short it is enough that they have the same figures, or that one is a few words of the
    other: "Tokyo" and "It is Tokyo." agree, and so would "It is not Tokyo.": no grammar is read.
    """
    if stated(one) and stated(other):
        return same(stated(one)[-1], stated(other)[-1])
    parsed = _json(one), _json(other)
    if None not in parsed:
        return bool(parsed[0] == parsed[1])
    code = _FENCED.findall(one), _FENCED.findall(other)
    if all(code):
        return "".join("".join(code[0]).split()) == "".join("".join(code[1]).split())
    final = final_answer(one) or one.strip(), final_answer(other) or other.strip()
    return same(*final) or _alike_in_short(*final)


def _alike_in_short(one: str, other: str) -> bool:
    """Whether two short answers, said in other words, have the same figures, letter or name."""
    bare, said = sorted((one.strip(), other.strip()), key=len)
    if kind_of(said) != "short" or kind_of(bare) not in ("short", "number", "choice"):
        return False
    if kind_of(bare) == "choice":
        letter = _LETTERED.match(said)
        return letter is not None and letter[1] == canonical(bare)
    figures = [[canonical(figure) for figure in _FIGURE.findall(text)] for text in (bare, said)]
    if kind_of(bare) == "number":
        return figures[1][-1:] == [canonical(bare)]
    if any(figures):
        return figures[0] == figures[1]
    words, among = (_WORD.findall(text.casefold()) for text in (bare, said))
    if _POLAR & {*words, *among}:
        return _POLAR & set(words) == _POLAR & set(among)
    runs = range(len(among) - len(words) + 1)
    few = 0 < len(words) <= _FEW
    return few and any(among[at : at + len(words)] == words for at in runs)


def _json(text: str) -> object:
    """An object or a list, parsed. None: it is neither."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None
