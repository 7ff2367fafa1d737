"""What a target takes beside text is read from its options, and checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from router.errors import ConfigError, Incapable
from router.providers import openai_compatible
from router.providers.abilities import beside_text
from router.providers.base import Dialect, Target, honours, text_only
from router.types import Ability, Ask, Message, Tool

PLAIN = Dialect(name="plain")
ABLE = Dialect(name="able", abilities=frozenset({"tools", "json"}))


def target(**options: Any) -> Target:
    return Target(name="t", tier="x", provider="plain", model="m", options=options)


def test_without_options_the_dialect_stays_as_it_is() -> None:
    assert beside_text(target(), ABLE) == ABLE


def test_options_have_the_last_word() -> None:
    spoken = beside_text(
        target(
            abilities=["images"],
            json_formats=["json_schema"],
            max_image_bytes=0,
            strict_schema=True,
        ),
        ABLE,
    )

    assert spoken.abilities == {"images"}
    assert spoken.json_formats == {"json_schema"}
    assert (spoken.max_image_bytes, spoken.strict_schema) == (0, True)


def test_a_new_dialect_takes_text_only_until_somebody_says_more() -> None:
    assert PLAIN.abilities == frozenset()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"abilities": ["tool"]}, r"options\.abilities: .*'tool'.*did you mean 'tools'"),
        ({"abilities": "tools"}, r"options\.abilities: has to be a list"),
        ({"abilities": [["tools"]]}, r"options\.abilities: .*\['tools'\]"),
        ({"abilities": {"tools": True}}, r"options\.abilities: has to be a list"),
        ({"json_formats": ["json_scheme"]}, r"did you mean 'json_schema'"),
        ({"json_formats": []}, r"options\.json_formats: needs at least one"),
        ({"max_image_bytes": -1}, r"options\.max_image_bytes: has to be a whole number"),
        ({"max_image_bytes": True}, "not True"),
        ({"max_image_bytes": "20 MB"}, "not '20 MB'"),
        ({"strict_schema": "yes"}, r"options\.strict_schema: has to be true or false"),
    ],
)
def test_an_option_that_says_nothing_of_use_is_refused_with_its_field(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        beside_text(target(**options), ABLE)


def test_an_ask_passes_when_it_needs_no_more_than_there_is() -> None:
    ask = Ask(
        attempt_id="a",
        messages=(Message(role="user", content="?"),),
        max_output_tokens=1,
        tools=(Tool(name="clock"),),
        json=True,
    )
    some: frozenset[Ability] = frozenset({"json"})

    honours(ask, frozenset({"tools", "json", "images"}))
    with pytest.raises(Incapable, match=r"it takes text, json; this needs: tools$"):
        honours(ask, some)
    with pytest.raises(Incapable, match=r"it takes text only; this needs: json, tools$"):
        text_only(ask)


def test_a_model_for_embeddings_is_a_name() -> None:
    named = Target(
        name="t",
        tier="x",
        provider="openai_compatible",
        model="m",
        base_url="http://127.0.0.1/v1",
        options={"embeddings": "e"},
    )
    assert openai_compatible.embeddings_of(named) == "e"
    assert openai_compatible.embeddings_of(replace(named, options={})) is None
    for wrong in (True, "", ["e"]):
        with pytest.raises(
            ConfigError, match=r"targets\.t\.options\.embeddings: has to be the name"
        ):
            openai_compatible.build(replace(named, options={"embeddings": wrong}))
