"""Early abort as a policy writes it: what is refused, what is warned of, and how it plays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.cli.reasons import told
from router.document import parse_yaml
from router.errors import PolicyError
from router.policy import before
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.lint import lint
from router.policy.replay import replay
from router.policy.rules import Abort, Bar, Policy
from router.policy.schema import json_schema
from router.policy.selftest import selftest
from router.policy.simulate import Given, Reply, simulate
from router.recorded import Recorded, RecordedHop

HEAD = "policy: p\nsummary: s\ntiers: [device, cloud]\n"
ACCEPT = "accept: [{id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.5}}}]\n"
BARS = (
    "abort:\n"
    "  - on: [device]\n"
    "    bars:\n"
    "      - {tokens: 8, when: {draft.mean_logprob: {lt: -3}}}\n"
    "      - {tokens: 32, when: {draft.mean_logprob: {lt: -1.5}}}\n"
)


def policy(body: str = BARS + ACCEPT) -> Policy:
    return build(parse_yaml(HEAD + body, "p.yaml", kind=PolicyError), "r")


def warned(body: str) -> list[str]:
    document = parse_yaml(HEAD + body, "p.yaml", kind=PolicyError)
    return [str(warning) for warning in lint(document, build(document, "r"), None)]


def test_bars_are_read_by_length_and_asked_for() -> None:
    found = policy()

    assert isinstance(found.abort[0], Abort)
    assert [bar.tokens for bar in found.abort[0].bars] == [8, 32]
    assert found.abort_on("device") == found.abort[0]
    assert found.abort_on("cloud") is None
    assert "draft.mean_logprob" in policy(BARS).signals()


def test_without_the_part_nothing_is_ever_given_up() -> None:
    assert policy(ACCEPT).abort == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("tokens: 32", "tokens: 8", 8, "abort[0].bars[1].tokens", "more than 8"),
        ("tokens: 8", "tokens: 0", 7, "abort[0].bars[0].tokens", "at least 1"),
        ("on: [device]", "on: [cloudy]", 5, "abort[0].on[0]", "unknown tier 'cloudy'"),
        (
            "{lt: -1.5}",
            "{gt: -1.5}",
            8,
            "abort[0].bars[1].when",
            "has to ask draft.mean_logprob lt",
        ),
        ("{lt: -3}", "{is: -3}", 7, "abort[0].bars[0].when", "has to be one comparison"),
        ("{lt: -3}", "{lt: -3, gt: -9}", 7, "abort[0].bars[0].when", "has to be one comparison"),
        (
            "{draft.mean_logprob: {lt: -3}}",
            "{prompt.tokens: {lt: 3}}",
            7,
            "abort[0].bars[0].when",
            "of a signal of the draft",
        ),
        (
            "{draft.mean_logprob: {lt: -3}}",
            "{draft.repetition: {gt: 0.5}}",
            7,
            "abort[0].bars[0].when",
            "known only of a whole draft",
        ),
    ],
)
def test_a_wrong_abort_is_told_where_and_what(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert BARS.count(old) == 1
    with pytest.raises(PolicyError) as caught:
        policy(BARS.replace(old, new))

    assert (caught.value.line, caught.value.field) == (line, field)
    assert says in str(caught.value)


def test_a_tier_has_one_abort() -> None:
    again = "  - {on: [device], bars: [{tokens: 9, when: {draft.mean_logprob: {lt: -3}}}]}\n"
    with pytest.raises(PolicyError, match="tier device has an abort already"):
        policy(BARS + again)


def test_a_sound_abort_is_told_nothing() -> None:
    assert warned(BARS + ACCEPT) == []


def test_an_abort_of_the_last_tier_is_idle() -> None:
    (said,) = warned(BARS.replace("[device]", "[cloud]"))

    assert "cloud is the last tier: its answer is shown, so it is never given up" in said


def test_a_bar_over_the_one_that_keeps_a_draft_is_told() -> None:
    high = BARS.replace("{lt: -1.5}", "{lt: -0.4}")

    assert warned(high + ACCEPT) == [
        "p.yaml:8:22: abort[0].bars[1].when: it gives drafts of device up that stand above the bar "
        "of sure"
    ]


def test_a_bar_over_the_early_commit_is_told_unless_that_looks_first() -> None:
    early = "early: [{{on: [device], tokens: {}, require: {{draft.mean_logprob: {{gte: -2}}}}}}]\n"

    assert "sure enough to be shown at token 32" in warned(BARS + early.format(32))[0]
    assert warned(BARS + early.format(8)) == []


def test_a_bar_nothing_can_be_below_is_told() -> None:
    (said,) = warned(BARS.replace("{lt: -3}", "{gt: 1}").replace("{lt: -1.5}", "{gt: -1.5}"))

    assert "draft.mean_logprob gt 1 is never true" in said


def test_the_schema_knows_bars_and_only_signals_of_a_running_draft() -> None:
    schema = json_schema()

    assert schema["$defs"]["BarPart"]["properties"]["when"]["$ref"].endswith("EarlyPredicate")
    assert "abort" in schema["properties"]


def given(logprob: float | None, cloud: Reply | None = None) -> Given:
    reply = Reply(signals={"draft.mean_logprob": logprob})
    return Given(replies={"device": reply, "cloud": cloud or Reply()})


def test_played_through_a_draft_below_a_bar_goes_on_without_being_judged() -> None:
    played = simulate(policy(), given(-2.0))

    assert (played.path, played.answer, played.flags) == (("device", "cloud"), "cloud", ())
    assert [e.id for e in played.entries if hasattr(e, "truth")] == ["device@8", "device@32"]


def test_played_through_unknown_confidence_is_judged_at_the_end() -> None:
    played = simulate(policy(), given(None))

    assert [e.id for e in played.entries if hasattr(e, "truth")] == [
        "device@8", "device@32", "sure",
    ]  # fmt: skip


def test_played_through_a_short_draft_does_not_reach_its_bars() -> None:
    short = Reply(signals={"draft.mean_logprob": -9.0, "draft.tokens": 5})
    played = simulate(policy(), Given(replies={"device": short, "cloud": Reply()}))

    assert [e.id for e in played.entries if hasattr(e, "truth")] == ["sure"]


def test_played_through_with_nobody_else_left_it_is_written_again() -> None:
    played = simulate(policy(), given(-2.0, Reply(fails="unavailable")))

    assert (played.path, played.answer) == (("device", "cloud", "device"), "device")
    assert played.flags == ("uncertain",)


def test_each_bar_has_to_be_seen_both_ways_by_the_cases() -> None:
    found = policy()
    text = (
        "cases:\n"
        "  - {name: a, drafts: {device: {draft.mean_logprob: -9}, cloud: {}},"
        " expect: {path: [device, cloud]}}\n"
        "  - {name: b, drafts: {device: {draft.mean_logprob: -2}, cloud: {}},"
        " expect: {path: [device, cloud]}}\n"
    )
    report = selftest(found, build_cases(parse_yaml(text, "t.yaml", kind=PolicyError), found))

    assert report.failures == ()
    assert [said for said in report.uncovered if said.startswith("abort")] == [
        "abort device@32 was never seen letting pass"
    ]


def test_what_would_have_been_written_on_is_told_under_its_bar() -> None:
    played = simulate(policy(), given(-2.0))
    lines = list(told(policy(), played.entries, played.path, lambda taken: []))

    assert "        (given up had draft.mean_logprob been just under -3)" in lines
    assert "        (written on had draft.mean_logprob been -1.5)" in lines


def hop(tier: str, **fields: object) -> RecordedHop:
    return RecordedHop(target=tier, tier=tier, cause="start", seconds=1.0, **fields)  # type: ignore[arg-type]


def test_a_recorded_draft_that_was_given_up_leaves_the_rest_open() -> None:
    gone = hop("device", status="deferred", error_kind="aborted")
    kept = hop("cloud", status="answered", finish="stop", output_tokens=9)
    recorded = Recorded(decision_id="d", hops=(gone, kept), answered_by=1)

    for found in (policy(), policy(ACCEPT)):
        assert replay(found, recorded).why == "the draft of device was given up before its end"


def test_where_the_answer_would_be_shown_one_that_was_given_up_is_no_answer() -> None:
    gone = hop("device", status="deferred", error_kind="aborted")
    alone = replace(policy(ACCEPT), tiers=("device",))
    found = replay(alone, Recorded(decision_id="d", hops=(gone,)))

    assert (found.end, found.unrecorded) == ("answered by device", "device")


@pytest.mark.parametrize(
    ("logprob", "tokens", "path", "why"),
    [
        (-0.1, 40, ("device",), "the first 8 tokens of device are not recorded"),
        (-0.1, 7, ("device",), ""),
        (-0.9, 40, ("device", "cloud"), ""),
    ],
)
def test_a_recorded_whole_draft_may_have_been_given_up_only_if_it_would_have_been_kept(
    logprob: float, tokens: int, path: tuple[str, ...], why: str
) -> None:
    draft = hop(
        "device",
        status="deferred",
        finish="stop",
        output_tokens=tokens,
        signals={"draft.mean_logprob": logprob},
    )
    kept = hop("cloud", status="answered", finish="stop", output_tokens=9)
    found = replay(policy(), Recorded(decision_id="d", hops=(draft, kept), answered_by=1))

    assert (found.path, found.why) == (path, why)


def test_bars_don_t_touch_what_is_said_before_a_model_has_run() -> None:
    assert before(policy(), {})[:4] == before(policy(ACCEPT), {})[:4]
    assert isinstance(policy().abort[0].bars[0], Bar)
