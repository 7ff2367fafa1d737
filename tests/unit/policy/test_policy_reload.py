"""A watched policy file: a good change comes into force, a bad one leaves the last good one."""

from __future__ import annotations

import logging
import random
import threading
import time
from pathlib import Path

import pytest

from router.clock import ManualClock
from router.errors import ConfigError, PolicyError
from router.policy.load import revision_of
from router.policy.reload import Watched
from router.policy.rules import Policy

GOOD = """policy: p
summary: s
tiers: [device, cloud]
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: BAR}}
"""
CASES = """cases:
  - name: an unsure draft goes on
    drafts: {device: {draft.mean_logprob: -2.0}, cloud: {draft.finish: stop}}
    expect: {path: [device, cloud]}
"""


def text(bar: float) -> str:
    return GOOD.replace("BAR", str(bar))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(text(-0.5))
    return path


def looked(watched: Watched, clock: ManualClock) -> Policy:
    """Two looks at the file, which find it still, and the end of the work they started."""
    for _ in range(2):
        clock.advance(1.0)
        watched.check()
    with watched._working:
        return watched.policy


def test_a_changed_file_comes_into_force_at_a_later_check(path: Path) -> None:
    clock = ManualClock()
    watched = Watched(path, clock)
    assert watched.policy.revision == revision_of(text(-0.5))

    path.write_text(text(-0.7))
    assert watched.check().revision == revision_of(text(-0.5)), "it was looked at a moment ago"
    assert looked(watched, clock).revision == revision_of(text(-0.7))
    assert watched.problem is None


def test_a_file_is_asked_for_at_most_once_a_second(path: Path) -> None:
    clock = ManualClock()
    watched = Watched(path, clock)
    path.write_text(text(-0.7))
    clock.advance(0.99)

    watched.check()

    with watched._working:
        assert watched.policy.revision == revision_of(text(-0.5))


def test_a_file_still_being_written_is_left_alone(path: Path) -> None:
    """Half of it may be a policy of its own, without the guards that come after."""
    clock = ManualClock()
    watched = Watched(path, clock)
    whole = text(-0.7)
    for cut in (20, 45, 70):
        path.write_text(whole[:cut])
        clock.advance(1.0)
        watched.check()
        with watched._working:
            assert (watched.problem, watched.policy.revision) == (None, revision_of(text(-0.5)))
    path.write_text(whole)

    assert looked(watched, clock).revision == revision_of(whole)


def test_what_was_read_while_somebody_wrote_is_not_put_in_force(path: Path) -> None:
    """The first half of the new file is a policy of its own."""
    clock = ManualClock()
    whole = text(-0.7)
    half = whole[: whole.index("accept")]

    def fits(policy: Policy) -> None:
        if policy.revision == revision_of(half):
            path.write_text(whole)

    watched = Watched(path, clock, fits=fits)
    path.write_text(half)
    assert looked(watched, clock).revision == revision_of(text(-0.5))
    assert looked(watched, clock).revision == revision_of(whole)


