"""Whether two whole answers to one question say the same, each kind by what matters in it.

Pure and strict: where it can't be told, they don't. It reads words, figures and marks, no grammar.
"""

from __future__ import annotations

import json
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import NamedTuple

from .answers import ALIKE, canonical, kind_of, likeness, same, stated
from .code import fenced, same_code, without_code
from .figures import FIGURE, joiners, last_figure

_SHORT = 160
"""Characters up to which a text is an answer as a whole."""
_FEW = 4
"""Most words of a bare answer that is looked for in a sentence."""
_FLOAT = Context(prec=15, Emin=MIN_EMIN, Emax=MAX_EMAX)
_LETTERED = re.compile(r"\(?([A-J])[).:]")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"(?<=[.!?\u3002])\s+|\n+")
_COMES_TO = re.compile(
    r"(?:[=\u2248]|(?<![\d\s]):|(?<=[^\d\s]\s):|\b(?:is|are|ist|sind|est|sont|es|son))[\s$€£*]*$",
    re.IGNORECASE,
)
_POLAR = {"yes", "no", "true", "false"}
_DENYING = (
    "not never nor but isn aren wasn weren don doesn didn wouldn couldn shouldn hasn haven cannot "
    "nicht kein keine keinen keinem keiner nie pas jamais non nunca jamás não"
)
DENIALS = frozenset(_DENYING.split())
"""Words by which a sentence may deny what it names."""
_TIMES = (
    "hundred thousand million billion trillion dozen percent tausend millionen milliarden mille "
    "millions milliards mil millones milhões k m bn mn tn minus negative less more under over half "
    "twice double squared cubed root sqrt log ln sin cos tan pi"
)
_TURNS = DENIALS | {"no", *_TIMES.split()}
"""Words that make another answer of the same figure."""
_FILLING = (
    "it its is are was be the a an i we you say get that this so thus there answer result total "
    "equals equal makes gives es ist sind das der die also antwort ergebnis lautet ergibt ich wir "
    "c est il la le les ce réponse résultat donc je on son el los respuesta resultado é o risposta "
    "risultato"
)
_FILLER = frozenset(_FILLING.split())
"""Words beside a figure that say nothing of what it counts."""


class _Number(NamedTuple):
    """A number in JSON: no true, and 1.0 is 1. Rounded as far as adding floats is inexact."""

    value: Decimal


def agrees(one: str, other: str) -> bool:
    """Whether two whole answers to one question say the same.

    By their form, where both are JSON or code; see `by_form`. Else by what they mark as their
    answers (see `answers.stated`). Else short ones by figures and what those are of, a letter, or a
    few words that the other has; long ones by their word pairs, or by what their last sentences
    come to.
    """
    found = by_form(one, other)
    if found is not None:
        return found
    mine, others = _answer(one), _answer(other)
    if mine is None and others is None:
        return _alike_at_length(one, other)
    if mine is None:
        return _is_its_number(others or "", one)
    if others is None:
        return _is_its_number(mine, other)
    return same(mine, others) or (not _marked(one, other) and _alike_in_short(mine, others))


def by_form(one: str, other: str) -> bool | None:
    """Whether JSON, or code, is the same in both. None: not both are one of these, or both mark
    their answers beside it.

    JSON may stand bare or in one fence, and goes by its field ``answer``, or by all of it where
    neither has one. Code goes by `code.same_code`.
    """
    parsed = _json(one), _json(other)
    if None not in parsed and _answers(parsed[0]) == _answers(parsed[1]):
        return _same_json(*parsed)
    if stated(without_code(one)) and stated(without_code(other)):
        return None
    return same_code(one, other)


def _marked(one: str, other: str) -> bool:
    return bool(stated(one) and stated(other))


def _answer(text: str) -> str | None:
    """What a text marks as its answer, else all of it where it is short."""
    marked = stated(without_code(text)) or stated(text)
    if marked:
        return marked[-1]
    bare = text.strip()
    return bare if len(bare) <= _SHORT else None


def _conclusion(text: str) -> str:
    """The last sentence that has a word."""
    return next((one for one in reversed(_SENTENCE.split(text)) if _WORD.search(one)), "")


