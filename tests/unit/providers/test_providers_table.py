"""The table of dialects in docs/providers.md, against the code.

Run as a script, it writes the table anew.
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
BEGIN = "<!-- dialects: written by `python tests/unit/providers/test_providers_table.py` -->\n"
END = "<!-- end of dialects -->\n"
HEAD = (
    "| dialect | address | key goes in | takes beside text | asked for JSON by | log-probabilities "
    "| cap on tokens | pictures at most | ended |\n|---|---|---|---|---|---|---|---|---|\n"
)


def table() -> str:
    from router import providers

    rows = []
    for name in providers.names():
        dialect = providers.dialect(name)
        if dialect is None or name.startswith("toy_"):  # toys are for tests
            continue
        cells = (
            f"`{name}`",
            dialect.base_url or "yours",
            _words(dialect.key_headers),
            _words(sorted(dialect.abilities, reverse=True)),
            _words(sorted(dialect.json_formats)),
            "if asked" if dialect.logprobs else "none",
            f"`{dialect.cap_field}`",
            f"{dialect.max_image_bytes:,} bytes",
            f"{dialect.retired}; use {dialect.successors}" if dialect.retired else "no",
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return BEGIN + HEAD + "".join(rows) + END


def _words(words: object) -> str:
    assert isinstance(words, list | tuple)
    return ", ".join(f"`{word}`" for word in words) or "nothing"


def test_the_table_of_dialects_says_what_the_code_does() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert table() in page, "run: python tests/unit/providers/test_providers_table.py"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + table() + after, encoding="utf-8", newline="\n")
