"""`firsthop ask`: one question through the whole street."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Any, cast

import typer

from ..answer import explain as explain_outcome
from ..answer import outcome_json
from ..asking import Conversation, Options
from ..client import AsyncRouter
from ..errors import ConfigError, Forbidden, LimitReached, NoAnswer
from ..types import Label, Message
from .options import ConfigOption, JsonOption, LabelWord, PolicyOption, pairs


def ask(
    prompt: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    config: ConfigOption = None,
    policy: PolicyOption = None,
    label: Annotated[
        LabelWord | None,
        typer.Option(help="How private the text is; the policy's default when not given."),
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds until an answer is worth nothing.")
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="Most dollars it may cost, such as 0.01.", metavar="USD")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose request it is.")] = "",
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of the answer.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 or nothing: greedy.")] = None,
    seed: Annotated[int | None, typer.Option(help="For sampling.")] = None,
    target: Annotated[str | None, typer.Option(help="Ask this target and no other.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the ledger.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", "-e", help="Say on standard error how it was decided.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer one question; the text streams to standard output."""
    text = question(prompt)
    conversation: Conversation = text
    if system is not None:
        conversation = [
            Message(role="system", content=system),
            Message(role="user", content=text),
        ]
    options: Options = {
        "label": None if label is None else cast(Label, label.value),
        "deadline_s": deadline,
        "cost_usd": max_cost,
        "max_output_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "target": target,
        "tags": pairs(tag or []),
        "tenant": tenant,
    }
    asyncio.run(_ask(conversation, config, policy, options, explain=explain, as_json=as_json))


def question(prompt: str) -> str:
    """The question as it was given; ``-`` is what standard input says."""
    if prompt != "-":
        return prompt
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"standard input is not text in {exc.encoding}", field="-") from exc


async def _ask(
    conversation: Conversation,
    config: str | None,
    policy: str | None,
    options: Options,
    *,
    explain: bool,
    as_json: bool,
) -> None:
    async with AsyncRouter(config, policy=policy) as router:
        stream = router.stream(conversation, **options)
        try:
            async with stream:
                async for piece in stream:
                    if not as_json:
                        sys.stdout.write(piece)
                        sys.stdout.flush()
        except (Forbidden, LimitReached, NoAnswer) as error:
            if error.outcome is not None and as_json:
                print_json({"text": None, **outcome_json(error.outcome)})
            elif error.outcome is not None and explain:
                print(explain_outcome(error.outcome), file=sys.stderr)
            raise
        answer = stream.answer
        if as_json:
            print_json(answer.as_json())
            return
        sys.stdout.write("\n")
        sys.stdout.flush()
        if explain:
            print(answer.explain(), file=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """One object, for machines."""
    print(json.dumps(value, indent=2))  # ASCII: exact whatever the pipe's encoding
