"""`firsthop signals` shows the catalogue, one signal of it, or the name that was meant."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from router.cli.exits import Exit, code_of
from router.cli.signals import signals
from router.errors import ConfigError
from router.signals.catalogue import CATALOGUE, FAMILIES

app = typer.Typer()
app.command()(signals)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_table_has_every_signal() -> None:
    names = [line.split(" ")[0] for line in run().splitlines()[1:]]

    assert names == [*CATALOGUE, *FAMILIES]


def test_one_signal_is_shown_in_full() -> None:
    card = run("draft.repetition")

    assert CATALOGUE["draft.repetition"].summary in card
    assert "0 to 1" in card
    assert "once a draft is finished" in card


@pytest.mark.parametrize("name", [*CATALOGUE, *FAMILIES])
def test_every_signal_has_a_card(name: str) -> None:
    assert name in run(name)


def test_a_member_of_a_family_is_a_signal() -> None:
    assert "request.tags.team" in run("request.tags.team")


def test_json_is_for_machines() -> None:
    rows = json.loads(run("--json"))

    assert [row["name"] for row in rows] == [*CATALOGUE, *FAMILIES]
    assert json.loads(run("prompt.tokens", "--json"))["whole"] is True


def test_a_typing_error_names_the_nearest_signal_and_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["draft.mean_logprop"])

    assert isinstance(result.exception, ConfigError)
    assert "did you mean 'draft.mean_logprob'?" in str(result.exception)
    assert code_of(result.exception) is Exit.USAGE
