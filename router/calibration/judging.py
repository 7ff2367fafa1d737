"""Is a draft good? By a reference, by the strong tier's answer, or by a model that says yes or no.

Pure: what is asked of the judge, and what its words mean.
"""

from __future__ import annotations

import re

from ..confidence.answers import canonical, final_answer, kind_of, same, stated
from ..confidence.figures import FIGURE, last_figure
from ..confidence.whole import DENIALS, by_form
from ..types import Message

_ASKED = (
    "Below are a question and an answer to it. Is the answer correct and complete? Reply with one "
    "word: yes or no.\n\n# Question\n\n{question}\n\n# Answer\n\n{answer}"
)
_WORD = re.compile(r"[^\W\d_]+")
_ALONE = re.compile(r"\w+")
_CLAUSE = re.compile(
    r"[,;:!?\n]|\.(?!\d)|\d"
    r"|\b(?:so|(?<!thing )(?<!all )but|thus|hence|therefore|also|sondern|mais|sino|mas|donc)\b",
    re.IGNORECASE,
)
"""Where what is said before a number says nothing of it."""
_UNTRUE = re.compile(
    r"[\s*_})$'\"]{0,4}(?:is|was|were|are|ist|est|es|é|would|can|could|must)?\s{0,2}"
    r"(?:not|never|cannot|nicht|pas|non|isn|wasn|aren|wouldn|couldn|n['\u2019]est)\b"
    r"|[\s*_})$'\"]{0,4}(?:is|was|ist|est|es|é)\s{1,2}(?:wrong|incorrect|false|falsch|faux|falso|incorrecto)\b",
    re.IGNORECASE,
)
_SHORT_NOT = re.compile(r"n['\u2019]t\b", re.IGNORECASE)
_MINUS = re.compile(r"\b(?:minus|negative|moins|menos)\W*$", re.IGNORECASE)
_TAIL = 160
"""Characters at a long text's end, and before a number, that are read."""
_FEW = 4
"""Most words of an answer that is looked for in a sentence."""
_DENIES = DENIALS | {"neither", "weder"}
_YES = frozenset(("yes", "correct", "ja", "oui", "sí", "si"))
_NO = frozenset(("no", "incorrect", "wrong", "nein", "non"))
VERDICT_TOKENS = 8
"""Most tokens of a judge's answer."""


def agrees(draft: str, other: str) -> bool:
    """Whether two answers say the same in the end: JSON by content, code by what matters in it (see
    `whole.by_form`), numbers by value, choices by letter, text by its words (see `answers.same`).

    A short text that marks no final answer is compared whole, of a long one its last number with
    those it is joined to (a ratio, a fraction). Where one is a number and the other a sentence, the
    sentence's last number counts; where one is a few words, a sentence agrees that begins or ends
    with them. A number that is denied ("not 5") is no answer.
    """
    found = by_form(draft, other)
    if found is not None:
        return found
    one, two = _final(draft), _final(other)
    if one is None or two is None:
        return same(draft, other)
    if _is_denied(draft, one) != _is_denied(other, two):
        return False
    if (kind_of(one) == "number") != (kind_of(two) == "number"):
        return _value(one) is not None and _value(one) == _value(two)
    return same(one, two) or _says(one, two) or _says(two, one)


def _final(text: str) -> str | None:
    """What a text answers in the end; see `answers.final_answer`. A 3:2 is one answer."""
    if stated(text) or len(text.strip()) <= _TAIL:
        return final_answer(text)
    figure = last_figure(text[-_TAIL:])
    return _signed(text[-_TAIL:], figure) if figure else None


def _signed(text: str, figure: str) -> str:
    """A figure of a text with its sign, which may be a word, and without a percent's."""
    sign = "-" if _MINUS.search(text[: text.rfind(figure)]) else ""
    return sign + figure.rstrip("% \u00a0")


def _is_denied(text: str, answer: str) -> bool:
    """Whether a text says of its number that it isn't the answer: before it in the same clause, or
    right behind it."""
    place = text.rfind(answer.lstrip("-"))
    figures = [*FIGURE.finditer(answer.lstrip("-"))]
    if place < 0 or not figures:
        return False
    begin, end = place + figures[-1].start(), place + figures[-1].end()
    clause = _CLAUSE.split(text[max(0, begin - _TAIL) : begin])[-1]
    if _DENIES & set(_words(clause)) or _SHORT_NOT.search(clause):
        return True
    return _UNTRUE.match(text, end) is not None


def _says(short: str, sentence: str) -> bool:
    """Whether a sentence begins or ends with what the short answer says, and denies nothing: "It is
    in Paris."."""
    if kind_of(short) != "short":
        return False
    words, said = _words(short), _words(sentence)
    if DENIALS & (set(words) ^ set(said)):
        return False
    count = len(words)
    return 0 < count <= _FEW and count < len(said) and words in (said[:count], said[-count:])


def _words(text: str) -> list[str]:
    return _ALONE.findall(text.casefold())


def _value(answer: str) -> str | None:
    """A number, or the last one of a sentence. None: it has none."""
    if kind_of(answer) == "number":
        return canonical(answer)
    figure = last_figure(answer)
    return canonical(_signed(answer, figure)) if figure else None


def question_of(question: str, answer: str) -> tuple[Message, ...]:
    """What a judge is asked."""
    return (Message(role="user", content=_ASKED.format(question=question, answer=answer)),)


def verdict_of(said: str) -> bool | None:
    """What a judge's words mean. None: neither yes nor no."""
    first = _WORD.search(said.casefold())
    if first is None or first[0] not in _YES | _NO:
        return None
    return first[0] in _YES
