"""What the text of a finished draft says about how far to trust it.

Nothing here needs the model: it reads the prompt, the draft and the draft's own final answer. What
is told by English words is unknown for a draft in another language, rather than zero.
"""

from __future__ import annotations

import math
import re
import zlib

from .answers import final_answer, kind_of, stated
from .asked import english_length, options_of
from .figures import number, numbers, sums

_DOUBT = frozenset(
    [
        "however",
        "but",
        "mistake",
        "mistakes",
        "error",
        "errors",
        "incorrect",
        "incorrectly",
        "reevaluate",
        "recheck",
        "wait",
        "actually",
        "assume",
        "assumes",
        "assumed",
        "assuming",
        "assumption",
        "approximate",
        "approximately",
        "approximation",
        "maybe",
        "perhaps",
        "probably",
        "seem",
        "seems",
        "appear",
        "appears",
        "likely",
        "cannot",
        "unable",
        "impossible",
        "guess",
        "guessing",
        "numerical",
        "numerically",
        "calculator",
        "software",
        "correct",
        "corrected",
        "correction",
        "correctly",
    ]
)
_STEP = frozenset(
    ["first", "next", "then", "now", "finally", "therefore", "thus", "so", "since", "hence"]
)
_SENTENCE = re.compile(r"[.!?。！？।](?=\s|$)|(?<=[。！？])")
_LONG_DECIMAL = re.compile(r"\d\.\d{3,}")
_LETTERED = re.compile(r"\(([A-J])\)")
_FIGURE = re.compile(r"[-$]{0,2}(\d(?:[\d,.]*\d)?)")
_WORD = re.compile(r"\w+")
_READ = 20_000

DRAFTED = (
    "draft.length", "draft.to_prompt", "draft.lines", "draft.sentences", "draft.sentence_length",
    "draft.word_length", "draft.different_words", "draft.compressed", "draft.tail_compressed",
    "draft.doubts", "draft.doubt_rate", "draft.step_rate", "draft.digits",
    "draft.numbers", "draft.largest", "draft.decimals", "draft.long_decimals",
    "draft.prompt_numbers_used", "draft.prompt_numbers_left", "draft.new_numbers",
    "draft.sums_right", "draft.sums_wrong", "draft.equals", "draft.latex",
    "draft.answers", "draft.answers_differ", "draft.before_answer", "draft.after_answer",
    "draft.fences", "draft.restarts", "draft.ends_well", "draft.well_formed",
    "answer.known", "answer.raw_length", "answer.clean", "answer.form", "answer.length",
    "answer.kind", "answer.size", "answer.whole", "answer.round", "answer.negative",
    "answer.derived", "answer.is_last_number", "answer.in_prompt", "answer.said",
    "answer.letters_new", "answer.position", "answer.letters_named", "answer.option_overlap",
    "answer.option_lead", "answer.option_length", "answer.option_quoted", "answer.rivals",
    "answer.number_matches",
)  # fmt: skip
_KINDS = {"number": 1.0, "choice": 2.0, "json": 3.0, "short": 4.0, "long": 5.0}
_NAN = math.nan


def drafted_features(
    prompt: str,
    text: str,
    answer: str | None = None,
    *,
    well_formed: bool | None = None,
    language: str | None = None,
    english: bool = True,
) -> dict[str, float]:
    """The `DRAFTED` figures; NaN where there is nothing to measure.

    Args:
        answer: The draft's final answer, where the caller has parsed one. None: found here.
        well_formed: Whether the draft keeps to the form that was asked. None: none was, or unknown.
        language: The prompt's, ISO 639-1. None: not known, and judged by its script.
        english: Whether the draft is English, and its words can be read.
    """
    text = text[:_READ]
    marked = stated(text)
    if answer is None:
        answer = final_answer(text)
    found = _of_text(english_length(prompt, language), text, english)
    given, said = numbers(prompt), numbers(text)
    found |= _of_numbers(text, given, said)
    found |= _of_form(text, marked, well_formed)
    found |= _of_answer(prompt, text, marked, answer, given, said)
    found |= _of_choice(prompt, text, answer, said)
    return found


def _of_text(asked: float, text: str, english: bool) -> dict[str, float]:
    length, words = len(text), text.split()
    packed, tail = text.encode(), text[-600:].encode()
    sentences = len(_SENTENCE.findall(text)) + 1
    spoken = _WORD.findall(text.casefold()) if english else []
    doubts = sum(map(_DOUBT.__contains__, spoken)) if english else _NAN
    steps = sum(map(_STEP.__contains__, spoken)) if english else _NAN
    return {
        "draft.length": math.log1p(english_length(text)),
        "draft.to_prompt": math.log1p(english_length(text)) - math.log1p(asked),
        "draft.lines": math.log1p(text.count("\n")),
        "draft.sentences": math.log1p(sentences),
        "draft.sentence_length": length / sentences,
        "draft.word_length": length / (1 + len(words)) if english else _NAN,
        "draft.different_words": len(set(words)) / (1 + len(words)) if english else _NAN,
        "draft.compressed": len(zlib.compress(packed, 6)) / (1 + len(packed)),
        "draft.tail_compressed": len(zlib.compress(tail, 6)) / (1 + len(tail)),
        "draft.doubts": math.log1p(doubts),
        "draft.doubt_rate": doubts / (1 + length / 200),
        "draft.step_rate": steps / (1 + length / 200),
        "draft.digits": sum(map(str.isdigit, text)) / (1 + length),
    }


