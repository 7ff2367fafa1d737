"""The YAML shape of the models' catalogue: parses, complains with line and field, gives values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..document import Document, read_yaml, validate
from ..errors import ConfigError
from ..ledger.prices_file import Day, Word
from ..types import Ability
from .life import End
from .models import ModelFacts

Tokens = Annotated[int, Field(ge=1, le=100_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _End(_Part):
    day: Day
    source: Word
    checked: Day


class _Model(_Part):
    provider: Word
    host: Word | None = None
    model: Word
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    abilities: list[Ability] | None = None
    source: Word
    checked: Day
    valid_from: Day
    retires: list[_End] = []
    successors: str = ""

    def facts(self) -> ModelFacts:
        """The value that it stands for."""
        ends = (End(on=end.day, source=end.source, checked=end.checked) for end in self.retires)
        return ModelFacts(
            provider=self.provider,
            host=self.host,
            model=self.model,
            max_input_tokens=self.max_input_tokens,
            max_output_tokens=self.max_output_tokens,
            abilities=None if self.abilities is None else frozenset(self.abilities),
            source=self.source,
            checked=self.checked,
            valid_from=self.valid_from,
            retires=tuple(sorted(ends, key=lambda end: end.on)),
            successors=self.successors,
        )


class _File(_Part):
    models: list[_Model]


def read_models(path: Path) -> tuple[ModelFacts, ...]:
    """The models of a file, in its order.

    Raises:
        ConfigError with file, line and field: the file can't be read, a field is missing, unknown
            or malformed, or a model is there twice from one day on.
    """
    document = read_yaml(path)
    found = tuple(part.facts() for part in validate(document, _File).models)
    _once(document, found)
    return found


def _once(document: Document, models: tuple[ModelFacts, ...]) -> None:
    seen: set[tuple[object, ...]] = set()
    for index, facts in enumerate(models):
        key = (facts.provider, facts.host, facts.model.casefold(), facts.valid_from)
        if key in seen:
            raise document.error(
                ConfigError, f"{facts.model!r} is there twice", ("models", index, "model")
            )
        seen.add(key)
