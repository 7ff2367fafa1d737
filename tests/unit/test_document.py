"""YAML that people write: read as they mean it, or refused with the place and the reason."""

from __future__ import annotations

import io
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from router.configfile import ConfigFile
from router.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Document,
    dotted,
    nearest,
    parse_yaml,
    plain_scalar,
    read_yaml,
    validate,
)
from router.document.yamltext import parse
from router.errors import ConfigError, PolicyError
from router.policy.build import build

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(
    path for folder in ("policies", "configs") for path in (ROOT / folder).glob("*.yaml")
)


def parsed(text: str) -> Any:
    return parse_yaml(text, "f.yaml").data


def problem(check: Callable[[], object]) -> ConfigError | None:
    """What `check` complains of. None: of nothing. Any other exception goes through."""
    try:
        check()
    except ConfigError as error:
        return error
    return None


def wrong(text: str) -> ConfigError:
    error = problem(lambda: parsed(text))
    assert error is not None
    assert error.file == "f.yaml"
    assert "\n" not in str(error)
    assert len(str(error)) < 300
    return error


# What words mean


@pytest.mark.parametrize(
    "word",
    ["on", "off", "yes", "no", "On", "NO", "y", "n", "2026-07-30", "12:30:45", "1_000", "0b11"],
)
def test_words_that_yaml_1_1_makes_something_of_stay_words(word: str) -> None:
    assert parsed(f"a: {word}") == {"a": word}
    assert parsed(f"a: {{{word}: 1}}") == {"a": {word: 1}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-17", -17),
        ("+3", 3),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ("1e999999", math.inf),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 1e19),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = plain_scalar(text)

    assert found == value
    assert type(found) is type(value)


def test_a_number_too_long_to_be_one_is_text() -> None:
    assert plain_scalar("1" * 100_000) == "1" * 100_000


@pytest.mark.parametrize("word", ["1", "true", "null", ".nan", ""])
def test_what_is_quoted_is_text(word: str) -> None:
    assert parsed(f"a: \"{word}\"\nb: '{word}'") == {"a": word, "b": word}


def test_not_a_number_is_one_that_checks_can_see() -> None:
    assert math.isnan(parsed("a: .nan")["a"])


@pytest.mark.parametrize("text", ["null", "yes", "1", "~", "1.5", "true"])
def test_a_fields_name_is_always_a_word(text: str) -> None:
    assert parsed(f"{text}: x") == {text: "x"}


def test_block_text_keeps_its_lines() -> None:
    assert parsed("a: |\n  one\n  two\nb: >\n  one\n  two\n") == {
        "a": "one\ntwo\n",
        "b": "one two\n",
    }


def test_windows_line_ends_mean_the_same() -> None:
    assert parsed("a:\r\n  - 1\r\n  - 2\r\n") == {"a": [1, 2]}


# Where things stand


def test_each_place_is_known_by_line_and_column() -> None:
    marks = parse_yaml("a: 1\nlist:\n  - x\n  - deep: {er: 2}\n", "f").marks

    assert marks == {
        (): (1, 1),
        ("a",): (1, 1),
        ("list",): (2, 1),
        ("list", 0): (3, 5),
        ("list", 1): (4, 5),
        ("list", 1, "deep"): (4, 5),
        ("list", 1, "deep", "er"): (4, 12),
    }


def test_an_error_points_at_the_nearest_place_that_was_written() -> None:
    document = parse_yaml("a:\n  - {b: 1}\n", "f.yaml")

    error = document.error(PolicyError, "is missing", ("a", 0, "c"), hint="add it")

    assert isinstance(error, PolicyError)
    assert str(error) == "f.yaml:2:5: a[0].c: is missing (add it)"


def test_an_error_of_a_document_without_marks_has_no_line() -> None:
    assert str(Document("f", {}, "").error(ConfigError, "no", ("a",))) == "f: a: no"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("accept", 0, "on"), "accept[0].on"),
        ((0, 1), "[0][1]"),
        (("a", "x" * 100), "a." + "x" * 57 + "..."),
        (("a\nb",), r"'a\nb'"),
        (("",), "''"),
    ],
)
def test_places_are_written_as_people_write_them(place: tuple[str | int, ...], text: str) -> None:
    assert dotted(place) == text