def _of_numbers(text: str, asked: list[float], said: list[float]) -> dict[str, float]:
    # One is an article in half of the languages: what a prompt says in digits must not hang on it.
    given, different = set(asked) - {1.0}, set(said)
    right, wrong = sums(text)
    broken = sum(value != int(value) for value in different)
    return {
        "draft.numbers": math.log1p(len(said)),
        "draft.largest": math.log1p(min(max(said, default=0.0), 1e12)),
        "draft.decimals": broken / (1 + len(different)),
        "draft.long_decimals": float(len(_LONG_DECIMAL.findall(text))),
        "draft.prompt_numbers_used": len(given & different) / len(given) if given else _NAN,
        "draft.prompt_numbers_left": float(len(given - different)),
        "draft.new_numbers": math.log1p(len(different - given)),
        "draft.sums_right": float(right),
        "draft.sums_wrong": float(wrong),
        "draft.equals": math.log1p(text.count("=")),
        "draft.latex": math.log1p(text.count("\\")),
    }


def _of_form(text: str, marked: list[str], well_formed: bool | None) -> dict[str, float]:
    at = text.find('"answer"')
    start = text.find("{")
    return {
        "draft.answers": float(len(marked)),
        "draft.answers_differ": float(len(set(marked))),
        "draft.before_answer": math.log1p(start) if start >= 0 else _NAN,
        "draft.after_answer": math.log1p(len(text) - at) if at >= 0 else _NAN,
        "draft.fences": float(text.count("```")),
        "draft.restarts": float(text.count('"reasoning"')),
        "draft.ends_well": float(text.rstrip()[-1:] in tuple('.}`)"]!?。')),
        "draft.well_formed": _NAN if well_formed is None else float(well_formed),
    }


def _of_answer(
    prompt: str,
    text: str,
    marked: list[str],
    answer: str | None,
    given: list[float],
    said: list[float],
) -> dict[str, float]:
    raw = marked[0] if marked else ""
    at = text.find('"answer"')
    reasons = text[:at] if at > 0 else text
    bare = (answer or "").strip().strip("'\"")
    value = number(match[1]) if (match := _FIGURE.fullmatch(bare)) else None
    steps = numbers(reasons) if at > 0 else said
    known = value is not None
    size = 0.0 if value is None else value
    return {
        "answer.known": float(bool(bare)),
        "answer.raw_length": math.log1p(len(raw)) if marked else _NAN,
        "answer.clean": float(kind_of(raw) in ("number", "choice")) if marked else _NAN,
        "answer.form": _form(raw) if marked else _NAN,
        "answer.length": math.log1p(len(bare)),
        "answer.kind": _KINDS[kind_of(bare)] if bare else 0.0,
        "answer.size": math.log1p(size) if known else _NAN,
        "answer.whole": float(size == int(size)) if known else _NAN,
        "answer.round": float(size % 10 == 0) if known else _NAN,
        "answer.negative": float(bare.startswith("-")) if known else _NAN,
        "answer.derived": float(value in steps if known else bare in reasons) if bare else _NAN,
        "answer.is_last_number": float(bool(steps) and steps[-1] == value) if known else _NAN,
        "answer.in_prompt": (float(value in given if known else bare in prompt) if bare else _NAN),
        "answer.said": float(min(said.count(size), 8)) if known else _NAN,
        "answer.letters_new": (
            len(set(bare) - set(prompt)) / len(set(bare)) if bare and not known else _NAN
        ),
    }


def _form(raw: str) -> float:
    """What a marked answer looks like: nothing, number, list, mapping, constant, or words."""
    if kind_of(raw) == "number":
        return 1.0
    if raw in ("True", "False", "None", "true", "false", "null"):
        return 4.0
    return {"": 0.0, "[": 2.0, "(": 2.0, "{": 3.0}.get(raw[:1], 5.0)


def _of_choice(prompt: str, text: str, answer: str | None, said: list[float]) -> dict[str, float]:
    names = (
        "answer.position", "answer.letters_named", "answer.option_overlap", "answer.option_lead",
        "answer.option_length", "answer.option_quoted", "answer.rivals", "answer.number_matches",
    )  # fmt: skip
    options = options_of(prompt)
    if len(options) < 2 or answer not in options:
        return dict.fromkeys(names, _NAN)
    spoken = set(_WORD.findall(text.casefold()))
    overlap = {letter: _covered(option, spoken) for letter, option in options.items()}
    others = [share for letter, share in overlap.items() if letter != answer]
    chosen = options[answer]
    amount = numbers(chosen)
    return {
        "answer.position": float(ord(answer) - ord("A")),
        "answer.letters_named": float(len(set(_LETTERED.findall(text)))),
        "answer.option_overlap": overlap[answer],
        "answer.option_lead": overlap[answer] - max(others),
        "answer.option_length": len(chosen) * len(options) / (1 + sum(map(len, options.values()))),
        "answer.option_quoted": float(chosen.strip(". ").casefold() in text.casefold()),
        "answer.rivals": float(sum(share > 0.8 for share in others)),
        "answer.number_matches": (
            float(all(value in said for value in amount)) if amount else _NAN
        ),
    }


def _covered(option: str, said: set[str]) -> float:
    words = set(_WORD.findall(option.casefold()))
    return len(words & said) / (1 + len(words))