BROKEN = {
    "cut in the middle": (text(-0.7)[:60], r"p\.yaml:\d+"),
    "a tier that is none": (text(-0.7).replace("[device]", "[devise]"), "did you mean 'device'"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_bad_file_leaves_the_last_good_one_in_force_and_says_so_once(
    path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="firsthop")
    clock = ManualClock()
    watched = Watched(path, clock)
    bad, why = BROKEN[broken]
    path.write_text(bad)
    for _ in range(3):
        assert looked(watched, clock).revision == revision_of(text(-0.5))

    assert watched.problem is not None
    assert str(path) in watched.problem
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    with pytest.raises(PolicyError, match=why):
        watched.reload_now()

    path.write_text(text(-0.5))
    looked(watched, clock)
    assert watched.problem is None
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert "good again" in caplog.text


def test_a_new_policy_is_never_seen_beside_the_old_ones_complaint(path: Path) -> None:
    watched = Watched(path, ManualClock())
    path.write_text("tiers: 5")
    with pytest.raises(ConfigError):
        watched.reload_now()
    seen: list[tuple[str, str | None]] = []

    class Onlooker(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((watched.policy.revision, watched.problem))

    log, onlooker = logging.getLogger("firsthop"), Onlooker()
    level = log.level
    log.addHandler(onlooker)
    log.setLevel(logging.INFO)
    try:
        path.write_text(text(-0.7))
        watched.reload_now()
    finally:
        log.removeHandler(onlooker)
        log.setLevel(level)

    assert seen == [(revision_of(text(-0.7)), None)]


def test_a_file_that_is_gone_leaves_the_last_good_one_in_force(path: Path) -> None:
    clock = ManualClock()
    watched = Watched(path, clock)
    path.unlink()

    assert looked(watched, clock).revision == revision_of(text(-0.5))
    assert watched.problem is not None
    assert "cannot be read" in watched.problem


def test_a_policy_that_fails_its_own_cases_is_not_put_in_force(path: Path) -> None:
    path.with_name("p.test.yaml").write_text(CASES)
    clock = ManualClock()
    watched = Watched(path, clock)
    path.write_text(text(-3.0))

    assert looked(watched, clock).revision == revision_of(text(-0.5))
    assert watched.problem is not None
    assert "p.test.yaml:2: case 'an unsure draft goes on' fails: path is [device]" in (
        watched.problem
    )


def test_changed_cases_alone_are_looked_at_too(path: Path) -> None:
    clock = ManualClock()
    watched = Watched(path, clock)
    looked(watched, clock)
    cases = path.with_name("p.test.yaml")
    cases.write_text(CASES.replace("path: [device, cloud]", "path: [device]"))
    looked(watched, clock)
    assert watched.problem is not None

    cases.write_text(CASES)
    looked(watched, clock)
    assert watched.problem is None


def test_a_policy_that_does_not_fit_the_config_is_not_put_in_force(path: Path) -> None:
    def fits(policy: Policy) -> None:
        if policy.limits.cost_usd is not None:
            raise ConfigError("no price is known", file="firsthop.yaml")

    watched = Watched(path, ManualClock(), fits=fits)
    path.write_text(text(-0.7) + 'limits: {cost_usd: "0.01"}\n')

    with pytest.raises(ConfigError, match="no price is known"):
        watched.reload_now()
    assert watched.policy.revision == revision_of(text(-0.5))


def test_the_first_file_has_to_be_good(path: Path) -> None:
    path.write_text("policy: p\n")
    with pytest.raises(PolicyError, match="is missing"):
        Watched(path, ManualClock())


def test_reload_now_gives_the_new_policy_at_once(path: Path) -> None:
    watched = Watched(path, ManualClock())
    path.write_text(text(-0.7))

    assert watched.reload_now().revision == revision_of(text(-0.7))


def test_what_is_odd_about_a_new_policy_is_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(path, ManualClock())
    path.write_text(text(0.5))
    watched.reload_now()

    assert "draft.mean_logprob" in caplog.text


def test_a_trouble_that_nobody_foresaw_ends_no_request_and_later_looks_go_on(path: Path) -> None:
    clock = ManualClock()
    broken = [True]

    def fits(policy: Policy) -> None:
        if not broken[0]:
            raise ZeroDivisionError("by none")

    watched = Watched(path, clock, fits=fits)
    broken[0] = False
    path.write_text(text(-0.7))
    assert looked(watched, clock).revision == revision_of(text(-0.5))
    assert watched.problem is not None
    assert "by none" in watched.problem

    broken[0] = True
    path.write_text(text(-0.8))
    assert looked(watched, clock).revision == revision_of(text(-0.8))


def test_the_loop_waits_for_no_reading(path: Path) -> None:
    clock = ManualClock()
    begun, go_on = threading.Event(), threading.Event()

    def slow(policy: Policy) -> None:
        if policy.revision != revision_of(text(-0.5)):
            begun.set()
            assert go_on.wait(10)

    watched = Watched(path, clock, fits=slow)
    path.write_text(text(-0.7))
    for _ in range(2):
        clock.advance(1.0)
        assert watched.check().revision == revision_of(text(-0.5))
    assert begun.wait(10)
    for _ in range(3):
        clock.advance(1.0)
        assert watched.check().revision == revision_of(text(-0.5)), "one thread at a time"
    go_on.set()
    with watched._working:
        assert watched.policy.revision == revision_of(text(-0.7))


def test_many_reloads_a_third_of_them_broken_while_threads_take_policies(path: Path) -> None:
    """Whatever a reader takes is whole: its bar is that of its revision."""
    dice = random.Random(3)
    bars = {revision_of(text(bar)): bar for bar in [-0.5, *(-1.0 - i / 100 for i in range(200))]}
    watched = Watched(path, ManualClock(), every_s=0.0)
    stop = threading.Event()
    wrong: list[str] = []
    taken: set[str] = set()

    def take() -> None:
        while not stop.is_set():
            policy = watched.check()
            (requirement,) = policy.accept
            if bars.get(policy.revision) != requirement.require.bound:  # type: ignore[attr-defined]
                wrong.append(policy.revision)
            taken.add(policy.revision)
            time.sleep(0)

    readers = [threading.Thread(target=take) for _ in range(3)]
    for reader in readers:
        reader.start()
    last, refused = revision_of(text(-0.5)), 0
    for i in range(200):
        whole = text(-1.0 - i / 100)
        if i % 3 == 0:
            broken = dice.choice([whole[: dice.randrange(40)], whole.replace("[device]", "[x]")])
            path.write_text(broken)
            with pytest.raises(PolicyError):
                watched.reload_now()
            refused += 1
        else:
            path.write_text(whole)
            last = watched.reload_now().revision
            assert last == revision_of(whole)
        assert watched.policy.revision == last
    stop.set()
    for reader in readers:
        reader.join()

    assert wrong == []
    assert refused == 67
    assert len(taken) > 5