def _is_its_number(bare: str, long: str) -> bool:
    """Whether a long text comes to that number."""
    return kind_of(bare) == "number" and _alike_in_short(bare, _conclusion(long))


def _alike_at_length(one: str, other: str) -> bool:
    """Whether two long texts say the same: they end in the same figure, if in any, and share most
    of their words, or come to the same in their last sentences."""
    ends = [last_figure(text[-_SHORT:]) for text in (one, other)]
    if (ends[0] is None) != (ends[1] is None):
        return False
    if ends[0] and ends[1] and _reading(ends[0]) != _reading(ends[1]):
        return False
    if likeness(one, other) >= ALIKE:
        return True
    return ends[0] is not None and _alike_in_short(_conclusion(one), _conclusion(other))


def _alike_in_short(one: str, other: str) -> bool:
    """Whether two short answers, said in other words, have the same figures, letter or name."""
    bare, said = sorted(
        (one.strip(), other.strip()), key=lambda text: (kind_of(text) == "short", len(text))
    )
    if kind_of(said) != "short" or kind_of(bare) not in ("short", "number", "choice"):
        return False
    if kind_of(bare) == "choice":
        letter = _LETTERED.match(said)
        return letter is not None and letter[1] == canonical(bare)
    if FIGURE.search(bare) or FIGURE.search(said):
        return _same_figures(bare, said)
    words, among = (_WORD.findall(text.casefold()) for text in (bare, said))
    if DENIALS & (set(words) ^ set(among)):
        return False
    if _POLAR & {*words, *among}:
        return _POLAR & set(words) == _POLAR & set(among)
    runs = range(len(among) - len(words) + 1)
    few = 0 < len(words) <= _FEW
    return few and any(among[at : at + len(words)] == words for at in runs)


def _same_figures(one: str, other: str) -> bool:
    """Whether two short texts have the same figures, joined by the same signs, and count the same
    by them: of the words beside them, fillers apart, one text has no other than the other has."""
    mine, others = _reading(one), _reading(other)
    if kind_of(one) == "number" and len(others[0]) > 1 and _comes_to_last(other):
        others = _reading(other[[*FIGURE.finditer(other)][-1].start() :])
    if mine != others:
        return False
    words, among = (
        {word.casefold() for word in _NAME.findall(text)} - _FILLER for text in (one, other)
    )
    return not (words ^ among) & _TURNS and (words <= among or among <= words)


def _reading(text: str) -> tuple[list[str], list[str]]:
    """Its figures, each in one spelling, and the signs that join them."""
    return [canonical(figure) for figure in FIGURE.findall(text)], joiners(text)


def _comes_to_last(text: str) -> bool:
    """Whether a text says that its last figure is what the others make: "3 + 4 = 7"."""
    *_, last = FIGURE.finditer(text)
    return _COMES_TO.search(text[: last.start()]) is not None


def _json(text: str) -> object:
    """An object or a list, bare or as the one thing in fences, parsed. None: it is neither."""
    blocks = fenced(text)
    try:
        found: object = json.loads(
            blocks[0] if len(blocks) == 1 else text,
            parse_int=_number,
            parse_float=_number,
            parse_constant=str,
        )
    except (ValueError, RecursionError, InvalidOperation):
        return None
    return found if isinstance(found, dict | list) else None


def _number(text: str) -> _Number:
    value = Decimal(text)
    whole = value == value.to_integral_value()
    return _Number(value if whole else _FLOAT.plus(value))


def _same_json(one: object, other: object) -> bool:
    try:
        if isinstance(one, dict) and isinstance(other, dict) and _answers(one):
            mine, others = _plain(one["answer"]), _plain(other["answer"])
            if mine is not None and others is not None:
                return same(mine, others)
            return bool(one["answer"] == other["answer"])
        return bool(one == other)
    except RecursionError:
        return False


def _answers(found: object) -> bool:
    return isinstance(found, dict) and "answer" in found


def _plain(value: object) -> str | None:
    """A word or a number as text. None: it is more than that."""
    if isinstance(value, _Number):
        small = abs(value.value.adjusted()) < _SHORT
        return format(value.value, "f") if small else str(value.value)
    return value if isinstance(value, str) else None
