"""Whether two programs are the same but for layout that doesn't matter in their language.

Comes in: answers, with code in fences or bare. Goes out: yes, no, or that there is no code to
compare. Programs are taken apart into words and neither parsed nor run: Python's own parser may end
the process on text that is nested deep enough, and the text is a model's.
"""

from __future__ import annotations

import re
import textwrap
import tokenize
from collections.abc import Sequence

_FENCED = re.compile(r"```([^\n`]*)\n(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = frozenset(("py", "python", "python3"))
_LINE_COMMENT = {
    **dict.fromkeys(("c", "h", "c++", "cc", "cpp", "hpp", "java", "c#", "cs", "csharp"), "//"),
    **dict.fromkeys(("rs", "rust"), "//"),
    **dict.fromkeys(("sql", "mysql", "postgresql", "sqlite"), "--"),
}
"""Languages in which line ends and indentation mean nothing, and what begins a comment."""
_OWN_LAYOUT = re.compile(r'"""|R"|r#*"|@"|^[ \t]*#|\\\n|\$\$', re.MULTILINE)
"""Where they mean something there too: long strings, the preprocessor's lines."""
_WORD = r'"(?:\\.|[^"\\])*"?|\'(?:\\.|[^\'\\])*\'?|\w+|[^\w\s]'
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LEFT_OUT = frozenset((tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER))
_BLOCK = frozenset((tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE))


def without_code(text: str) -> str:
    """An answer without its fenced code."""
    return _FENCED.sub("\n", text)


def fenced(text: str) -> list[str]:
    """What stands in an answer's fences."""
    return [code for _, code in _FENCED.findall(text)]


def same_code(one: str, other: str) -> bool | None:
    """Whether the code in two answers is the same. None: not both have code.

    Of Python blocks, line ends and all words count; blank lines, comments, spaces and the width of
    an indentation don't. Of C, C++, C#, Java, Rust and SQL words alone. Of any other language, or
    where none is told, every line as it stands but for blank ones and trailing spaces. Bare text is
    code where it is Python with an indented block.
    """
    first, second = _FENCED.findall(one), _FENCED.findall(other)
    if not first and not second:
        return _same_bare(one, other)
    if not first or not second:
        said = first or second
        bare = other if first else one
        if _same(_language(said), _joined(said), bare):
            return True
        # A text that is no code itself may say in words what the code does.
        return False if _has_block(_python(textwrap.dedent(bare)) or ()) else None
    language = _language([*first, *second])
    return _same(language, _joined(first), _joined(second))


def _language(blocks: Sequence[tuple[str, str]]) -> str:
    """What all blocks say that they are in. Empty: they don't, or not the same."""
    told = {tag.split()[0].casefold() for tag, _ in blocks if tag.strip()}
    if told and told <= _PYTHON:
        return "python"
    return told.pop() if len(told) == 1 else ""


def _joined(blocks: Sequence[tuple[str, str]]) -> str:
    return "\n".join(textwrap.dedent(code) for _, code in blocks)


def _same(language: str, one: str, other: str) -> bool:
    if _lines(one) == _lines(other):
        return True
    if language == "python":
        words = _python(one)
        return words is not None and words == _python(other)
    comment = _LINE_COMMENT.get(language)
    if comment is None or _OWN_LAYOUT.search(one) or _OWN_LAYOUT.search(other):
        return False
    return _words(one, comment) == _words(other, comment)


def _same_bare(one: str, other: str) -> bool | None:
    """Of two texts without fences, where both may be Python and one has an indented block."""
    if "\n" not in one.strip() and "\n" not in other.strip():
        return None
    found = _python(textwrap.dedent(one)), _python(textwrap.dedent(other))
    if found[0] is None or found[1] is None:
        return None
    if not any(_has_block(words) for words in found if words is not None):
        return None
    return found[0] == found[1]


def _has_block(words: Sequence[tuple[int, str]]) -> bool:
    """A colon, a line end and a deeper indentation: prose and lists have no such thing."""
    return any(
        colon == ":" and end == tokenize.NEWLINE and block == tokenize.INDENT
        for (_, colon), (end, _), (block, _) in zip(words, words[1:], words[2:], strict=False)
    )


def _lines(code: str) -> list[str]:
    return [line.rstrip() for line in textwrap.dedent(code).splitlines() if line.strip()]


def _words(code: str, comment: str) -> list[str]:
    """Of a language that is free of layout, without comments."""
    whole = re.compile(rf"{re.escape(comment)}[^\n]*|/\*.*?(?:\*/|\Z)|({_WORD})", re.DOTALL)
    return [word for word in whole.findall(code) if word]


def _python(code: str) -> list[tuple[int, str]] | None:
    """Words and blocks, without comments and blank lines. None: it can't be Python."""
    found = []
    try:
        for token in tokenize.generate_tokens(iter(_LINE.findall(code)).__next__):
            if token.type == tokenize.ERRORTOKEN and token.string.strip():
                return None
            if token.type not in _LEFT_OUT and token.type != tokenize.ERRORTOKEN:
                found.append((token.type, "" if token.type in _BLOCK else token.string))
    except (tokenize.TokenError, SyntaxError, ValueError):  # IndentationError is of the second
        return None
    return found
