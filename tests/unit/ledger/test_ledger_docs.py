"""docs/ledger.md says what the tables are; the queries in it run."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from support.booking import attempt, began, closed, hop

from router.ledger import Ledger

PAGE = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    device = attempt("d1", cost_usd="0")
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        ledger.begin(began("d1"))
        ledger.end("d1", 0, device)
        ledger.begin(began("d1", 1))
        ledger.end("d1", 1, attempt("d1", 1))
        ledger.close_request(closed("d1", hop("d1", 0, "deferred", (device,)), hop("d1", 1)))
        ledger.feedback("d1", good=True)
        ledger.begin(began("d2"))
    return tmp_path


def columns(folder: Path) -> dict[str, list[str]]:
    db = sqlite3.connect(folder / "ledger.sqlite3")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")] for t in tables}
    db.close()
    return found


def test_every_table_has_its_line(folder: Path) -> None:
    listed = PAGE.split("## Tables")[1].split("**requests**")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", listed, flags=re.MULTILINE)) == sorted(
        columns(folder)
    )


@pytest.mark.parametrize("table", ["requests", "hops", "attempts", "labels"])
def test_every_column_is_explained_and_no_other(folder: Path, table: str) -> None:
    part = PAGE.split(f"**{table}**\n")[1].split("\n\n**")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(explained) == sorted(columns(folder)[table])


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_queries_find_what_they_say(folder: Path, query: str) -> None:
    db = sqlite3.connect(folder / "ledger.sqlite3")
    rows = db.execute(query).fetchall()
    db.close()
    expected = {
        "known_usd": [("cloud", 1, 0.25, 0), ("device", 2, 0.0, 1)],
        "deferral_rate": [("2026-05-28", 2, 0.5)],
        "a.status = 'interrupted'": [("d2-0-1", "device", "script", "2026-05-28 20:26:40")],
        "AS confidence": [(1, 1, 0.48)],
    }
    (wanted,) = [rows_ for mark, rows_ in expected.items() if mark in query]
    assert rows == wanted
