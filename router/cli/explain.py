"""`firsthop explain`: how a question is decided, really or dry, and what would change it."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast

import typer

from ..answer import explain as explain_outcome
from ..answer import outcome_json
from ..asking import Conversation, Options
from ..client import AsyncRouter
from ..errors import ConfigError, Forbidden, LimitReached, NoAnswer
from ..hops import Outcome
from ..policy.explain import PolicyTrace
from ..policy.rules import Policy
from ..policy.trace import Entry, Taken
from ..types import Label, Message
from .ask import print_json, question
from .options import ConfigOption, JsonOption, LabelWord, PolicyOption, pairs
from .reasons import counterfactuals, told
from .screen import say


def explain(
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
    target: Annotated[str | None, typer.Option(help="Ask this target and no other.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the policy.")] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Ask no model: what would be decided, and how far.")
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(help="SIGNAL=VALUE of the request, for --dry.", metavar="SIGNAL=VALUE"),
    ] = None,
    draft: Annotated[
        list[str] | None,
        typer.Option(help="TIER:SIGNAL=VALUE of a draft, for --dry.", metavar="TIER:SIGNAL=VALUE"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question and say how it was decided, and what would have changed each decision.

    With --dry no model is asked: signals of the text are computed, the others are given or
    unknown, and what follows is played through.
    """
    text = question(prompt)
    conversation: Conversation = text
    if system is not None:
        conversation = [Message(role="system", content=system), Message(role="user", content=text)]
    options: Options = {
        "label": None if label is None else cast(Label, label.value),
        "deadline_s": deadline,
        "cost_usd": max_cost,
        "target": target,
        "tags": pairs(tag or []),
        "tenant": tenant,
    }
    if dry:
        from .dry import rehearse

        rehearse(conversation, config, policy, options, given or [], draft or [], as_json=as_json)
        return
    if given or draft:
        field = "--given" if given else "--draft"
        raise ConfigError("is for --dry only; a real run measures", field=field)
    asyncio.run(_explain(conversation, config, policy, options, as_json=as_json))


async def _explain(
    conversation: Conversation,
    config: str | None,
    policy: str | None,
    options: Options,
    *,
    as_json: bool,
) -> None:
    async with AsyncRouter(config, policy=policy) as router:
        try:
            answer = await router.ask(conversation, **options)
        except (Forbidden, LimitReached, NoAnswer) as error:
            if error.outcome is not None:
                _show(router.policy, error.outcome, None, as_json=as_json)
            raise
        _show(router.policy, answer.outcome, answer.text, as_json=as_json)


def _show(policy: Policy, outcome: Outcome, text: str | None, *, as_json: bool) -> None:
    trace = outcome.trace
    entries: tuple[Entry, ...] = trace.entries if isinstance(trace, PolicyTrace) else ()
    tiers = [hop.tier for hop in outcome.hops]
    if as_json:
        flips = counterfactuals(policy, entries, tiers)
        print_json({"text": text, **outcome_json(outcome), "counterfactuals": flips})
        return

    def hop_lines(taken: Taken) -> list[str]:
        return PolicyTrace((taken,)).lines(tuple(h for h in outcome.hops if h.index == taken.hop))

    head, *_, end = explain_outcome(outcome).splitlines()
    typer.echo(head)
    for line in told(policy, entries, tiers, hop_lines):
        say(line)
    typer.echo(end)
    if text is not None:
        typer.echo(f"\n{text}")
