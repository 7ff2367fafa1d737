"""Whether two programs are the same: what differs in more than layout never is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.confidence.code import fenced, same_code, without_code
from router.confidence.whole import agrees

READ = ("c", "cpp", "java", "cs", "rust", "sql", "postgresql")
SAME = [
    ("c", "x = a+++b;\nf( x );", "x=a++ +b;  f(x); // so"),
    ("c", "#include <stdio.h>\nint main(){f();}", "#include <stdio.h>\n\nint main() { f(); }"),
    ("c", "char *s = \"it's // no\"; c = '\\'';", "char *s=\"it's // no\";\n/* c */ c='\\'';"),
    ("cpp", "vector<int> v;\nv->*p <<= 1.5e-3;", "vector<int>v; v ->* p<<=1.5e-3;"),
    ("java", "@Override void f() { i++; g(x -> y); }", "@Override\nvoid f(){i++; g(x->y);}"),
    ("cs", "var a = b?.c ?? d;", "var a=b?.c??d; // so"),
    ("rust", "let a: &'static str = \"it's http://a\";", "let a:&'static str=\"it's http://a\";"),
    ("rust", "f::<'a, 'b>('x', '\\'', b'y');", "f::<'a,'b>('x','\\'',b'y'); // it's"),
    ("rust", "for i in 1..=9 { t.0 += 1 }", "for i in 1 ..= 9 {\n    t.0+=1\n}"),
    (
        "sql",
        "SELECT a, 'it''s' FROM b WHERE c=1;",
        "SELECT a,'it''s'\nFROM b -- it's\nWHERE c = 1;",
    ),
    ("python", "x = f'{a}' + 1", "x  =  f'{a}'+1  # so"),
    ("", "```x```\r\ny\r\n", "```x```\n\ny\n"),
]
DIFFERENT = [
    # Signs of several characters.
    ("c", "a++ + b", "a + ++b"),
    ("c", "a - -b", "a--b"),
    ("c", "a & &b", "a && b"),
    ("cpp", "a<b<c> >", "a<b<c>>"),
    ("cpp", "a ->* b", "a -> *b"),
    ("java", "a >>> b", "a >> >b"),
    ("rust", "0..=n", "0.. =n"),
    ("cs", "a ?? b", "a ? ?b"),
    ("js", "a++ + b", "a + ++b"),
    ("postgresql", "a <-> b", "a < -> b"),
    ("c", "1.5", "1 .5"),
    ("c", "x = 1e+5", "x = 1e +5"),
    ("sql", "x = .5", "x = . 5"),
    # A quote that is none, or ends elsewhere than it seems to.
    ("rust", 'let s: &\'static str = "http://a";', 'let s: &\'static str = "http://b";'),
    ("rust", "f::<'a>(\"it's //\", 1)", "f::<'a>(\"it's //\", 2)"),
    ("rust", 'r"\\" ; "// 1"', 'r"\\" ; "// 2"'),
    ("rust", 'r#"a " b"# //"', 'r#"a "  b"# //"'),
    ("rust", "/* a /* b */ 1 */ f()", "/* a /* b */ 2 */ f()"),
    ("sql", "SELECT 'C:\\', ' -- a'", "SELECT 'C:\\', ' -- b'"),
    ("sql", "SELECT 'C:\\', 'a  b'", "SELECT 'C:\\', 'a b'"),
    ("sql", "SELECT q'[it's -- a]'", "SELECT q'[it's -- b]'"),
    ("sql", "SELECT $$ -- a$$", "SELECT $$ -- b$$"),
    ("sql", "SELECT 'a'\n'b'", "SELECT 'a' 'b'"),
    ("sql", "SELECT [a  b]", "SELECT [a b]"),
    ("c", 's = "a \\" // b";', 's = "a \\" // c";'),
    ("cpp", 's = R"(a  b)";', 's = R"(a b)";'),
    ("cpp", "n = 1'000; c = 'a'; // '", "n = 1'000; c = 'b'; // '"),
    ("cs", 's = @"C:\\"; t = " // a";', 's = @"C:\\"; t = " // b";'),
    ("cs", 's = $"{x["a  b"]}";', 's = $"{x["a b"]}";'),
    ("java", 's = """a  b""";', 's = """a b""";'),
    ("java", "c = '\\u0027'; // a", "c = '\\u0027'; // b"),
    ("java", "// \\u000a x = 1;", "// \\u000a x = 2;"),
    # What is no comment everywhere.
    ("c", "x = 1; // so\\\ny = 2;", "x = 1; // so\\\ny = 3;"),
    ("c", "x = 1; // so??/\ny = 2;", "x = 1; // so??/\ny = 3;"),
    ("mysql", "SELECT 5--1", "SELECT 5--2"),
    ("mysql", "SELECT 1 /*!40101 + 1 */", "SELECT 1 /*!40101 + 2 */"),
    ("sql", "SELECT /*+ full */ 1", "SELECT /*+ index */ 1"),
    ("cs", "// a\u2028x = 1;", "// a\u2028x = 2;"),
    # Line ends that count.
    ("c", "a\u2028b", "a\nb"),
    ("c", "x;\n#define A\ny;", "x;\n#define A y;"),
    ("sql", "SELECT 1\nGO", "SELECT 1 GO"),
    ("python", "!ls -l", "!ls - l"),
    ("python", "a\x85b", "a b"),
    ("python", "x = 1\ry = 2", "x = 1 y = 2"),
    # Blanks inside of texts.
    ("python", "x = '''a\n\nb'''", "x = '''a\nb'''"),
    ("python", "x = '''a\n  \nb'''", "x = '''a\n\nb'''"),
    ("python", "f'{x = }'", "f'{x=}'"),
    ("js", "x = `a\n\nb`", "x = `a\nb`"),
    ("sh", "cat <<E\na\n\nb\nE", "cat <<E\na\nb\nE"),
    ("sh", "a \\\nb", "a \\ \nb"),
    ("yaml", "a: |\n  b\n\n  c", "a: |\n  b\n  c"),
    # Code that looks like the end of a fence.
    ("python", "x = '```'\ny = 1", "x = '```'\ny = 2"),
    ("python", "x = '''\n```\n'''\ny = 1", "x = '''\n```\n'''\ny = 2"),
]


def in_fence(language: str, code: str) -> str:
    return f"So:\n```{language}\n{code}\n```\n"


@pytest.mark.parametrize(("language", "one", "other"), SAME)
def test_layout_and_comments_make_no_difference(language: str, one: str, other: str) -> None:
    assert same_code(in_fence(language, one), in_fence(language, other))
    assert same_code(in_fence(language, other), in_fence(language, one))


@pytest.mark.parametrize(("language", "one", "other"), DIFFERENT)
def test_what_differs_in_more_is_another_program(language: str, one: str, other: str) -> None:
    assert not agrees(in_fence(language, one), in_fence(language, other))
    assert not agrees(in_fence(language, other), in_fence(language, one))


def test_what_can_not_be_told_agrees_with_itself() -> None:
    for language, one, other in DIFFERENT:
        for code in (one, other):
            assert agrees(in_fence(language, code), in_fence(language, code))


def test_a_fence_ends_on_a_line_of_its_own() -> None:
    text = "So:\n````py\nx = '```'\n```\ny\n````\nand\n  ```\n  z\n  ```"

    assert fenced(text) == ["x = '```'\n```\ny\n", "  z\n"]
    assert without_code(text) == "So:\n\n\nand\n  \n"


SIGNS = [
    "++", "--", "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=", "+",
    "-", "*", "/", "%", "=", "<", ">", "&", "|", "^", "~", "?", ":", ".", ",", ";",
]  # fmt: skip
WORD = st.sampled_from(["a", "b1", "it", "x_2"])
NUMBER = st.integers(0, 10**6).map(str)
TEXT = st.sampled_from(['"a  b"', '"it\'s // 1"', '"/* 2 */"'])
PIECE = st.one_of(WORD, NUMBER, TEXT, st.sampled_from(SIGNS))
BLANK = st.sampled_from([" ", "  ", "\n", "\n    "])
NOTE = dict.fromkeys(READ, " /* n 'ot */ ") | {"python": "  # note\n"}


def layout(pieces: list[str], blanks: list[str]) -> str:
    return "".join(piece + blanks[at % len(blanks)] for at, piece in enumerate(pieces))


@given(
    st.sampled_from(READ),
    st.lists(PIECE, min_size=1, max_size=12),
    st.lists(BLANK, min_size=1, max_size=5),
    st.lists(BLANK, min_size=1, max_size=5),
)
def test_comparing_is_symmetric_and_knows_itself(
    language: str, pieces: list[str], some: list[str], others: list[str]
) -> None:
    one, other = (in_fence(language, layout(pieces, blanks)) for blanks in (some, others))

    assert same_code(one, one) is True
    assert same_code(one, other) is same_code(other, one)


@given(
    st.sampled_from([*READ, "js", "python", "go", ""]),
    st.lists(PIECE, max_size=10),
    st.one_of(NUMBER, st.sampled_from(SIGNS)),
    st.one_of(NUMBER, st.sampled_from(SIGNS)),
    st.lists(PIECE, max_size=10),
    st.lists(BLANK, min_size=1, max_size=5),
    st.lists(BLANK, min_size=1, max_size=5),
)
def test_another_number_or_sign_is_another_program(
    language: str,
    before: list[str],
    was: str,
    now: str,
    behind: list[str],
    some: list[str],
    others: list[str],
) -> None:
    note = NOTE.get(language, "\n")
    one = in_fence(language, layout([*before, was, *behind], some))
    other = in_fence(language, layout([*before, note, now, *behind], others))

    assert (was == now) or not same_code(one, other)
    assert (was == now) or not same_code(other, one)


@settings(max_examples=300)
@given(
    st.sampled_from([*READ, "python", "js"]),
    st.text("ab1'\"\\`r@$ \n(+.;", max_size=30),
    st.text("ab1'\"\\`r@$ \n(+.;", max_size=30),
)
def test_without_comments_all_that_is_no_blank_counts(language: str, one: str, other: str) -> None:
    first, second = in_fence(language, one + "7" + other), in_fence(language, one + "8" + other)

    assert not same_code(first, second)
    assert not same_code(second, first)


@settings(max_examples=300)
@given(
    st.sampled_from(READ),
    st.text("a1'\"r \n+<>=.&:|?(;", max_size=12),
    st.sampled_from(["1.5", '"ab"', "&&", "<=", "ab", "12"]),
    st.text("a1'\"r \n+<>=.&:|?(;", max_size=12),
)
def test_a_blank_inside_of_a_text_a_number_a_sign_or_a_name_counts(
    language: str, before: str, whole: str, behind: str
) -> None:
    one = in_fence(language, f"{before};{whole};{behind}")
    other = in_fence(language, f"{before};{whole[0]} {whole[1:]};{behind}")

    assert not same_code(one, other)
    assert not same_code(other, one)


@given(
    st.sampled_from(["c", "java", "cs", "rust"]),
    st.lists(st.one_of(WORD, NUMBER, st.sampled_from(SIGNS)), min_size=1, max_size=12),
    st.lists(BLANK, min_size=1, max_size=5),
    st.lists(BLANK, min_size=1, max_size=5),
)
def test_layout_between_words_makes_no_difference(
    language: str, pieces: list[str], some: list[str], others: list[str]
) -> None:
    one, other = (in_fence(language, layout(pieces, blanks)) for blanks in (some, others))

    assert same_code(one, other)


HOSTILE = [
    "'", '"', "`", "```", "```\n", "``` x ", "(", "/*", '"\\"', "'a ", "-", "+", "@", "# ", "1'",
    "f'{", "$", "[", "\\", " ", "> ", "a\"a", "'''", '"""', "'\n", "{\n", "a + b;\n", "**a ", "1,",
    "1 ", "1/", "not ",
]  # fmt: skip


@pytest.mark.parametrize("language", ["", "c", "rust", "sql", "python"])
def test_no_text_takes_more_than_its_length_in_time(language: str) -> None:
    began = time.process_time()

    for piece in HOSTILE:
        text = piece * (10_000 // len(piece))
        same_code(in_fence(language, text), in_fence(language, text + "x"))
        agrees(text, text + "x")

    assert time.process_time() - began < 10  # some 1 s; squares of these lengths take minutes
