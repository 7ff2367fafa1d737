"""What a valid policy probably does not mean, and where it is told."""

from __future__ import annotations

import pytest

from router.document import parse_yaml
from router.errors import PolicyError
from router.policy.build import build
from router.policy.implied import implied_by, spread
from router.policy.lint import Served, lint
from router.policy.predicates import All
from router.policy.predicates import Test as OneTest
from router.signals.catalogue import AtMost

HEAD = "policy: p\nsummary: s\ntiers: [device, cloud-fast, cloud-strong]\n"
ALL_SERVED = {"device": ("d",), "cloud-fast": ("f",), "cloud-strong": ("s",)}


def told(body: str, served: Served | None = None) -> list[str]:
    """Every warning of a policy of that body, as it is printed; its own lines begin at 4."""
    document = parse_yaml(HEAD + body, "p.yaml", kind=PolicyError)
    return [str(warning) for warning in lint(document, build(document, "r"), served)]


def guard(when: str, forbid: str = "[cloud-fast]") -> str:
    return f"guards:\n  - id: g\n    when: {when}\n    forbid: {forbid}\n"


def route(*whens: str) -> str:
    rules = [f"  - id: r{i}\n    when: {w}\n    start: cloud-fast\n" for i, w in enumerate(whens)]
    return "route:\n" + "".join(rules)


def accept(require: str, on: str = "[device]", more: str = "") -> str:
    return f"accept:\n  - id: a\n    on: {on}\n    require: {require}\n{more}"


def test_a_sound_policy_is_told_nothing() -> None:
    body = (
        guard("{request.label: {in: [pii, secret]}}")
        + route("{prompt.tokens: {gt: 3000}}", "{prompt.images: {gt: 0}}")
        + accept("{draft.mean_logprob: {gte: -0.3}}")
    )

    assert told(body, Served(tiers=ALL_SERVED)) == []


def test_a_warning_is_printed_like_an_error() -> None:
    (warning,) = told(route("{prompt.tokens: {lt: 1}}"))

    assert warning == (
        "p.yaml:6:28: route[0].when.prompt.tokens.lt: prompt.tokens lt 1 is never true "
        "(it is a whole number of at least 1)"
    )


def test_a_warning_names_its_place() -> None:
    document = parse_yaml(HEAD + route("{prompt.tokens: {lt: 1}}"), "p.yaml", kind=PolicyError)
    (warning,) = lint(document, build(document, "r"), None)

    assert warning.place == ("route", 0, "when", "prompt.tokens", "lt")
    assert (warning.file, warning.line, warning.column) == ("p.yaml", 6, 28)
    assert warning.field == "route[0].when.prompt.tokens.lt"
    assert warning.hint == "it is a whole number of at least 1"


# Conditions that can't hold


@pytest.mark.parametrize(
    "when",
    [
        "{prompt.tokens: {gt: 10, lt: 10}}",
        "{prompt.tokens: {gt: 10, lt: 11}}",  # no whole number between them
        "{prompt.tokens: {is: 2.5}}",
        "{prompt.turns: {gte: 2, lte: 3, is_not: 2}, not: {prompt.turns: {is_not: 2}}}",
        "{request.label: {is: pii, in: [public, secret]}}",
        "{request.tenant: {is: acme, is_not: acme}}",
        "{device.fits: {is: true}, not: {device.fits: {is: true}}}",
        "{prompt.turns: {gt: 9}, any: [{prompt.turns: {lt: 5}}, {prompt.turns: {lt: 3}}]}",
        "{world.hour: {gt: 22, lt: 6}}",
        "{request.label: {is_not: public, not_in: [internal, pii, secret]}}",
    ],
)
def test_a_condition_that_contradicts_itself_is_told(when: str) -> None:
    (first, *_) = told(route(when))

    assert "never" in first


