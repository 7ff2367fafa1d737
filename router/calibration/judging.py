"""Is a draft good? By a reference, by the strong tier's answer, or by a model that says yes or no.

Pure: what is asked of the judge, and what its words mean.
"""

from __future__ import annotations

import re

from ..confidence.answers import canonical, final_answer, kind_of, same
from ..confidence.figures import numbers
from ..confidence.whole import DENIALS, by_form
from ..types import Message

_ASKED = (
    "Below are a question and an answer to it. Is the answer correct and complete? Reply with one "
    "word: yes or no.\n\n# Question\n\n{question}\n\n# Answer\n\n{answer}"
)
_WORD = re.compile(r"[^\W\d_]+")
_ALONE = re.compile(r"\w+")
_FEW = 4
"""Most words of an answer that is looked for in a sentence."""
_YES = frozenset(("yes", "correct", "ja", "oui", "sí", "si"))
_NO = frozenset(("no", "incorrect", "wrong", "nein", "non"))
VERDICT_TOKENS = 8
"""Most tokens of a judge's answer."""


def agrees(draft: str, other: str) -> bool:
    """Whether two answers say the same in the end: JSON by content, code by what matters in it (see
    `whole.by_form`), numbers by value, choices by letter, text by its words (see `answers.same`).

    A short text that marks no final answer is compared whole, of a long one its last number. Where
    one is a number and the other a sentence, the sentence's last number counts; where one is a few
    words, a sentence agrees that begins or ends with them.
    """
    found = by_form(draft, other)
    if found is not None:
        return found
    one, two = final_answer(draft), final_answer(other)
    if one is None or two is None:
        return same(draft, other)
    if (kind_of(one) == "number") != (kind_of(two) == "number"):
        return _value(one) is not None and _value(one) == _value(two)
    return same(one, two) or _says(one, two) or _says(two, one)


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
    said = numbers(answer)
    return f"{said[-1]:.6g}" if said else None


def question_of(question: str, answer: str) -> tuple[Message, ...]:
    """What a judge is asked."""
    return (Message(role="user", content=_ASKED.format(question=question, answer=answer)),)


def verdict_of(said: str) -> bool | None:
    """What a judge's words mean. None: neither yes nor no."""
    first = _WORD.search(said.casefold())
    if first is None or first[0] not in _YES | _NO:
        return None
    return first[0] in _YES