def test_the_nearest_word_is_named_or_all_of_a_few_or_none() -> None:
    assert nearest("cloud-fats", ["cloud-fast", "device"]) == "did you mean 'cloud-fast'?"
    assert nearest("zzz", ["b", "a"]) == "one of: a, b"
    assert nearest("zzz", [f"word-{i}" for i in range(13)]) is None
    assert nearest("zzz", []) is None
    assert nearest("x" * 1_000_000, ["x"]) == "one of: x"


# What is refused


@pytest.mark.parametrize(
    ("text", "line", "column", "field", "says"),
    [
        ("a: &x 1\nb: *x", 1, 4, "a", "anchors and aliases are not allowed"),
        ("a: {<<: *x}", 1, 9, "a.<<", "anchors and aliases"),
        ("*x : 1", 1, 1, None, "anchors and aliases"),
        ("&x a: 1", 1, 1, None, "anchors and aliases"),
        ("a: !!python/object:os.system x", 1, 4, "a", "tag"),
        ("a: !!str 5", 1, 4, "a", "is not allowed"),
        ("a: !mine {b: 1}", 1, 4, "a", "tag '!mine' is not allowed"),
        ("a:\n\tb: 1", 2, 1, "a", "a tab stands here (indent with spaces)"),
        ("a:\tb: 1", 1, 3, "a", "a tab stands here"),
        ("a: 1\nb: 2\na: 3", 3, 1, "a", "written twice; the first is in line 1"),
        ("a: {b: 1, b: 2}", 1, 11, "a.b", "written twice"),
        ("[a, b]: 1", 1, 1, None, "a field's name has to be a word"),
        ("? {a: 1}\n: 2", 1, 3, None, "a field's name has to be a word"),
        ("a: 1\n---\nb: 2", 2, 1, None, "a second document begins here"),
        ("- a\n- b", 1, 1, None, "has to be a mapping of fields"),
        ("just words", 1, 1, None, "has to be a mapping of fields"),
        ("null", 1, 1, None, "has to be a mapping of fields"),
        ("a: b: c", 1, 5, "a", "a ':' too many"),
        ("a: 1\n  b: 2", 2, 4, "a", "a ':' too many"),
        ("a:\n    - 1\n  - 2", 3, 3, "a", "the indentation does not fit"),
        ("a: {b: 1", 1, 9, "a.b", "the {...} that begins in line 1 is not closed"),
        ("a: [1, 2\nb: 3", 2, 2, "a[1]", "the [...] that begins in line 1 is not closed"),
        ("a: [1 2]]", 1, 9, "a", "a ']' too many"),
        ('a: "half', 1, 9, "a", "the quoted text that begins in line 1 is not closed"),
        ("a: @b", 1, 4, "a", "cannot start any word (put the text in quotes)"),
        ("a: `b`", 1, 4, "a", "cannot start any word"),
        ("a: %b", 1, 4, "a", "cannot start any word"),
        ("a: 1\nb\nc: 2", 2, 1, "a", "a field's name without ':'"),
        ("a: '\x07'", 1, 5, None, "character U+0007 is not allowed"),
        ("a: 1\nb: \x00", 2, 4, None, "character U+0000 is not allowed"),
        ("a: \ud800", 1, 4, None, "character U+D800 is not allowed"),
        ('a: "\\U00110000"', 1, 7, "a", "out of range"),
        ('a: "\\Uffffffff"', 1, 7, "a", "out of range"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", 1, 9, None, "out of range"),
        ("%YAML 3.0\n---\na: 1", 1, 1, None, "not YAML"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_place(
    text: str, line: int, column: int, field: str | None, says: str
) -> None:
    error = wrong(text)

    assert says in str(error)
    assert (error.line, error.column, error.field) == (line, column, field)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "   ", "\ufeff"])
def test_an_empty_document_is_empty(text: str) -> None:
    assert wrong(text).message == "empty"


def test_depth_is_bounded_and_the_bound_itself_is_fine() -> None:
    fine = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)

    assert parsed(fine)
    error = wrong("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert error.message == f"nested deeper than {MAX_DEPTH} levels"
    assert (error.line, error.field) == (1, "a[0][0]")


def test_the_number_of_words_and_values_is_bounded() -> None:
    fine = "a:\n" + "- x\n" * (MAX_NODES - 3)

    assert len(parsed(fine)["a"]) == MAX_NODES - 3
    assert "more than" in str(wrong(fine + "- x\n" * 2))


BOMBS = {
    "billion laughs": "a: &a [x, x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)),
    "brackets": "a: " + "[" * 250_000,
    "braces": "a: " + "{a: " * 60_000,
    "questions": "? " * 100_000,
    "dashes": "- " * 100_000,
    "items": "- x\n" * 60_000,
    "anchors": "a: " + "&x " * 80_000,
    "tags": "a: " + "! " * 80_000,
    "quotes": "a: '" + "''" * 100_000,
    "comments": "#\n" * 100_000,
    "one word": "a: " + "b" * 250_000,
    "one key": "k" * 250_000 + ": 1",
    "indents": "".join(" " * (i % 300) + f"k{i}:\n" for i in range(1500)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_text_takes_long(text: str) -> None:
    """CPU time, so that a busy machine does not fail it; the worst is near 0.4 s here."""
    assert len(text) < MAX_BYTES
    started = time.process_time()

    found = problem(lambda: parsed(text))

    assert found is None or len(str(found)) < 300
    assert time.process_time() - started < 2


# Files


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")

    document = read_yaml(path)

    assert document.data == {"a": "\N{LATIN SMALL LETTER E WITH ACUTE}"}
    assert document.file == str(path)
    assert not document.source.startswith("\ufeff")


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", None, "empty"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8: byte 0xff (save the file as UTF-8)"),
        (b"\xef\xbb\xbfa: \xe9\n", 1, "not UTF-8: byte 0xe9"),
        ("a: 1\n".encode("utf-16"), 1, "this looks like UTF-16"),
        (b"a: " + b"x" * MAX_BYTES, None, "larger than 256 KB; not read"),
    ],
    ids=["empty", "latin-1", "latin-1 after a mark", "utf-16", "large"],
)
def test_a_file_that_can_not_be_read_says_why(
    tmp_path: Path, content: bytes, line: int | None, says: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)

    with pytest.raises(PolicyError) as caught:
        read_yaml(path, kind=PolicyError)

    assert caught.value.file == str(path)
    assert caught.value.line == line
    assert says in str(caught.value)


class Watched(type(Path())):  # type: ignore[misc]
    """A path that counts the bytes read through it."""

    read_bytes_: ClassVar[list[int]] = []

    def open(self, *args: Any, **kwargs: Any) -> Any:
        taken = self.read_bytes_

        class File(io.BufferedReader):
            def read(self, size: int | None = -1, /) -> bytes:
                found = super().read(size)
                taken.append(len(found))
                return found

        return File(io.FileIO(str(self)))


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "small.yaml").write_bytes(b"a: 1")
    Watched.read_bytes_.clear()

    with pytest.raises(ConfigError, match="not read"):
        read_yaml(Watched(tmp_path / "large.yaml"))
    assert Watched.read_bytes_ == []

    read_yaml(Watched(tmp_path / "small.yaml"))
    assert Watched.read_bytes_ == [4]


