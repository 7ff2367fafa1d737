"""`firsthop demo`: five questions through the real street, and what each hop cost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from .. import config as configs
from ..answer import Answer
from ..client import AsyncRouter
from ..config import Config
from ..policy.explain import seconds, usd
from ..types import Label
from .screen import pulling, table

MODEL = "smollm2-135m"
STAND_IN = "FIRSTHOP_STAND_IN_URL"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the demo."""

    text: str
    label: Label = "public"


QUESTIONS = (
    Question("What is the capital of Japan?"),
    Question("What is 17 times 23?"),
    Question("What is the capital of Germany?"),
    Question("Who was the second president of Kiribati?"),
    Question("Draft one line to my patient Ana Kovac: her biopsy was clear.", label="pii"),
)


def demo(
    explain: Annotated[
        bool, typer.Option("--explain", "-e", help="Say after each question how it was decided.")
    ] = False,
) -> None:
    """Watch a model on this machine answer first, and the policy judge its drafts."""
    asyncio.run(_demo(explain=explain))


async def _demo(*, explain: bool) -> None:
    from ..models import Store

    with pulling(MODEL) as bar:
        await asyncio.to_thread(Store().ensure, MODEL, on_progress=bar)
    async with AsyncExitStack() as stack:
        config, note = await _config(stack)
        router = await stack.enter_async_context(AsyncRouter(config))
        print(f"policy {router.policy.name}: {router.policy.summary}")
        print(note + "\n")
        rows: list[tuple[str, ...]] = []
        answers: list[Answer] = []
        for number, question in enumerate(QUESTIONS, 1):
            answer = await _one(router, number, question, explain=explain)
            answers.append(answer)
            rows += _rows(number, question, answer)
        _summary(rows, answers)


async def _config(stack: AsyncExitStack) -> tuple[Config, str]:
    """The demo's config: with the clouds that have keys here, or else with the stand-in."""
    path = configs.find("demo")
    plain = {k: v for k, v in os.environ.items() if k != STAND_IN}
    config = configs.load(path, plain)
    clouds = [b.target for b in config.targets if b.target.provider != "device"]
    if clouds:
        names = ", ".join(f"{t.provider} ({t.model})" for t in clouds)
        return config, f"cloud: {names}, configured on this machine"
    from ..standin import StandIn

    stand_in = await stack.enter_async_context(StandIn())
    config = configs.load(path, {**plain, STAND_IN: stand_in.base_url})
    return config, (
        "cloud: no key is set here, so a stand-in on loopback takes its place; "
        "it says so in its answers"
    )


async def _one(router: AsyncRouter, number: int, question: Question, *, explain: bool) -> Answer:
    shown = f"   [label: {question.label}]" if question.label != "public" else ""
    print(f"{number}. {question.text}{shown}")
    stream = router.stream(
        question.text,
        label=question.label,
        tags={"demo": str(number)},
    )
    async with stream:
        sys.stdout.write("   ")
        async for piece in stream:
            sys.stdout.write(piece.replace("\n", "\n   "))
            sys.stdout.flush()
    answer = stream.answer
    flags = f"   [{', '.join(answer.flags)}]" if answer.flags else ""
    print(f"\n   -- {answer.answered_by}{flags}\n")
    if explain:
        print(answer.explain() + "\n")
    return answer


COLUMNS = (
    "q", "hop", "target", "model", "mean logprob", "first token", "total", "in", "out", "cost",
    "outcome",
)  # fmt: skip


def _rows(number: int, question: Question, answer: Answer) -> list[tuple[str, ...]]:
    """One row a hop."""
    rows: list[tuple[str, ...]] = []
    for hop in answer.hops:
        last, index = hop.last, hop.index
        logprob = hop.signals.get("draft.mean_logprob")
        outcome = "kept" if index == answer.outcome.answered_by else hop.left
        if outcome == "kept" and answer.flags:
            outcome = (
                f"kept home: {question.label}" if question.label != "public" else "kept, unsure"
            )
        if hop.status == "deferred":
            outcome = "sent on: unsure"
        rows.append(
            (
                str(number),
                str(index + 1),
                hop.target,
                last.model_served or hop.model,
                "" if logprob is None else f"{logprob:.2f}",
                seconds(last.ttft_s),
                seconds(hop.total_s),
                _count(last.usage.input_tokens),
                _count(last.usage.output_tokens),
                usd(hop.cost_usd),
                outcome,
            )
        )
    return rows


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else str(tokens)


def _summary(rows: list[tuple[str, ...]], answers: list[Answer]) -> None:
    table(
        "Every hop, as the ledger has it",
        COLUMNS,
        rows,
        right="q|hop|mean logprob|first token|total|in|out|cost",
    )
    home = sum(all(hop.provider == "device" for hop in a.hops) for a in answers)
    known = [a.cost_usd for a in answers if a.cost_usd is not None]
    unknown = len(answers) - len(known)
    cost = usd(sum(known, Decimal(0))) + (f" and {unknown} unknown" if unknown else "")
    print(f"\n{home} of {len(answers)} stayed on the device; total {cost}.")
    if any(hop.target == "stand-in" for a in answers for hop in a.hops):
        print("The stand-in is no cloud: its answers, tokens and $0 say nothing about one.")
    print("SmolLM2-135M is small so that you can see it fail; the product's model is Phi-3.5-mini.")
    command = _command()
    print("\nNext:")
    print(f'  {command} ask --config demo --explain "What is the capital of Japan?"')
    print(f"  {command} ledger show {answers[1].decision_id}")
    print(f"  {command} doctor")


def _command() -> str:
    """How to call us from here: by name where that is found, else by where we are."""
    if shutil.which("firsthop"):
        return "firsthop"
    here = Path(sys.argv[0])
    return os.path.relpath(here) if here.is_file() else "python -m firsthop"
