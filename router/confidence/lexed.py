"""A program's words, in languages where line ends and indentation mean nothing.

Comes in: code and its language's name. Goes out: its words without comments and layout, or that it
can't be told. Each language has its own signs: a word of ours may hold several of the language's,
but none of the language's ever begins in one of ours and ends in the next, so two programs of equal
words are the same program. What could be read in two ways is not read at all.
"""

from __future__ import annotations

import re
from functools import cache

_FAMILIES = {
    "c": ("c", "h", "c++", "cc", "cpp", "hpp"),
    "java": ("java",),
    "c#": ("c#", "cs", "csharp"),
    "rust": ("rs", "rust"),
    "sql": ("sql", "mysql", "postgresql", "sqlite"),
}
_FAMILY = {tag: family for family, tags in _FAMILIES.items() for tag in tags}
_OTHER_ENDS = re.compile(r"[\0\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")
"""What some compilers take for a line's end and others don't."""
_DOUBTED = {
    # Trigraphs, and digraphs that C++11 reads otherwise than C.
    "c": re.compile(r"\?\?|<[:%]|[:%]>|%:"),
    "java": re.compile(r"\\u"),  # read before anything else, a quote or a line end too
    # Lines that a client takes for itself.
    "sql": re.compile(r"\\|^[ \t]*(?:go|/|\.\w[^\n]*|delimiter\b[^\n]*)[ \t]*$", re.M | re.I),
}
_HIDING = re.compile(r'/\*|\\|R"')
"""What may make a comment or a preprocessor's line end elsewhere than it seems to."""
_SHARED = "<<= >>= << >> <= >= == != && || += -= *= /= %= &= |= ^= ->"
_SIGNS = {
    "c": f"{_SHARED} ++ -- <=> ->* ... :: .*",
    "java": f"{_SHARED} ++ -- >>>= >>> ... ::",
    "c#": f"{_SHARED} ++ -- >>>= >>> ??= ?? => .. ::",
    "rust": f"{_SHARED} => ..= ... .. ::",
}
_BLANK = r"[ \t]*+\n|[ \t]++"
_NOTE = r"(?P<note>//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)"
_NO_QUOTE = r"(?![\"'`])"
_NUMBER = r"\.?\d(?:(?<=[\d.])[eE][+-](?=\d)|\w|\.(?!\.))*+" + _NO_QUOTE
_C_NUMBER = r"\.?\d(?:[eEpP][+-]|'\w|[\w.])*+" + _NO_QUOTE
_NAME = r"[^\W\d]\w*+" + _NO_QUOTE
_TEXT = r'"(?:[^"\\\n]|\\.)*+"\w*+' + _NO_QUOTE
_LETTERS = r"'(?:[^'\\\n]|\\.)++'\w*+" + _NO_QUOTE
_RUST = (
    r'[bc]?"(?:[^"\\]|\\[\s\S])*+"\w*+' + _NO_QUOTE,
    r"b?'(?:[^'\\\n]|\\[^\n][^'\n]*+)'\w*+" + _NO_QUOTE,
    r"'[^\W\d]\w*+" + _NO_QUOTE,  # a lifetime
    r"(?<!\w)#(?=\s*+!?\s*+\[)",
    "@",
)
_SQL = (
    r"[NnXxBb]?'(?:[^']|'')*+'(?![\w\"'`])",
    r'"(?:[^"]|"")*+"(?![\w"\'`])',
    r"`(?:[^`]|``)*+`(?![\w\"'`])",
    r"(?<!\w)\$\d++(?![\w$])",
    r"\[[^\[\]'\"`\n/-]*+\]",
    # A database may define operators of its own, so a run of signs is one. Of a name, or of text
    # that goes with its mark, the mark is a part.
    r"(?:(?!--|/\*)[-+*/<>=~!@%^&|?:])++(?:(?<=[@:%?])\w++)?(?!(?<=[:@&])[\"'`]|(?<=%)\()",
    r"\.\.",
    "[.,;()]",
)
_SQL_NOTE = r"(?P<note>--(?=[ \t\n]|\Z)[^\n]*+|/\*(?![!+])(?:[^*]++|\*(?!/))*+\*/)"


def is_read(language: str) -> bool:
    """Whether that is a language whose words are known."""
    return language in _FAMILY


def words_of(code: str, language: str) -> list[str] | None:
    """A program's words, in order. None: it can't be told, as with a quote that is never closed.

    Args:
        language: As a fence names it, in small letters, one that `is_read`.
    """
    family = _FAMILY[language]
    doubted = _DOUBTED.get(family)
    if _OTHER_ENDS.search(code) or (doubted and doubted.search(code)):
        return None
    found: list[str] = []
    for match in _pattern(family).finditer(code):
        group, text = match.lastgroup, match[0].strip(" \t")
        if group == "doubt" or (group == "note" and _HIDING.search(text, 2)):
            return None
        if group == "line" and _HIDING.search(text):
            return None
        if group in ("line", "word"):
            # Whether two texts beside each other are one depends on the database, and on the line.
            if family == "sql" and found and text[-1] in "'\"" and found[-1][-1] in "'\"":
                return None
            found.append(text)
    return found


@cache
def _pattern(family: str) -> re.Pattern[str]:
    kinds: tuple[str, ...] = (_NUMBER, _NAME, *_SQL)
    note = _SQL_NOTE
    if family != "sql":
        signs = sorted(_SIGNS[family].split(), key=len, reverse=True)
        marks = "|".join(map(re.escape, signs)) + r"|[-+*/%=<>!&|^~?:.,;()\[\]{}]"
        number = _C_NUMBER if family == "c" else _NUMBER
        kinds, note = (*_quoted(family), number, _NAME, marks), _NOTE
    line = r"(?P<line>^[ \t]*+#[^\n]*+)|" if family in ("c", "c#") else ""
    word = "|".join(kinds)
    return re.compile(rf"{line}{_BLANK}|{note}|(?P<word>{word})|(?P<doubt>[\s\S])", re.M)


def _quoted(family: str) -> tuple[str, ...]:
    if family == "rust":
        return _RUST
    before = "(?:u8|[LuU])?" if family == "c" else ""
    own = {"java": (r"@",), "c#": (r"@(?=[^\W\d])" + _NAME, r"\?\.(?!\d)")}
    return (before + _TEXT, before + _LETTERS, *own.get(family, ()))
