"""The map in docs/map.md against the real imports of router/.

Run as a script, it writes the map's list of files anew from their docstrings.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROUTER = ROOT / "router"
MAP = ROOT / "docs" / "map.md"
FILES = sorted(path.relative_to(ROUTER).as_posix() for path in ROUTER.rglob("*.py"))

IMPURE = frozenset(
    (
        "asyncio",
        "concurrent",
        "datetime",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
    )
)


COMPUTES = frozenset(("jsonschema", "msgspec", "numpy", "py3langid", "referencing"))
"""Packages that a pure file may use: what comes out depends on what goes in."""


@dataclass(frozen=True)
class Row:
    """One line of the map's table."""

    pattern: str
    pure: bool
    may_import: tuple[str, ...]
    third_party: tuple[str, ...]


@dataclass(frozen=True)
class Imports:
    """What a file imports.

    Attributes:
        own: Modules of router/, dotted, as far as the import names them.
        others: Top-level names of everything else.
        absolute: Imports of this package by its name.
    """

    own: frozenset[str]
    others: frozenset[str]
    absolute: frozenset[str]


def rows() -> tuple[Row, ...]:
    table = MAP.read_text(encoding="utf-8").split("## Who may import whom")[1].split("## Files")[0]
    found = []
    for line in table.splitlines():
        if not line.startswith("| `"):
            continue
        pattern, pure, own, others = (cell.strip() for cell in line.strip("|").split("|"))
        found.append(Row(pattern.strip("`"), pure == "yes", _words(own), _words(others)))
    return tuple(found)


def _words(cell: str) -> tuple[str, ...]:
    return tuple(w.strip(" `") for w in cell.split(",") if w.strip(" `–"))


def row_of(file: str) -> Row:
    """The first row that fits; a file that none fits is a file the map has to get a row for."""
    found = next((row for row in ROWS if fnmatch(file, row.pattern)), None)
    assert found is not None, f"docs/map.md has no row for {file}"
    return found


ROWS = rows()


def allowed(row: Row) -> tuple[str, ...]:
    """Modules the row permits; "above" is spelled out."""
    found: list[str] = []
    for word in row.may_import:
        if word == "above":
            found += [_module(r.pattern) for r in ROWS[: ROWS.index(row)]]
        else:
            found.append(word)
    return tuple(found)


def _module(pattern: str) -> str:
    """``signals/*`` and ``signals/draft.py`` as an import names them."""
    path = pattern.removesuffix("/*").removesuffix(".py").removesuffix("/__init__")
    return path.replace("/", ".")


def imports(file: str) -> Imports:
    tree = ast.parse((ROUTER / file).read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    package = Path(file).parts[:-1]
    own, named = set(), set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            named.add(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            own |= set(_relative(node, package))
    tops = {name.split(".")[0] for name in named}
    return Imports(
        own=frozenset(own),
        others=frozenset(tops),
        absolute=frozenset(tops & {"router", "firsthop"}),
    )


def _relative(node: ast.ImportFrom, package: tuple[str, ...]) -> Iterator[str]:
    above = package[: len(package) - node.level + 1]
    if node.module is not None:
        yield ".".join((*above, node.module))
    else:
        yield from (".".join((*above, alias.name)) for alias in node.names)


def summary(file: str) -> str:
    doc = ast.get_docstring(ast.parse((ROUTER / file).read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split())


def listing() -> str:
    """The map's list of files."""
    rooms: dict[str, list[str]] = {}
    for file in FILES:
        room, _, _ = file.rpartition("/")
        rooms.setdefault(room, []).append(file)
    parts = []
    for room in sorted(rooms):
        lines = [f"| `{f.removeprefix(room + '/')}` | {summary(f)} |" for f in rooms[room]]
        parts.append(
            f"### router/{room}\n\n| file | one line |\n|---|---|\n" + "\n".join(lines) + "\n"
        )
    return "\n".join(parts)


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_what_the_map_allows(file: str) -> None:
    row, found = row_of(file), imports(file)
    may = allowed(row)

    for module in found.own:
        permitted = any(module == m or module.startswith(f"{m}.") for m in may)
        assert permitted, f"{file} imports {module}; the map's row {row.pattern} allows {may}"
    third_party = {n for n in found.others if n not in sys.stdlib_module_names}
    assert third_party <= set(row.third_party), f"row {row.pattern} in docs/map.md"


@pytest.mark.parametrize("file", FILES)
def test_imports_inside_the_package_are_relative(file: str) -> None:
    assert not imports(file).absolute


@pytest.mark.parametrize("file", [file for file in FILES if row_of(file).pure])
def test_a_pure_file_takes_nothing_from_the_world(file: str) -> None:
    assert not imports(file).others & IMPURE
    assert set(row_of(file).third_party) <= COMPUTES


def test_pure_files_import_only_pure_files() -> None:
    for file in FILES:
        if not row_of(file).pure:
            continue
        for module in imports(file).own:
            path = module.replace(".", "/")
            target = f"{path}.py" if f"{path}.py" in FILES else f"{path}/__init__.py"
            assert row_of(target).pure, f"{file} imports {module}"


def test_every_row_of_the_map_is_about_a_file_that_is_there() -> None:
    for row in ROWS:
        assert any(row_of(file) is row for file in FILES), f"no file is left for {row.pattern}"


def test_every_file_is_on_the_map_with_the_first_line_of_its_docstring() -> None:
    written = MAP.read_text(encoding="utf-8").split("## Files", 1)[1].split("\n\n", 2)[2]

    assert written == listing(), "run: python tests/test_streets.py"


@pytest.mark.parametrize("file", FILES)
def test_every_file_says_in_a_line_what_it_is(file: str) -> None:
    assert summary(file).endswith("."), f"{file} begins with no sentence"
    assert "|" not in summary(file)


def test_nothing_is_called_by_a_word_that_says_nothing() -> None:
    for file in FILES:
        assert Path(file).stem not in ("router", "utils", "helpers", "common", "manager")


if __name__ == "__main__":
    text = MAP.read_text(encoding="utf-8")
    head, _, rest = text.partition("## Files")
    sentence = rest.split("\n\n", 2)[1]
    MAP.write_text(f"{head}## Files\n\n{sentence}\n\n{listing()}", encoding="utf-8", newline="\n")