def test_the_largest_file_that_is_read_is(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_bytes(b"a: " + b"x" * (MAX_BYTES - 3))

    assert len(read_yaml(path).data["a"]) == MAX_BYTES - 3


@pytest.mark.parametrize("name", ["missing.yaml", ".", "a\0b.yaml", "x" * 300])
def test_what_is_no_file_can_not_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in the file system there")
@pytest.mark.parametrize("size", [10, MAX_BYTES + 1])
def test_a_pipe_is_read_to_the_same_bound(tmp_path: Path, size: int) -> None:
    path = tmp_path / "pipe"
    if sys.platform != "win32":
        os.mkfifo(path)

    def write() -> None:
        try:
            path.write_bytes(b"a: " + b"x" * (size - 3))
        except BrokenPipeError:
            return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        if size > MAX_BYTES:
            with pytest.raises(ConfigError, match="larger than"):
                read_yaml(path)
        else:
            assert len(read_yaml(path).data["a"]) == size - 3
    finally:
        writer.join()


# Shapes


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    word: str
    count: int = 0


class Shape(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    parts: dict[str, Part] = {}
    several: list[Part] = []
    either: pydantic.StrictStr | Part | None = None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("parst: {}", "f:1:1: parst: unknown field (did you mean 'parts'?)"),
        ("parts: {a: {wrod: x}}", "f:1:13: parts.a.wrod: unknown field (did you mean 'word'?)"),
        ("several: [{word: x}, {wrd: y}]", "f:1:23: several[1].wrd: unknown field (did you mean"),
        ("parts: {a: {}}", "f:1:9: parts.a.word: is missing"),
        ("several: {}", "f:1:1: several: has to be a list, not a mapping"),
        (
            "parts: {a: text}",
            "f:1:9: parts.a: has to be a mapping of fields, not text (write {word",
        ),
        ("parts: {a: {word: 1}}", "f:1:13: parts.a.word: has to be text, not the number 1"),
        (
            "parts: {a: {word: x, count: y}}",
            "f:1:22: parts.a.count: has to be a whole number, not text",
        ),
        ("either: 5", "f:1:1: either: has to be text or a mapping of fields, not the number 5"),
        ("either: {wrod: x}", "f:1:10: either.wrod: unknown field (did you mean 'word'?)"),
        ("either: {count: 1}", "f:1:1: either.word: is missing"),
    ],
)
def test_a_wrong_shape_is_told_in_words(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(parse_yaml(text, "f"), Shape)

    assert str(caught.value).startswith(says)


def test_a_part_is_checked_where_it_stands() -> None:
    document = parse_yaml("outer:\n  inner: {wrod: x}\n", "f")

    with pytest.raises(ConfigError) as caught:
        validate(document, Part, data=document.data["outer"]["inner"], at=("outer", "inner"))

    assert str(caught.value) == ("f:2:11: outer.inner.wrod: unknown field (did you mean 'word'?)")


def test_a_part_that_is_nothing_is_not_taken_for_the_whole() -> None:
    document = parse_yaml("word: x\nempty:\n", "f")

    with pytest.raises(ConfigError, match=r"empty: has to be a mapping of fields, not nothing"):
        validate(document, Part, data=None, at=("empty",))


# Anything at all


def read_as_everything(text: str) -> None:
    """Read `text` as every kind of document that people write; each complaint has to be whole."""
    document: list[Document] = []
    checks: tuple[Callable[[], object], ...] = (
        lambda: document.append(parse_yaml(text, "f.yaml")),
        lambda: validate(document[0], ConfigFile),
        lambda: build(document[0], "r"),
        lambda: validate(document[0], Shape),
    )
    for check in checks:
        found = problem(check)
        if found is not None:
            assert found.file == "f.yaml"
            assert found.line is not None or found.message == "empty"
            assert "\n" not in str(found)
        if not document:
            return


yamlish = st.text("ab1-.:,[]{}&*!?|>'\"%@`#~<= \n\t\r\\\x07\ufeff\xe9", max_size=60)


@given(yamlish | st.text(max_size=40))
def test_no_text_is_answered_by_anything_but_a_config_error(text: str) -> None:
    read_as_everything(text)


@given(st.binary(max_size=60))
def test_no_bytes_are_answered_by_anything_but_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)

    found = problem(lambda: read_yaml(path))

    assert found is None or found.file == str(path)


@given(st.sampled_from(SHIPPED), st.data())
def test_a_shipped_document_hurt_anywhere_is_refused_or_read(
    path: Path, data: st.DataObject
) -> None:
    text = path.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))

    read_as_everything(text[:start] + data.draw(yamlish) + text[end:])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_document_is_read(path: Path) -> None:
    assert read_yaml(path).data


_ROOT = Path(__file__).parents[2]
_SHIPPED = sorted(
    path
    for folder in ("configs", "policies", "router")
    for path in (_ROOT / folder).rglob("*.y*ml")
)


@pytest.mark.parametrize("path", _SHIPPED, ids=lambda path: path.name)
def test_both_readers_read_the_same_in_what_is_shipped(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert parse(text, known=True) == parse(text)


def test_what_is_shipped_is_there_to_be_compared() -> None:
    assert len(_SHIPPED) > 15
    assert yaml.__with_libyaml__
