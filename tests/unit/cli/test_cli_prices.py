"""`firsthop prices`: the price, by whose word, who disagrees, and when it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli.app import app
from router.errors import ConfigError

CONFIG = """\
version: 1
policy: balanced
targets:
  device: {tier: device, provider: scripted, model: script, options: {steps: [{text: x}]}}
  oss: {tier: cloud-fast, provider: azure_ai, base_url: "https://r.openai.azure.com",
        model: mine, price: gpt-oss-120b}
  old: {tier: cloud-fast, provider: azure_ai, base_url: "https://r.openai.azure.com", model: o1}
  luna: {tier: cloud-fast, provider: azure_ai, base_url: "https://r.openai.azure.com",
         model: gpt-5.6-luna}
  secret: {tier: cloud-fast, provider: openai_compatible, base_url: "http://127.0.0.1:1/v1",
           model: nobody-knows}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "firsthop.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["prices", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_every_target_has_a_row_and_what_is_odd_a_sentence(config: str) -> None:
    printed = run("-c", config)
    rows = {line.split()[0]: line for line in printed.splitlines() if line.strip()}

    assert "free: stand-in" in rows["device"]
    assert "gpt-oss-120b" in rows["oss"]
    assert "2026-11-19" in rows["old"]
    assert "nobody's: the cost is unknown" in rows["secret"]
    assert "what counts is azure_ai/gpt-oss-120b@2026-10-19" in rows["oss:"]
    assert "use gpt-5.6-terra" in rows["old:"]


def test_one_target_in_full_tells_long_prompts_sizes_and_sources(config: str) -> None:
    card = run("luna", "-c", config)

    assert "azure_ai/gpt-5.6-luna@2026-08-21" in card
    assert "$0.2 in, $0.02 cached, $0.25 written to a cache, $1.2 out" in card
    assert "above 272000 prompt tokens" in card
    assert "922000 tokens in, 128000 tokens out" in card
    assert "checked 2026-11-22" in card
    assert "retires on 2028-01-11" in card
    assert "not known" in run("secret", "-c", config)


def test_for_machines_prices_are_text_and_unknown_is_null(config: str) -> None:
    by_name = {one["target"]: one for one in json.loads(run("--json", "-c", config))}

    assert by_name["secret"]["price"] is None
    assert by_name["luna"]["price"]["input_usd_per_1m"] == "0.2"
    assert by_name["luna"]["price"]["tiers"][0]["above_input_tokens"] == 272_000
    assert by_name["oss"]["conflicts"][0]["id"].startswith("genai-prices/")
    assert by_name["old"]["lives"][0]["ends"] == [{"on": "2026-11-19", "source": "LiteLLM 1.109.1"}]
    assert json.loads(run("old", "--json", "-c", config)) == by_name["old"]


def test_a_target_that_is_not_there_gets_the_nearest_name(config: str) -> None:
    with pytest.raises(ConfigError, match=r"no target 'lune'.*luna"):
        run("lune", "-c", config)
