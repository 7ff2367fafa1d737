"""The price list in docs/config.md is one that loads, and says what the page says it says."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from router.ledger.prices_file import _Line as LineShape
from router.ledger.pricing import PriceBook, cost
from router.types import Usage

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")


def test_the_price_list_of_the_page_loads_and_prices_long_prompts_apart(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(prices:\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    path = tmp_path / "prices.yaml"
    path.write_text(text, encoding="utf-8")

    line = PriceBook.load(path).find("azure_ai", "gpt-5.4", date(2026, 11, 22))
    assert line is not None
    assert cost(line, Usage(input_tokens=272_000, output_tokens=0)) == Decimal("0.5712")
    assert cost(line, Usage(input_tokens=272_001, output_tokens=0)) == Decimal("1.1424042")


def test_every_field_of_a_price_line_is_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))

    assert set(LineShape.model_fields) <= words