@pytest.mark.parametrize(
    "when",
    [
        "{any: [{world.hour: {gt: 22}}, {world.hour: {lt: 6}}]}",
        "{prompt.tokens: {gt: 10, lt: 12}}",
        "{complexity.score: {gt: 0.5, lt: 0.5000001}}",
        "{request.tags.team: {is_not: a, not_in: [b, c]}}",
        "{request.label: {in: [pii, secret], is_not: pii}}",
    ],
)
def test_a_condition_that_can_hold_is_not(when: str) -> None:
    assert told(route(when)) == []


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (guard("{world.hour: {gt: 9, lt: 8}}"), "the guard's conditions contradict each other"),
        (guard("{world.hour: {gt: 9, lt: 8}}"), "so it never forbids"),
        (
            guard("{prompt.tokens: {gt: 9, lt: 8}}"),
            "so it forbids only where a signal is unknown",
        ),
        (route("{world.hour: {gt: 9, lt: 8}}"), "so it never matches"),
        (
            accept("{draft.tokens: {gt: 9, lt: 8}}", "[device, cloud-fast]"),
            "so no draft of device or cloud-fast is ever kept",
        ),
        (
            "early: [{on: [device], tokens: 9, require: {draft.min_margin: {gt: 0.9, lt: 0.8}}}]\n",
            "so nothing is ever shown early",
        ),
    ],
)
def test_what_follows_of_a_contradiction_is_told(part: str, says: str) -> None:
    assert any(says in warning for warning in told(part))


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("{draft.mean_logprob: {gte: 0.3}}", "gte 0.3 is never true (it is a number of at most 0)"),
        ("{draft.mean_logprob: {lte: 0}}", "lte 0 is always true once it is known"),
        ("{draft.mean_logprob: {gt: 0}}", "gt 0 is never true"),
        ("{draft.repetition: {lt: 30}}", "lt 30 is always true once it is known (it is a number "),
        ("{draft.repetition: {lt: 30}}", "from 0 to 1)"),
        ("{draft.tokens: {gte: -5}}", "gte -5 is always true"),
        ("{draft.tokens: {is: 1.5}}", "is 1.5 is never true"),
        (
            "{draft.finish: {in: [stop, length, tool_calls, content_filter, cancelled]}}",
            "is always true once it is known (its words are stop, length,",
        ),
    ],
)
def test_a_threshold_outside_the_signals_range_is_told_and_which_way(test: str, says: str) -> None:
    (warning,) = told(accept(test))

    assert says in warning


def test_the_bars_near_the_budget_are_held_to_the_range_too() -> None:
    body = accept(
        "{draft.repetition: {lt: 0.5}}",
        more='    near_budget: {draft.repetition: {lt: 2}}\nlimits: {day_usd: "1"}\n',
    )

    (warning,) = told(body)
    assert warning.startswith("p.yaml:8:38: accept[0].near_budget.draft.repetition.lt: ")


# Rules that others make idle


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{prompt.tokens: {gt: 100}}", "{prompt.tokens: {gt: 500}}"),
        ("{prompt.tokens: {gt: 100}}", "{prompt.tokens: {gt: 100}}"),
        ("{prompt.tokens: {gt: 100}}", "{prompt.tokens: {gte: 101}}"),
        ("{prompt.tokens: {lte: 100}}", "{prompt.tokens: {lt: 50}}"),
        ("{prompt.tokens: {gt: 1}}", "{prompt.tokens: {gt: 5, lt: 9}, prompt.images: {gt: 0}}"),
        ("{request.label: {in: [pii, secret]}}", "{request.label: {is: pii}}"),
        ("{request.label: {is_not: public}}", "{request.label: {in: [pii, internal]}}"),
        ("{request.tenant: {not_in: [a]}}", "{request.tenant: {not_in: [a, b]}}"),
        ("{request.tenant: {is_not: a}}", "{request.tenant: {is: b}}"),
        (
            "{any: [{prompt.images: {gt: 0}}, {request.tools: {gt: 0}}]}",
            "{request.tools: {gt: 3}}",
        ),
        ("{not: {prompt.tokens: {lt: 10}}}", "{prompt.tokens: {gt: 10}}"),
    ],
)
def test_a_route_behind_one_that_matches_whenever_it_does_is_told(earlier: str, later: str) -> None:
    (warning,) = told(route(earlier, later))

    assert "route[1]: the rule never decides: r0 matches whenever it does" in warning


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{prompt.tokens: {gt: 500}}", "{prompt.tokens: {gt: 100}}"),
        ("{prompt.tokens: {gt: 100}, prompt.images: {gt: 0}}", "{prompt.tokens: {gt: 500}}"),
        ("{request.label: {is: pii}}", "{request.label: {in: [pii, secret]}}"),
        ("{request.tenant: {not_in: [a, b]}}", "{request.tenant: {not_in: [a]}}"),
        # A signal that the later rule does not ask about may be unknown, whatever it can be.
        ("{device.queue: {gte: 0.5}}", "{device.first_token_s: {gt: 3}}"),
        # "At most 40 tokens" makes the later rule true and leaves the earlier one open.
        ("{prompt.tokens: {gte: 2}}", "{prompt.tokens: {lt: 100, is_not: 1}}"),
        ("{prompt.tokens: {is_not: 7}}", "{prompt.tokens: {lt: 100, is_not: 8}}"),
    ],
)
def test_a_route_that_can_still_decide_is_not(earlier: str, later: str) -> None:
    assert told(route(earlier, later)) == []


