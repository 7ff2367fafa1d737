"""Thousands of requests over three clouds that fail, one of which dies halfway.

    python benchmarks/chaos.py --json chaos.json

The router is the real one, with its config, policy and ledger on disk, over both transports; the
clouds are `chaos_clouds.py`, in a process of their own. Targets `a` (lean) and `b` (SDK) serve one
tier, `c` (lean) the next. In the first act a fifth of what `a` and `b` get fails, in one of two
dozen ways, `a` dies halfway, and `c` is healthy. In the second `c` fails as often as the others,
and the answered share is told and not judged: a cloud that says for good that it won't have a
request, or breaks off an answer that the caller is already reading, leaves nothing to try. Then
short acts: one in which nobody ever finishes, so that only the deadline ends a request, and one for
each failure after which a target is left alone for long, of which `a` has nothing else. Some
callers leave before their answer comes.

A request is late when it ends more than a quarter of a second after its deadline; time in which the
machine gave the processors to others is not counted, and told. Prints figures; exits with 1 when a
promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos_audit import Audit, Got, audit
from chaos_clouds import STICKY
from chaos_stage import DEADLINE_S, TARGETS, Clouds, Watch, open_files, tasks_left, written
from common import conditions, parser, write

from router import AsyncRouter, LimitReached, NoAnswer
from router.errors import RouterError

LATE_S = 0.25
ANSWERED = 0.99
LEAVERS = 0.02


@dataclass
class Act:
    """One run of requests.

    Attributes:
        clouds: What `chaos_clouds.py` is told of each.
        judged: Whether the answered share has to be kept.
        kill: How `a` dies halfway. None: it lives.
    """

    name: str
    requests: int
    clouds: dict[str, dict[str, Any]]
    seed: int
    judged: bool = True
    kill: str | None = None


async def ask(router: AsyncRouter, dice: random.Random, target: str | None = None) -> Got:
    """One request; some callers leave."""
    asked = time.perf_counter()
    leaves = target is None and dice.random() < LEAVERS
    asking = router.ask(f"Question {dice.random()}, Grüße 🌍?", target=target)
    task = asyncio.ensure_future(asking)
    if leaves:
        asyncio.get_running_loop().call_later(dice.random() * 0.01, task.cancel)
    await asyncio.wait([task])
    got = Got("broken", time.perf_counter() - asked, asked)
    if task.cancelled():
        got.status = "left" if leaves else "broken"
        return got
    problem = task.exception()
    if problem is None:
        answer = task.result()
        got.status, got.text, got.decision_id = "answered", answer.text, answer.decision_id
    elif isinstance(problem, NoAnswer | LimitReached) and problem.outcome is not None:
        got.status, got.decision_id = problem.outcome.status, problem.outcome.decision_id
        got.error = f"{problem}: {[hop.left for hop in problem.outcome.hops]}"
    else:
        kind = "" if isinstance(problem, RouterError) else "unhandled "
        got.error = f"{kind}{type(problem).__name__}: {problem}"
    return got


async def drive(act: Act, args: argparse.Namespace, config: Path, clouds: Clouds) -> list[Got]:
    """All requests of an act, so many at once, and before them one to each target."""
    dice, gate = random.Random(act.seed), asyncio.Semaphore(args.at_once)
    got: list[Got] = []

    async with AsyncRouter(config) as router:
        # What a target's first call imports takes longer than a call here may: one each, apart.
        warm = [await ask(router, dice, name) for name in TARGETS]

        async def one() -> None:
            async with gate:
                got.append(await ask(router, random.Random(dice.random())))
                if act.kill and len(got) == act.requests // 2:
                    clouds.tell(kill="a", how=act.kill)

        async with asyncio.TaskGroup() as group:
            for _ in range(act.requests):
                group.create_task(one())
    return [*warm, *got]


async def play(act: Act, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One act and what it says."""
    watch, loop = Watch(), asyncio.get_running_loop()
    loop.set_exception_handler(watch.heard)
    ticking = asyncio.create_task(watch.tick())
    with Clouds() as clouds:
        ports = clouds.tell(open=act.clouds, seed=act.seed)
        config = written(folder, ports)
        before = open_files()
        started = time.perf_counter()
        got = await drive(act, args, config, clouds)
        took_s = time.perf_counter() - started
        left = await tasks_left({ticking, asyncio.current_task()})
        files = open_files() - before
        saw = clouds.tell(close=True)
    ticking.cancel()
    found = audit(folder / "ledger", saw["notes"], got)
    leaks = {"tasks": left, "files": max(0, files), "connections": saw["open"]}
    return figures(act, got, found, saw["notes"], leaks, watch) | {"took_s": took_s}


