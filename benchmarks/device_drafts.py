"""Have the real device model answer the questions of `device_set.py`, and keep what it said.

Greedy, through the worker, four in flight. What has been answered is kept beside the result until
all is, so a run that was stopped goes on where it was. `quality.py` reads the result and needs no
model.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from common import conditions, parser
from device_cache import DATA, Draft, Drafts, model_hash, pack, place_of
from device_set import QUESTIONS, Question, digest, read

from router.device.engine import AT_ONCE, EngineInfo, EngineOptions, Job
from router.device.link import DeviceLink
from router.device.wire import Token
from router.models import Store
from router.types import TokenStat

TOKENS = 24
LEAST, MOST = 0.15, 0.85
"""Share of right drafts outside which a kind tells little about confidence."""


def main() -> None:
    """Answer what is not answered yet, write the file, and show each kind's share."""
    options = parser(__doc__)
    options.add_argument("--model", default="smollm2-135m", help="a model of the store")
    options.add_argument("--questions", type=Path, default=QUESTIONS)
    options.add_argument("--out", type=Path, default=DATA, help="folder of the result")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    conditions("onnxruntime-genai", "onnxruntime")
    found = Store().find(args.model)
    if found.manifest is None:
        raise SystemExit(f"{args.model} has no manifest: its files can't be told from others'")
    questions, model = read(args.questions), model_hash(found.manifest)
    place = place_of(model, args.out)
    part = place.with_suffix(f".{digest(questions)[:12]}.part")
    run = EngineOptions(
        folder=str(found.path), context_limit=found.context_limit, threads=args.threads
    )
    info = asyncio.run(_answer(run, questions, part))
    told = _told(part)
    each = tuple(_draft(told[question.id], question) for question in questions)
    name = f"{found.name} {found.manifest.build}, {info.engine}"
    drafts = Drafts(model=model, name=name, layer=info.state_layer, each=each)
    pack(place, drafts, questions)
    part.unlink()
    _show(questions, drafts)
    print(f"{place}: {place.stat().st_size / 1e6:.1f} MB")


async def _answer(run: EngineOptions, questions: Sequence[Question], part: Path) -> EngineInfo:
    """Answer the questions that `part` has no answer of, and say which engine did."""
    done = _told(part)
    left = [question for question in questions if question.id not in done]
    print(f"{len(done)} answered before, {len(left)} left")
    link, began = DeviceLink(run), time.perf_counter()
    try:
        info = await link.start()
        queue = iter(enumerate(left, 1))

        async def work(kept: TextIO) -> None:
            for at, question in queue:
                said = await _ask(link, question)
                kept.write(json.dumps({"id": question.id, **said}) + "\n")
                kept.flush()
                if at % 200 == 0:
                    print(f"{at:5} in {time.perf_counter() - began:.0f} s", flush=True)

        with part.open("a", encoding="utf-8") as kept:
            await asyncio.gather(*(work(kept) for _ in range(AT_ONCE)))
    finally:
        await link.aclose()
    return info


async def _ask(link: DeviceLink, question: Question) -> dict[str, Any]:
    """What one draft said, as JSON."""
    job = Job(messages=question.messages(), max_output_tokens=TOKENS, states=True)
    text, stats, state, finish = "", [], None, ""
    async with aclosing(link.run(job)) as steps:
        async for step in steps:
            if isinstance(step, Token):
                text += step.text
                stats.append((step.logprob, step.entropy, step.margin))
            else:
                finish, state = step.finish, step.state
    packed = None if state is None else base64.b64encode(state).decode()
    return {"text": text, "finish": finish, "stats": stats, "state": packed}


def _told(part: Path) -> dict[str, dict[str, Any]]:
    """What was answered so far, by question. A line cut short by a stop is answered again."""
    if not part.exists():
        return {}
    found = {}
    lines = part.read_text(encoding="utf-8").split("\n")
    for line in lines[:-1]:
        said = json.loads(line)
        found[said["id"]] = said
    if lines[-1]:
        part.write_text("\n".join([*lines[:-1], ""]), encoding="utf-8")
    return found


def _draft(said: dict[str, Any], question: Question) -> Draft:
    state = said["state"]
    return Draft(
        text=said["text"],
        right=question.right(said["text"]),
        finish=said["finish"],
        stats=tuple(TokenStat(*stat) for stat in said["stats"]),
        state=None if state is None else np.frombuffer(base64.b64decode(state), np.float32),
    )


def _show(questions: Sequence[Question], drafts: Drafts) -> None:
    """Each kind's share of right drafts, and those outside the bounds marked."""
    by_kind = defaultdict(list)
    for question, draft in zip(questions, drafts.each, strict=True):
        by_kind[question.kind].append((question, draft))
    for kind, pairs in sorted(by_kind.items()):
        share = sum(draft.right for _, draft in pairs) / len(pairs)
        out = "" if LEAST <= share <= MOST else "  out"
        question, draft = pairs[0]
        print(f"{kind:20} {len(pairs):4} {share:6.1%}{out:5} {question.question} {draft.text!r}")


if __name__ == "__main__":
    main()
