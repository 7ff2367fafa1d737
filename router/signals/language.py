"""Which language a text is in, or that it is too short to tell. The one file with the detector.

py3langid is naive Bayes over byte n-grams, in Python, its model in the wheel. Loading takes about
half a second and 80 MB, so it happens on the first text that needs it; `load` does it ahead.
Why this one: docs/adr/0005-language-detection.md.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .catalogue.request import LANGUAGES
from .reading import prose_of
from .script import script_counts

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

MOST_PROSE = 1_000
"""Characters of prose that are looked at. More did not change an answer."""

LEAST_LETTERS = 14
"""Letters below which an alphabet that many languages share does not tell."""
LEAST_WORDS = 3
LEAST_CHANCE = 0.5
"""Below this chance by the detector, a text of fewer than `ENOUGH` letters stays unknown."""
ENOUGH = 60
PRIOR = 5.0
"""How much likelier than any other a language of the catalogue is before a word is read.

Without it a short Portuguese question is Galician, though far fewer people write that.
"""

_BY_SCRIPT = {"hangul": "ko", "thai": "th", "greek": "other", "devanagari": "other"}
"""Scripts that settle it, for the languages the catalogue tells apart."""

_SAME = {"nb": "no", "nn": "no"}


def language_of(text: str) -> str | None:
    """The language most of a text's prose is in.

    Code, addresses, numbers and markup are not looked at. Chinese is ``zh`` in either script,
    Norwegian ``no`` in either form.

    Returns: ISO 639-1 of one of the catalogue's languages, ``other`` for any other. None: there is
        too little prose to tell.
    """
    prose = prose_of(text, MOST_PROSE)
    counts = script_counts(prose)
    if not counts:
        return None
    # A kanji text has kana between its words; a Chinese one at most a name.
    if counts["kana"] >= 2 and 8 * counts["kana"] >= counts["han"]:
        counts["kana"] += counts["han"]
        counts["han"] = 0
    script, letters = counts.most_common(1)[0]
    if script == "kana":
        return "ja"
    if script in _BY_SCRIPT:
        return _BY_SCRIPT[script] if letters >= 3 else None
    if script == "other":
        return "other" if letters >= 3 else None
    if script in ("han", "hebrew"):
        return _detected(prose, letters, 0.0) if letters >= 4 else None
    if letters < LEAST_LETTERS or len(prose.split()) < LEAST_WORDS:
        return None
    return _detected(prose, letters, LEAST_CHANCE)


def load() -> None:
    """Load the detector, if it is not loaded yet: some 0.5 s of processor time."""
    _identifier()


def _detected(prose: str, letters: int, least: float) -> str | None:
    chances: dict[str, float] = {}
    for found, chance in _identifier().rank(prose):
        code = _SAME.get(found, found)
        chances[code] = chances.get(code, 0.0) + chance * (PRIOR if code in LANGUAGES else 1.0)
    code = max(chances, key=lambda code: chances[code])
    if chances[code] < least * sum(chances.values()) and letters < ENOUGH:
        return None
    return code if code in LANGUAGES else "other"


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
