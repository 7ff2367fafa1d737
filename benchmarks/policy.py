"""What a decision costs: before and after together, and how that grows with rules.

    python benchmarks/policy.py --json policy.json

Before: guards, then route. After: the requirements on the device's draft. The trace is kept and not
rendered, as in a request that nobody asks to explain. Beside it, apart: rendering a trace, and
working out the counterfactuals. Figures are medians over rounds, the fastest round beside them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import conditions, parser, write

from router.policy import PolicyTrace, after, before
from router.policy.counterfactual import after_flips, before_flips
from router.policy.load import load
from router.policy.predicates import Predicate, Test
from router.policy.rules import Guard, Policy, Requirement, Route
from router.signals.catalogue import Value

POLICIES = Path(__file__).resolve().parents[1] / "policies"
SIZES = (5, 10, 25, 50, 100, 200)
LIMITS = {"balanced_us": 20.0, "fifty_rules_us": 100.0}
SIGNALS: dict[str, Value] = {
    "request.label": "public",
    "device.fits": True,
    "prompt.images": 0,
    "device.sees_images": False,
    "request.tools": 0,
    "device.calls_tools": False,
    "device.in_time": True,
    "prompt.tokens": 41,
    "draft.mean_logprob": -0.21,
    "draft.finish": "stop",
    "draft.refusal": False,
    "draft.repetition": 0.02,
    "draft.same_language": True,
    "draft.json_valid": True,
    "draft.tool_calls_valid": True,
}


def main() -> int:
    args = _arguments()
    said = conditions("pydantic")
    balanced = load(POLICIES / "balanced.yaml")
    figures: dict[str, Any] = {
        "balanced": _timed(args, lambda: _decide(balanced)),
        "by_rules": {str(n): _timed(args, _decider(_of_rules(n))) for n in SIZES},
        "render": _timed(args, lambda: _rendered(balanced), number=200),
        "counterfactuals": _timed(args, lambda: _flips(balanced), number=50),
    }
    per_rule = [figures["by_rules"][str(n)]["median_us"] / n for n in SIZES]
    figures["us_per_rule"] = dict(zip(map(str, SIZES), per_rule, strict=True))
    figures["limits"] = LIMITS
    figures["holds"] = {
        "balanced_us": figures["balanced"]["median_us"] <= LIMITS["balanced_us"],
        "fifty_rules_us": figures["by_rules"]["50"]["median_us"] <= LIMITS["fifty_rules_us"],
        # Linear: what the 200th rule costs is what the 25th does, within a third.
        "linear": per_rule[-1] <= per_rule[2] * 4 / 3,
    }
    print(_text(figures))
    write(args.json, said, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0] if __doc__ else None)
    made.add_argument("--rounds", type=int, default=31, help="rounds of each measurement")
    made.add_argument("--number", type=int, default=2000, help="decisions of a round")
    return made.parse_args()


def _timed(
    args: argparse.Namespace, run: Callable[[], object], number: int | None = None
) -> dict[str, float]:
    times = number or args.number
    rounds = [s / times * 1e6 for s in timeit.repeat(run, number=times, repeat=args.rounds)]
    return {"median_us": statistics.median(rounds), "fastest_us": min(rounds)}


def _decider(policy: Policy) -> Callable[[], object]:
    return lambda: _decide(policy)


def _decide(policy: Policy) -> None:
    before(policy, SIGNALS)
    after(policy, policy.tiers[0], SIGNALS)


def _rendered(policy: Policy) -> None:
    first, then = before(policy, SIGNALS), after(policy, policy.tiers[0], SIGNALS)
    PolicyTrace((*first.checks, *then.checks)).as_json()


def _flips(policy: Policy) -> None:
    before_flips(policy, SIGNALS)
    after_flips(policy, policy.tiers[0], SIGNALS)


def _of_rules(number: int) -> Policy:
    """A policy of that many rules, all of them looked at: a third guards, route and accept."""
    share = number // 3
    never: Predicate = Test("prompt.tokens", "gt", 100_000.0)
    always: Predicate = Test("draft.mean_logprob", "gte", -5.0)
    return Policy(
        name=f"of-{number}",
        revision="",
        summary="",
        tiers=("device", "cloud"),
        guards=tuple(Guard(f"g{i}", never, frozenset({"cloud"})) for i in range(share)),
        route=tuple(Route(f"r{i}", never, "cloud") for i in range(share)),
        accept=tuple(
            Requirement(f"a{i}", frozenset({"device"}), always) for i in range(number - 2 * share)
        ),
    )


def _text(figures: dict[str, Any]) -> str:
    def line(name: str, found: dict[str, float]) -> str:
        return f"{name:28} {found['median_us']:8.1f} us   fastest {found['fastest_us']:8.1f}"

    lines = [line("balanced, before and after", figures["balanced"])]
    for number, found in figures["by_rules"].items():
        per_rule = figures["us_per_rule"][number]
        lines.append(f"{line(f'{number} rules', found)}   {per_rule:.2f} us a rule")
    lines.append(line("decided and rendered as JSON", figures["render"]))
    lines.append(line("all counterfactuals", figures["counterfactuals"]))
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