@pytest.mark.parametrize(
    ("earlier", "follows"),
    [
        (OneTest("prompt.tokens", "lte", 100.0), True),
        (OneTest("prompt.tokens", "is_not", 150.0), True),
        (OneTest("prompt.tokens", "gte", 1.0), False),
        (OneTest("prompt.tokens", "is_not", 0.5), False),
    ],
)
def test_a_number_known_only_to_be_small_says_nothing_of_what_lies_below(
    earlier: OneTest, follows: bool
) -> None:
    """True of every number under 100, and yet unknown of "at most 40"."""
    later = OneTest("prompt.tokens", "lt", 100.0)

    assert implied_by(spread(later), [spread(earlier)]) == ((0,) if follows else None)
    assert earlier.truth({"prompt.tokens": AtMost(40)}) is (True if follows else None)
    known = All((later, OneTest("prompt.tokens", "gt", 3.0)))
    assert implied_by(spread(known), [spread(earlier)]) == (0,)


def test_two_rules_that_cover_a_third_between_them_are_both_named() -> None:
    (warning,) = told(
        route(
            "{prompt.images: {gt: 0}}",
            "{request.tools: {gt: 0}}",
            "{any: [{prompt.images: {gt: 3}}, {request.tools: {gt: 1}}]}",
        )
    )

    assert "r0 or r1 matches whenever it does" in warning


def test_a_condition_of_too_many_parts_is_left_alone() -> None:
    one = "{any: [{prompt.tokens: {gt: 100}}, {prompt.turns: {gt: 100}}]}"
    many = f"{{all: [{', '.join([one] * 12)}]}}"

    assert told(route(many, many)) == []


@pytest.mark.parametrize(
    ("when", "forbid"),
    [
        ("{world.spent_today_usd: {gte: 0}}", "request"),
        ("{any: [{device.fits: {is: true}}, {device.fits: {is: false}}]}", "request"),
        ("{world.hour: {lte: 24}}", "[device, cloud-fast, cloud-strong]"),
    ],
)
def test_a_guard_that_forbids_everything_whatever_comes_is_told(when: str, forbid: str) -> None:
    assert any("every tier is forbidden, whatever comes" in w for w in told(guard(when, forbid)))


def test_guards_that_forbid_everything_between_them_are_told_at_the_last() -> None:
    body = (
        "guards:\n"
        "  - {id: a, when: {world.hour: {gte: 0}}, forbid: [device]}\n"
        "  - {id: b, when: {world.hour: {lte: 24}}, forbid: [cloud-fast, cloud-strong]}\n"
    )

    assert [w for w in told(body) if "every tier" in w] == [
        "p.yaml:6:5: guards[1]: every tier is forbidden, whatever comes: each request ends with "
        "Forbidden"
    ]


def test_a_guard_that_may_forbid_everything_is_not() -> None:
    assert told(guard("{request.label: {is: secret}}", "request")) == []


# Parts that do nothing


def test_a_requirement_on_the_last_tier_alone_only_flags() -> None:
    (warning,) = told(accept("{draft.tokens: {lt: 9}}", "[cloud-strong]"))

    assert "accept[0].on: cloud-strong is the last tier" in warning
    assert "this only flags" in warning


def test_near_budget_with_the_same_bounds_has_no_effect() -> None:
    body = accept(
        "{draft.tokens: {lt: 9}}",
        more='    near_budget: {draft.tokens: {lt: 9}}\nlimits: {day_usd: "1"}\n',
    )

    assert told(body) == [
        "p.yaml:8:5: accept[0].near_budget: near_budget has no effect: its bounds are those of "
        "require"
    ]


