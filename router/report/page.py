"""The page around the plots: plain HTML, light and dark, one column on a phone; no script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from .tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a sentence or two, and what shows them.

    Attributes:
        name: A word for its ids.
        svg: A plot. None: the table alone.
        alt: What the plot shows, for who can't see it.
    """

    name: str
    title: str
    says: str
    table: Table
    svg: str | None = None
    alt: str = ""


def page(title: str, lines: list[str], first: Section, plots: list[Section], foot: str) -> str:
    """The whole document; well-formed as XML too, but for its first line.

    Args:
        lines: What stands at the top, a paragraph each.
        first: What goes over the whole width, above the plots.
    """
    body = "".join(f"<p>{_words(line)}</p>\n" for line in lines)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{escape(title)}</title>\n<style>\n{_CSS}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<div class="lead">\n{body}</div>\n'
        f'{_section(first)}<div class="plots">\n{"".join(map(_section, plots))}</div>\n'
        f"<footer><p>{escape(foot)}</p></footer>\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    made = f'<section id="{section.name}">\n<h2>{escape(section.title)}</h2>\n'
    made += f"<p>{_words(section.says)}</p>\n"
    if section.svg is None:
        return made + f'<div class="wide">{_table(section.table)}</div>\n</section>\n'
    return (
        f"{made}<figure>{_spoken(section)}</figure>\n"
        f"<details><summary>The figures of this plot</summary>\n"
        f'<div class="wide">{_table(section.table)}</div></details>\n</section>\n'
    )


def _words(text: str) -> str:
    """Words as HTML; a number and its percent sign stay on one line."""
    return escape(text).replace(" %", "\u00a0%")


_SIZE = re.compile(r'<svg [^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')


def _spoken(section: Section) -> str:
    """The plot with its name and alternative text, as wide as its place."""
    assert section.svg is not None
    name, found = section.name, _SIZE.match(section.svg)
    assert found is not None, "a plot without a size"
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {found[1]} {found[2]}" role="img" '
        f'aria-labelledby="{name}-title {name}-alt">\n'
        f'<title id="{name}-title">{escape(section.title)}</title>\n'
        f'<desc id="{name}-alt">{escape(section.alt)}</desc>\n'
    )
    return start + section.svg[found.end() :]


def _table(table: Table) -> str:
    sides = [' class="number"' if name in table.right else "" for name in table.columns]
    head = "".join(
        f'<th scope="col"{side}>{escape(name)}</th>'
        for name, side in zip(table.columns, sides, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{side}>{_words(cell)}</td>" for cell, side in zip(row, sides, strict=True))
        + "</tr>\n"
        for row in table.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"


_CSS = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f6f7f9; --ink: #1c2430; --soft: #5c6675; --grid: #dfe3e8;
  --one: #1a66b0; --two: #b8520a; --three: #1f7a4d; --four: #7a4fa3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --card: #1c2229; --ink: #e8ebef; --soft: #9aa6b4; --grid: #333c47;
    --one: #6db3f2; --two: #f0a05f; --three: #6fce9a; --four: #c4a3ea;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 0 0 .4rem; font-size: 1.1rem; }
p { margin: 0 0 .6rem; max-width: 46rem; }
section {
  background: var(--card); border: 1px solid var(--grid); border-radius: .6rem;
  padding: 1rem; margin: 0 0 1.1rem; break-inside: avoid;
}
.plots { columns: 2 28rem; column-gap: 1.1rem; }
figure { margin: .4rem 0 .8rem; }
svg { display: block; width: 100%; max-width: 36rem; height: auto; }
svg text { font-family: inherit !important; }
summary { cursor: pointer; color: var(--soft); }
.wide { overflow-x: auto; }
table {
  border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
  margin: .5rem 0 0;
}
th, td {
  text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; white-space: nowrap;
}
#figures td:last-child { white-space: normal; min-width: 15rem; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; }
footer { color: var(--soft); font-size: .875rem; }
@media (max-width: 30rem) {
  main { padding: .8rem .6rem 2rem; }
  section { padding: .7rem; }
  #figures td:last-child { white-space: nowrap; }
}
"""
