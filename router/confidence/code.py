"""Whether two programs are the same but for layout that doesn't matter in their language.

Comes in: answers, with code in fences or bare. Goes out: yes, no, or that there is no code to
compare. Programs are taken apart into words and neither parsed nor run: Python's own parser may end
the process on text that is nested deep enough, and the text is a model's. A wrong "yes" keeps a
wrong answer and a wrong "no" buys one answer more, so what can't be told is compared by its lines.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence
from itertools import takewhile

from .lexed import is_read, words_of

_FENCED = re.compile(
    r"(?<!`)(`{3,}+)([^\n`]*+)\n(.*?)(?:^[ \t>]*+\1`*+[ \t]*+$|(\Z))", re.DOTALL | re.MULTILINE
)
_PYTHON = frozenset(("py", "python", "python3"))
_BLANKS_COUNT = frozenset(
    ("yaml", "yml", "md", "markdown", "text", "txt", "tex", "latex", "diff", "csv", "tsv")
)
_ACROSS = re.compile(
    r"\"\"\"|'''|<<|\$\$|r#*\"|@\"|\[=*\[|%q|<pre|<textarea|[\\|>][-+\d]{0,2}[ \t]*+$",
    re.MULTILINE | re.IGNORECASE,
)
"""What may begin a text of several lines, or join a line to the next."""
_ESCAPED = re.compile(r"\\.")
_NO_PYTHON = re.compile(r"^[ \t]*+(?:>>>|!|%%?[A-Za-z])|[\r\0]", re.MULTILINE)
"""Lines of a notebook or a dialogue, and line ends that the tokenizer takes for blanks."""
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LEFT_OUT = frozenset((tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER))
_BLOCK = frozenset((tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE))
# Pythons from 3.12 on, and from 3.14 on, take these texts apart.
_BEGIN = {getattr(tokenize, name, None) for name in ("FSTRING_START", "TSTRING_START")}
_END = {getattr(tokenize, name, None) for name in ("FSTRING_END", "TSTRING_END")}


def without_code(text: str) -> str:
    """An answer without its fenced code."""
    return _FENCED.sub("\n", text) if "```" in text else text


def fenced(text: str) -> list[str]:
    """What stands in an answer's fences."""
    return [code for _, code in _blocks(text)]


def same_code(one: str, other: str) -> bool | None:
    """Whether the code in two answers is the same. None: not both have code.

    Of Python blocks, line ends and all words count; blank lines, comments, spaces and the width of
    an indentation don't. Of C, C++, C#, Java, Rust and SQL words alone. Of any other language, or
    where none is told or the words can't be, every line as it stands but for blank ones and
    trailing spaces, and these too where a text may go over several lines. Bare text is code where
    it is Python with an indented block.
    """
    one, other = one.replace("\r\n", "\n"), other.replace("\r\n", "\n")
    first, second = _blocks(one), _blocks(other)
    if not first and not second:
        return _same_bare(one, other)
    if (first and _is_torn(one)) or (second and _is_torn(other)):
        return one.strip() == other.strip()
    if not first or not second:
        said = first or second
        bare = other if first else one
        if _same(_language(said), _joined(said), bare):
            return True
        # A text that is no code itself may say in words what the code does.
        return False if _has_block(_python(_dedented(bare)) or ()) else None
    language = _language([*first, *second])
    return _same(language, _joined(first), _joined(second))


def _blocks(text: str) -> list[tuple[str, str]]:
    """What each fence says that it holds, and that."""
    if "```" not in text:
        return []
    return [(match[2], match[3]) for match in _FENCED.finditer(text)]


def _is_torn(text: str) -> bool:
    """Whether a fence may be a part of the code, so that some of it stands outside."""
    if "```" in without_code(text):
        return True
    found = list(_FENCED.finditer(text))
    return len(found) > 1 and (
        found[-1][4] is not None
        or any(match[3].count(mark) % 2 for match in found for mark in ('"""', "'''", "`"))
    )


def _language(blocks: Sequence[tuple[str, str]]) -> str:
    """What all blocks say that they are in. Empty: they don't, or not the same."""
    told = {tag.split()[0].casefold() for tag, _ in blocks if tag.strip()}
    if told and told <= _PYTHON:
        return "python"
    return told.pop() if len(told) == 1 else ""


def _joined(blocks: Sequence[tuple[str, str]]) -> str:
    return "".join(code for _, code in blocks)


def _dedented(code: str) -> str:
    """Without the blanks that all its lines begin with; blanks of a blank line may be a text's."""
    lines = code.split("\n")
    begin = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip(" \t")]
    ends = zip(min(begin, default=""), max(begin, default=""), strict=False)
    margin = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    return "\n".join(line.removeprefix(margin) for line in lines)


def _same(language: str, one: str, other: str) -> bool:
    one, other = _dedented(one), _dedented(other)
    first: Sequence[object] | None = None
    second: Sequence[object] | None = None
    if language == "python":
        first, second = _python(one), _python(other)
    elif is_read(language):
        first, second = words_of(one, language), words_of(other, language)
    if first is None and second is None:
        return _lines(one, language) == _lines(other, language)
    return first == second


def _same_bare(one: str, other: str) -> bool | None:
    """Of two texts without fences, where both may be Python and one has an indented block."""
    if "\n" not in one.strip() and "\n" not in other.strip():
        return None
    found = _python(_dedented(one)), _python(_dedented(other))
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


def _lines(code: str, language: str) -> list[str]:
    """Its lines; without blank ones and trailing blanks where none can be a part of a text."""
    lines = code.split("\n")
    if language in _BLANKS_COUNT or _ACROSS.search(code) or any(map(_is_open, lines)):
        return code.strip("\n").rstrip().split("\n")
    return [line.rstrip(" \t") for line in lines if line.strip(" \t")]


def _is_open(line: str) -> bool:
    """Whether a text may begin or end on this line and not on the same."""
    plain = _ESCAPED.sub("", line)
    return any(plain.count(mark) % 2 for mark in "\"'`")


def _python(code: str) -> list[tuple[int, str]] | None:
    """Words and blocks, without comments and blank lines. None: it can't be Python."""
    if _NO_PYTHON.search(code):
        return None
    lines = _LINE.findall(code)
    found: list[tuple[int, str]] = []
    inside, began = 0, (0, 0)
    try:
        for token in tokenize.generate_tokens(iter(lines).__next__):
            if token.type == tokenize.ERRORTOKEN and token.string.strip(" \t\f\n"):
                return None
            if token.type in _BEGIN:
                began = began if inside else token.start
                inside += 1
            elif token.type in _END:
                inside -= 1
                if not inside:  # as it stands: "{x = }" shows its own blanks
                    found.append((tokenize.STRING, _between(lines, began, token.end)))
            elif not inside and token.type not in _LEFT_OUT and token.type != tokenize.ERRORTOKEN:
                found.append((token.type, "" if token.type in _BLOCK else token.string))
    except (tokenize.TokenError, SyntaxError, ValueError):  # IndentationError is of the second
        return None
    return found


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one place to another. A place: the line, from 1, and the character in it."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    first, last = lines[start[0] - 1][start[1] :], lines[end[0] - 1][: end[1]]
    return "".join((first, *lines[start[0] : end[0] - 1], last))
