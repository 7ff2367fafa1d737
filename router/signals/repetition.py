"""How much of a text says again what it has just said. A model gone astray goes in circles."""

from __future__ import annotations

from itertools import pairwise

_READ = 8_000
"""Characters from the end that are read: circles, once begun, don't end."""

_FEWEST = 16
_CONTEXTS = (8, 3)
"""Words in a row that have to come again before a circle is suspected; the longer tells more."""
_LONG_PERIOD = 8
_LEAST_LETTERLESS = 60
_LEAST_SENTENCE = 20


def repetition(text: str) -> float:
    """Share of a text's last 8,000 characters that repeats what stands right before it.

    Counted are words in a run that says the same at least three times in a row, or twice when it
    is eight words or longer; and lines that say but for their numbers what the line before said. A
    refrain, a table or a list is none: something else stands between. Where words aren't parted by
    spaces, characters count as words.

    Returns: 0 to 1; 0 for a text of fewer than 16 words.
    """
    text = text[-_READ:]
    words: list[str] = text.split()
    if words and len(text) > 16 * len(words):
        words = [letter for letter in text if not letter.isspace()]
    if len(words) < _FEWEST:
        return 0.0
    return max(_circles(words) / len(words), _alike_lines(text))


def _circles(words: list[str]) -> int:
    """Words that lie in runs of one period. Linear: each word is looked at a fixed number of times.

    A period is guessed from where the last few words stood before, and kept for as long as it
    holds.
    """
    last: dict[tuple[str, ...], int] = {}
    covered, free_from = 0, 0
    period, run = 0, 0
    for place, word in enumerate(words):
        if period and words[place - period] == word:
            run += 1
        else:
            gained, free_from = _counted(words, place, period, run, free_from)
            covered += gained
            period, run = _guess(words, place, last)
        for size in _CONTEXTS:
            if place + 1 >= size:
                last[tuple(words[place + 1 - size : place + 1])] = place
    gained, _ = _counted(words, len(words), period, run, free_from)
    return covered + gained


def _guess(words: list[str], place: int, last: dict[tuple[str, ...], int]) -> tuple[int, int]:
    """How far back the words up to `place` stood last, and how many of them; 0, 0 for nowhere."""
    for size in _CONTEXTS:
        if place + 1 >= size:
            before = last.get(tuple(words[place + 1 - size : place + 1]))
            if before is not None:
                return place - before, size
    return 0, 0


def _counted(words: list[str], end: int, period: int, run: int, free_from: int) -> tuple[int, int]:
    """How many words a run adds, and from where on words are not counted yet."""
    enough = period if period >= _LONG_PERIOD else 2 * period
    if not period or run < enough:
        return 0, free_from
    begin = max(end - run, free_from)
    letters = any(any(c.isalpha() for c in word) for word in words[end - period : end])
    if not letters and run < _LEAST_LETTERLESS:
        return 0, free_from
    return max(0, end - begin), end


_NO_DIGITS = str.maketrans("", "", "0123456789")


def _alike_lines(text: str) -> float:
    """Share of the characters in lines that are the line before with other numbers."""
    lines = [line.translate(_NO_DIGITS).strip() for line in text.splitlines() if line.strip()]
    same = sum(
        len(line)
        for before, line in pairwise(lines)
        if line == before and sum(map(str.isalpha, line)) >= _LEAST_SENTENCE
    )
    total = sum(map(len, lines))
    return same / total if total else 0.0