def test_an_early_commit_beside_requirements_of_the_whole_draft_is_told() -> None:
    body = (
        "early: [{on: [device], tokens: 9, require: {draft.mean_logprob: {gt: -0.1}}}]\n"
        "accept:\n"
        "  - {id: sure, on: [device], require: {draft.mean_logprob: {gt: -0.3}}}\n"
        "  - {id: done, on: [device, cloud-fast], require: {draft.finish: {is: stop}}}\n"
        "  - {id: fine, on: [device], require: {draft.refusal: {is: false}}}\n"
        "  - {id: else, on: [cloud-fast], require: {draft.refusal: {is: false}}}\n"
    )

    assert told(body) == [
        "p.yaml:4:9: early[0]: these requirements need the whole draft of device, and only flag "
        "once it is shown early: done, fine"
    ]


def test_one_requirement_beside_an_early_commit_is_told_in_the_singular() -> None:
    body = (
        "early: [{on: [device], tokens: 9, require: {draft.mean_logprob: {gt: -0.1}}}]\n"
        "accept: [{id: done, on: [device], require: {draft.finish: {is: stop}}}]\n"
    )

    assert told(body) == [
        "p.yaml:4:9: early[0]: this requirement needs the whole draft of device, and only flags "
        "once it is shown early: done"
    ]


def test_an_early_commit_on_the_last_tier_is_idle() -> None:
    body = "early: [{on: [cloud-strong], tokens: 9, require: {draft.mean_logprob: {gt: -0.1}}}]\n"

    assert "is shown from its first token on anyway" in told(body)[0]


def test_a_sample_is_told_to_be_decided_only() -> None:
    body = 'sample: {share: 0.1, tier: cloud-fast, day_usd: "1"}\n'

    assert told(body) == [
        "p.yaml:4:1: sample: this version asks nobody again; which requests it would is in the "
        "trace",
    ]


# What the config's targets can do


def test_a_tier_that_nobody_serves_is_told() -> None:
    served = Served(tiers={"device": ("d",), "cloud-fast": ()})

    assert told("", served) == [
        f"p.yaml:3:{column}: tiers[{i}]: no configured target serves tier {tier}; it is skipped "
        "(give a target of the config this tier)"
        for i, tier, column in ((1, "cloud-fast", 17), (2, "cloud-strong", 29))
    ]


def test_without_a_config_nothing_is_said_of_targets() -> None:
    assert told(guard("{device.metered: {is: true}}"), None) == []


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (
            guard("{device.metered: {is: true}}"),
            "device.metered can't be known with the configured targets, so it always forbids",
        ),
        (
            guard("{device.metered: {is: true}, request.label: {is: pii}}"),
            "device.metered can't be known with the configured targets: unknown in a guard forbids",
        ),
        (
            route("{device.metered: {is: true}, prompt.tokens: {gt: 9}}"),
            "device.metered can't be known with the configured targets, so it never matches",
        ),
        (
            route("{any: [{device.metered: {is: true}}, {prompt.tokens: {gt: 9}}]}"),
            "device.metered can't be known with the configured targets: it stays unknown",
        ),
        (
            accept("{draft.mean_logprob: {gt: -1}}", "[device, cloud-fast]"),
            "no target of cloud-fast produces draft.mean_logprob, so no draft of cloud-fast is "
            "ever kept",
        ),
        (
            accept("{any: [{draft.mean_logprob: {gt: -1}}, {draft.tokens: {lt: 5}}]}",
                   "[device, cloud-fast]"),
            "no target of cloud-fast produces draft.mean_logprob: it stays unknown",
        ),
        (
            "early: [{on: [cloud-fast], tokens: 9, require: {draft.mean_logprob: {gt: -1}}}]\n",
            "no target of cloud-fast produces draft.mean_logprob, so nothing is ever shown early",
        ),
        (
            'race: {over_s: 2.0, cost_usd: "0.005"}\n',
            "device.end_s can't be known, so nothing is ever raced",
        ),
    ],
)  # fmt: skip
def test_a_signal_nobody_produces_is_told_with_what_follows(part: str, says: str) -> None:
    served = Served(
        tiers=ALL_SERVED,
        lacking={
            "": frozenset({"device.metered", "device.end_s"}),
            "cloud-fast": frozenset({"draft.mean_logprob"}),
            "cloud-strong": frozenset({"draft.mean_logprob"}),
        },
    )

    found = [warning for warning in told(part, served) if "this version" not in warning]

    assert len(found) == 1
    assert says in found[0]


def test_warnings_come_in_the_order_of_the_file() -> None:
    body = route("{prompt.tokens: {lt: 1}}") + guard("{prompt.tokens: {lt: 1}}", "request")

    lines = [int(warning.split(":")[1]) for warning in told(body, Served(tiers={}))]

    assert lines == sorted(lines)
    assert len(lines) == 5