def figures(
    act: Act,
    got: list[Got],
    found: Audit,
    notes: list[dict[str, Any]],
    leaks: dict[str, int],
    watch: Watch,
) -> dict[str, Any]:
    stayed = [one for one in got[len(TARGETS) :] if one.status != "left"]
    answered = sum(one.status == "answered" for one in stayed) / len(stayed)
    slowest = max(
        one.took_s - watch.kept_back_s(one.asked_at, one.asked_at + one.took_s) for one in got
    )
    failed = sum(n["text"] is None for n in notes) / max(1, len(notes))
    holds = {
        "every request ended in time": slowest <= DEADLINE_S + LATE_S,
        "answered": answered >= ANSWERED or not act.judged,
        "ledger and servers agree": not found.wrong,
        "nothing unhandled": not watch.complaints and not any(o.status == "broken" for o in got),
        "nothing left behind": not any(leaks.values()),
    }
    return {
        "requests": len(got),
        "seed": act.seed,
        "answered_share": answered,
        "slowest_s": max(one.took_s for one in got),
        "slowest_less_kept_back_s": slowest,
        "longest_loop_gap_s": watch.longest_gap_s,
        "failed_upstream_share": failed,
        "counts": dict(found.counts),
        "requests_by_target": dict(Counter(n["target"] for n in notes)),
        "failures_by_kind": dict(Counter(n["kind"] for n in notes if n["text"] is None)),
        "leaks": leaks,
        "wrong": found.wrong + watch.complaints,
        "unanswered": [o.error for o in got if o.status not in ("answered", "left")],
        "holds": holds,
    }


def acts(args: argparse.Namespace) -> list[Act]:
    bad = {"faults": args.faults}
    short = max(20, args.requests // 100)
    return [
        Act(
            "one healthy",
            args.requests,
            {"a": bad, "b": bad, "c": {}},
            args.seed,
            kill=args.death,
        ),
        Act(
            "none healthy",
            args.requests // 2,
            {"a": bad, "b": bad, "c": bad},
            args.seed + 1,
            judged=False,
            kill=args.death,
        ),
        Act(
            "never whole",
            short,
            {"a": {"always": "drip"}, "b": {"always": "stall"}, "c": {"always": "stall at once"}},
            args.seed + 2,
            judged=False,
        ),
        *(
            Act(name, short, {"a": {"always": name}, "b": bad, "c": {}}, args.seed + 3 + number)
            for number, name in enumerate(STICKY)
        ),
    ]


def main() -> int:
    args = _arguments()
    said = conditions("aiohttp", "openai")
    found: dict[str, Any] = {}
    warnings.simplefilter("always", ResourceWarning)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
        for act in acts(args)[: 1 if args.first_act else None]:
            found[act.name] = asyncio.run(play(act, args, Path(folder) / act.name))
            print(_text(act.name, found[act.name]))
        gc.collect()
    leaked = [str(w.message) for w in warned if issubclass(w.category, ResourceWarning)]
    holds = all(all(one["holds"].values()) for one in found.values()) and not leaked
    for message in leaked:
        print(f"FAILS  {message}")
    write(args.json, said, {"acts": found, "resource_warnings": leaked, "holds": holds})
    print("every promise was kept" if holds else "a promise was broken")
    return 0 if holds else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0] if __doc__ else None)
    made.add_argument("--requests", type=int, default=5000, help="requests of the first act")
    made.add_argument("--at-once", type=int, default=24, help="requests under way at a time")
    made.add_argument("--faults", type=float, default=0.2, help="share of answers that fail")
    made.add_argument("--death", choices=("refuse", "silent"), default="refuse")
    made.add_argument("--first-act", action="store_true", help="leave out the other acts")
    made.add_argument("--seed", type=int, default=1)
    return made.parse_args()


def _text(name: str, one: dict[str, Any]) -> str:
    counts = one["counts"]
    doubt = {
        kind: n for kind, n in counts.items() if kind.startswith("in doubt")
    } or "none in doubt"
    lines = [
        f"-- {name}: {one['requests']} requests in {one['took_s']:.1f} s, "
        f"{one['answered_share']:.2%} answered, the slowest took {one['slowest_s']:.2f} s "
        f"({one['slowest_less_kept_back_s']:.2f} s without what the machine kept back)",
        f"   attempts: {counts['attempt rows']} booked, {counts['upstream requests']} seen by the "
        f"servers, {counts.get('never arrived', 0)} never arrived, {doubt}; "
        f"{one['failed_upstream_share']:.1%} of those seen failed, in "
        f"{len(one['failures_by_kind'])} ways; by target {one['requests_by_target']}",
        f"   usage: {counts.get('usage held against what was sent', 0)} answers held against it; "
        f"left behind: {one['leaks']}; longest loop gap {one['longest_loop_gap_s']:.2f} s",
    ]
    lines += [f"   no answer: {why}" for why in one["unanswered"][:3]]
    lines += [f"   wrong: {what}" for what in one["wrong"][:10]]
    lines += [f"FAILS  {name}: {what}" for what, good in one["holds"].items() if not good]
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ["CHAOS_KEY"] = "made-up-key-for-chaos"
    sys.exit(main())
