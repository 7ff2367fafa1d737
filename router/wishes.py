"""What a caller wishes of the choice of tokens and of the form, beside messages: names as OpenAI's.

In go the options of a call, out come the fields of a `Request` of the same meaning. What can be
told wrong without knowing the target is told here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import arguments
from .arguments import text, wrong
from .document import nearest
from .errors import ConfigError
from .types import Tool

MOST_TOP_LOGPROBS = 20
WISHES = frozenset(
    (
        *("n", "regex", "grammar", "top_p", "top_k", "min_p", "frequency_penalty"),
        *("presence_penalty", "logit_bias", "logprobs", "top_logprobs", "tool_choice"),
        "parallel_tool_calls",
    )
)
"""Options that `wishes` reads. With none of them a `Request` has its defaults."""
_MOST_PENALTY = 2.0
_MOST_BIAS = 100.0
_CHOICES = ("auto", "none", "required")


def wishes(options: Mapping[str, Any], tools: Sequence[Tool], *, shaped: bool) -> dict[str, Any]:
    """Fields of a `Request`, by name.

    Args:
        shaped: Whether the answer has to be JSON; then no other form can be asked for.

    Raises: ConfigError that names the argument.
    """
    if arguments.whole("n", options.get("n"), least=1) not in (None, 1):
        raise ConfigError("a request has one answer; ask again for another", field="n")
    form = {name: _optional_text(name, options.get(name)) for name in ("regex", "grammar")}
    if shaped + sum(given is not None for given in form.values()) > 1:
        raise ConfigError(
            "is one form too many; ask for one", field="regex" if shaped else "grammar"
        )
    return {
        "top_p": arguments.number("top_p", options.get("top_p"), zero=False, most=1.0),
        "top_k": arguments.whole("top_k", options.get("top_k"), least=1),
        "min_p": arguments.number("min_p", options.get("min_p"), most=1.0),
        "frequency_penalty": _penalty("frequency_penalty", options.get("frequency_penalty")),
        "presence_penalty": _penalty("presence_penalty", options.get("presence_penalty")),
        "logit_bias": _bias(options.get("logit_bias"), options.get("target")),
        "logprobs": _logprobs(options.get("logprobs"), options.get("top_logprobs")),
        "tool_choice": _tool_choice(options.get("tool_choice"), tools),
        "parallel_tool_calls": _one_call(options.get("parallel_tool_calls"), tools),
        **form,
    }


def _optional_text(field: str, given: str | None) -> str | None:
    return None if given is None else text(field, given)


def _between(field: str, given: object, most: float) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise wrong(field, "has to be a number", given)
    if not -most <= given <= most:
        raise ConfigError(f"has to be from {-most:g} to {most:g}", field=field)
    return float(given)


def _penalty(field: str, given: object) -> float | None:
    return None if given is None else _between(field, given, _MOST_PENALTY)


def _bias(given: object, target: object) -> dict[int, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise wrong("logit_bias", "has to be a mapping of token ids to numbers", given)
    found: dict[int, float] = {}
    for token, bias in given.items():
        if isinstance(token, bool) or not str(token).isdecimal():
            raise ConfigError(f"{token!r} is no token id", field="logit_bias")
        found[int(token)] = _between(f"logit_bias[{token!r}]", bias, _MOST_BIAS)
    if found and target is None:
        raise ConfigError(
            "token ids mean another word in each model; say which `target` they are for",
            field="logit_bias",
        )
    return found


def _logprobs(given: object, top: object) -> int | None:
    if given is not None and not isinstance(given, bool):
        raise wrong("logprobs", "has to be True or False", given)
    if top is None:
        return 0 if given else None
    if isinstance(top, bool) or not isinstance(top, int):
        raise wrong("top_logprobs", "has to be a whole number", top)
    if not 0 <= top <= MOST_TOP_LOGPROBS:
        raise ConfigError(f"has to be from 0 to {MOST_TOP_LOGPROBS}", field="top_logprobs")
    if given is False:
        raise ConfigError("is asked for, and `logprobs` is off", field="top_logprobs")
    return top


def _one_call(given: object, tools: Sequence[Tool]) -> Literal[False] | None:
    if given is not None and not isinstance(given, bool):
        raise wrong("parallel_tool_calls", "has to be true or false", given)
    return False if given is False and tools else None


def _tool_choice(given: object, tools: Sequence[Tool]) -> str | None:
    field = "tool_choice"
    if isinstance(given, Mapping):  # OpenAI's shape of a named function
        function = given.get("function")
        given = function.get("name") if isinstance(function, Mapping) else function
        named = text(f"{field}.function.name", given)
        if named in ("none", "required"):
            raise ConfigError(
                f"a tool called {named!r} can't be told from the word; give it another name",
                field=field,
            )
    elif given is None or given == "auto":
        return None
    else:
        named = text(field, given)
        if named in _CHOICES and tools:
            return named
    if named == "none":
        return None
    names = [tool.name for tool in tools]
    if named not in names:
        hint = nearest(named, (*_CHOICES, *names))
        raise ConfigError(f"no tool is called {named!r}", field=field, hint=hint)
    return named
