"""`firsthop explain --dry`: what would be decided, played through without asking any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import typer

from .. import asking
from .. import config as configs
from ..asking import Conversation, Options
from ..compose import fit
from ..document import Document, nearest, plain_scalar
from ..drive.live import Live
from ..drive.rungs import worst_case
from ..errors import ConfigError
from ..policy.cases import build_cases
from ..policy.explain import PolicyTrace, plain
from ..policy.rules import CALIBRATED, Policy
from ..policy.simulate import Given, Played, simulate
from ..policy.trace import Taken
from ..signals import prompt_bound, request_signals
from ..signals.catalogue import Value
from ..types import Request
from .ask import print_json
from .reasons import counterfactuals, told
from .screen import say


def rehearse(
    conversation: Conversation,
    config: str | None,
    policy: str | None,
    options: Options,
    given: Sequence[str],
    drafts: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Decide a request as far as it can be, and show it.

    Raises:
        ConfigError: config, policy or an argument is wrong.
    """
    used = configs.load(configs.find(config))
    chosen, targets = fit(used, policy)
    request = asking.request(conversation, options, list(targets))
    limits = chosen.limits.tightened(request.deadline_s, request.cost_usd)
    chosen = replace(chosen, limits=limits)
    case = _said(chosen, _pairs(given, "--given"), _of_tiers(drafts, chosen))
    named = {word.partition("=")[0] for word in given}
    calibrated = used.confidence is not None
    signals = _of_text(request, chosen, targets, calibrated=calibrated) | {
        name: value for name, value in case.signals.items() if name in named
    }
    asked = targets[request.target].target.tier if request.target is not None else None
    played = simulate(
        chosen,
        replace(
            case,
            signals={name: signals.get(name) for name in {*chosen.signals(), *named}},
            prices=_prices(request, chosen, targets),
            unpriced=frozenset(live.target.tier for live in _first(targets) if live.unpriced),
            unserved=frozenset(chosen.tiers) - {live.target.tier for live in targets.values()},
            asked=asked,
        ),
    )
    _show(chosen, played, as_json=as_json)


def _of_text(
    request: Request, policy: Policy, targets: Mapping[str, Live], *, calibrated: bool
) -> dict[str, Value]:
    """What the request itself tells, and the config."""
    given: dict[str, Value] = {
        "prompt.tokens": prompt_bound(request.messages, request.tools, request.json_schema)
    }
    of_config: dict[str, Value] = {CALIBRATED: calibrated}
    device = [live.target for live in targets.values() if live.target.provider == "device"]
    cap = request.max_output_tokens or (device[0].max_output_tokens if device else None)
    given["request.max_output_tokens"] = cap
    wanted = sorted(name for name in policy.signals() if not name.startswith("draft."))
    label = request.label or policy.default_label
    return request_signals(request, label, wanted, given) | of_config


def _first(targets: Mapping[str, Live]) -> list[Live]:
    """The first target of each tier."""
    found: dict[str, Live] = {}
    for live in targets.values():
        found.setdefault(live.target.tier, live)
    return list(found.values())


def _prices(request: Request, policy: Policy, targets: Mapping[str, Live]) -> dict[str, Decimal]:
    """By tier, what a call of its first target costs at worst, where that is known."""
    first = _first(targets)
    found = {live.target.tier: worst_case(live, request, policy, targets) for live in first}
    return {tier: usd for tier, usd in found.items() if usd is not None}


def _said(
    policy: Policy, given: Mapping[str, Any], drafts: Mapping[str, Mapping[str, Any]]
) -> Given:
    """The arguments, held to the catalogue as a case in a file would be."""
    data = {
        "prices": dict.fromkeys(policy.tiers),
        "cases": [{"name": "dry", "given": given, "drafts": drafts, "expect": {"path": []}}],
    }
    try:
        (case,) = build_cases(Document("", data, ""), policy)
    except ConfigError as error:
        field = (error.field or "").removeprefix("cases[0].")
        for word, option in (("given.", "--given "), ("drafts.", "--draft ")):
            if field.startswith(word):
                field = option + field.removeprefix(word)
        raise ConfigError(error.message, field=field, hint=error.hint) from error
    return case.given


def _pairs(words: Sequence[str], option: str) -> dict[str, Any]:
    """``["prompt.tokens=<=400"]`` as values; ``unknown`` is one."""
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise ConfigError(f"{word!r} has no value", field=option, hint="write SIGNAL=VALUE")
        if value.startswith("<="):
            found[name] = {"at_most": plain_scalar(value.removeprefix("<="))}
        elif name == "usd":
            found[name] = value  # as it is written: dollars go by no float
        else:
            found[name] = None if value == "unknown" else plain_scalar(value)
    return found


def _of_tiers(words: Sequence[str], policy: Policy) -> dict[str, dict[str, Any]]:
    """``["device:draft.tokens=8"]`` by tier."""
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        tier, sign, rest = word.partition(":")
        if not sign:
            hint = "write TIER:SIGNAL=VALUE"
            raise ConfigError(f"{word!r} names no tier", field="--draft", hint=hint)
        if tier not in policy.tiers:
            hint = nearest(tier, policy.tiers) or ""
            raise ConfigError(f"unknown tier {tier!r}", field="--draft", hint=hint)
        found.setdefault(tier, {}).update(_pairs([rest], "--draft"))
    return found


def _show(policy: Policy, played: Played, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "simulated": True,
                "policy": policy.name,
                "policy_revision": policy.revision,
                "status": played.status,
                "path": list(played.path),
                "answer": played.answer,
                "needs_draft_of": played.missing,
                "flags": list(played.flags),
                "limit": played.limit,
                "race": played.race,
                "signals": {k: plain(v) for k, v in sorted(_signals_of(played).items())},
                "trace": PolicyTrace(played.entries).as_json(),
                "counterfactuals": counterfactuals(policy, played.entries, played.path),
            }
        )
        return

    def hop_lines(taken: Taken) -> list[str]:
        tier = played.path[taken.hop]
        return [f" hop {taken.hop + 1:<2} {tier:<24} {taken.cause:<8} played, not asked"]

    typer.echo(f"policy {policy.name}@{policy.revision}   dry run: no model is asked")
    for line in told(policy, played.entries, played.path, hop_lines):
        say(line)
    say(f" {_end(played)}")


def _signals_of(played: Played) -> Mapping[str, Value]:
    return played.first.checks[0].signals if played.first.checks else {}


def _end(played: Played) -> str:
    if played.missing is not None:
        tier = played.missing
        how = f"say what its draft is like with --draft {tier}:SIGNAL=VALUE"
        return f"{tier} would be asked; to go on, {how}"
    flags = f"   [{', '.join(played.flags)}]" if played.flags else ""
    if played.answer is not None:
        return f"would be answered by {played.answer} after {' > '.join(played.path)}{flags}"
    assert played.status is not None
    return f"would end as {played.status.replace('_', ' ')}{flags}"
