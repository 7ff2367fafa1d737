"""What was read is not read again, and nobody can tell from the answer."""

from __future__ import annotations

import numpy as np
import pytest

from router.device.engine import Guide, Job
from router.types import Message

SYSTEM = "The small model answers first, on the machine in front of you. " * 8


@pytest.fixture(scope="module")
def engine(tiny, make_engine):
    return make_engine(tiny)


@pytest.fixture(scope="module")
def forgetful(tiny, make_engine):
    return make_engine(tiny, keep_bytes=0)


def job(text, tokens=20, system=SYSTEM, **rest):
    messages = (Message(role="system", content=system), Message(role="user", content=text))
    return Job(messages=messages, max_output_tokens=tokens, **rest)


def run(engine, wanted):
    steps = list(engine.run(wanted))
    stats = [step.token for step in steps if step.token]
    return "".join(step.text for step in steps), stats, steps[-1].reused


@pytest.mark.parametrize("number", range(20))
def test_an_answer_is_the_same_whatever_was_read_before(engine, forgetful, number):
    wishes = {"temperature": 1.0, "seed": number} if number % 2 else {}
    wanted = job("Which of these is it? " * number, **wishes)

    text, stats, _ = run(engine, wanted)
    again, same, reused = run(engine, wanted)
    plain, fresh, none = run(forgetful, wanted)

    assert reused > 100
    assert none == 0
    assert text == again == plain
    assert stats == same
    for one, other in zip(stats, fresh, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert one.entropy == pytest.approx(other.entropy, abs=1e-3)


def test_the_next_turn_reads_only_what_came_after_the_last_prompt(engine, forgetful):
    system = SYSTEM + "A conversation."
    first = job("And then?", system=system)
    text, _, _ = run(engine, first)
    turn = Job(
        messages=(
            *first.messages,
            Message(role="assistant", content=text),
            Message(role="user", content="And after that?"),
        ),
        max_output_tokens=20,
    )

    told, stats, reused = run(engine, turn)

    assert reused >= engine.count_tokens(first.messages) - 4
    assert (told, 0) == (run(forgetful, turn)[0], run(forgetful, turn)[2])
    assert [s.logprob for s in stats] == pytest.approx(
        [s.logprob for s in run(forgetful, turn)[1]], abs=1e-3
    )


def test_nothing_is_reused_across_tenants(engine):
    text = "Whose is it?"
    system = "A secret of one tenant. " * 8
    run(engine, job(text, system=system, tenant="a"))

    assert run(engine, job(text, system=system, tenant="a"))[2] > 0
    assert run(engine, job(text, system=system, tenant="b"))[2] == 0
    assert run(engine, job(text, system=system))[2] == 0


@pytest.mark.parametrize("stop_after", [1, 3, 12])
def test_what_a_dropped_job_had_read_is_used_and_right(engine, forgetful, stop_after):
    wanted = job("Go on. " * 150, system=f"Dropped after {stop_after}. ")
    steps = engine.run(wanted)
    for _ in range(stop_after):
        next(steps)
    steps.close()

    text, _, reused = run(engine, wanted)

    assert reused > 0
    assert text == run(forgetful, wanted)[0]


def test_jobs_at_once_have_a_generator_each(engine, forgetful):
    wanted = [job(f"Story number {n}, please.", tokens=15) for n in range(4)]
    going = dict(enumerate(engine.run(one) for one in wanted))
    texts = ["" for _ in wanted]
    while going:  # by turns, a step of each
        for number, steps in list(going.items()):
            step = next(steps, None)
            if step is None:
                del going[number]
            else:
                texts[number] += step.text

    assert texts == [run(forgetful, one)[0] for one in wanted]


def test_a_guided_prompt_is_reused_by_the_same_guide_alone(engine, forgetful):
    guide = Guide(kind="regex", text="[a-z]{1,12}")
    wanted = job("A word?", guide=guide)

    text, _, _ = run(engine, wanted)

    assert run(engine, wanted)[::2] == (text, engine.count_tokens(wanted.messages) - 2)
    assert text == run(forgetful, wanted)[0]


def test_an_append_never_crosses_the_switch(tiny, make_engine):
    """Kept generators never have room past the limit, however a conversation grows."""
    engine = make_engine(tiny, context_limit=600)
    said = "word " * 60
    for turn in range(1, 4):
        wanted = job(said * turn, tokens=2000, system="")
        prompt = engine.count_tokens(wanted.messages)
        steps = [s for s in engine.run(wanted) if s.token]
        assert prompt + len(steps) == 600
        if make_engine.kind == "generator":
            assert all(held.length <= 600 for held in engine._kept._kept)


def test_after_a_rewind_something_is_always_appended(engine):
    """Straight after a rewind the runtime gives the logits of a place that is gone."""
    wanted = job("The same again.")
    first = run(engine, wanted)
    again = run(engine, wanted)

    assert again[2] == engine.count_tokens(wanted.messages) - 2
    assert again[:2] == first[:2]


def test_figures_tell_hits_and_tokens(tiny, make_engine):
    engine = make_engine(tiny)
    run(engine, job("One."))
    run(engine, job("Two."))

    reuse = engine.reuse()
    assert (reuse.jobs, reuse.hits) == (2, 1)
    assert reuse.kept == (2 if make_engine.kind == "rows" else 1)  # copied, or rewound
    assert reuse.tokens_reused > 100
    assert reuse.kept_bytes > 0


def test_log_probabilities_are_told_in_full_and_only_when_asked(engine):
    steps = [s for s in engine.run(job("Hm?", logprobs=4, temperature=1.0, seed=2)) if s.token]
    bare = [s for s in engine.run(job("Hm?", temperature=1.0, seed=2)) if s.token]

    assert all(step.spelled is None for step in bare)
    for step in steps:
        told = step.spelled
        assert told.logprob == pytest.approx(step.token.logprob, abs=1e-6)
        assert len(told.top) == 4
        assert [one.logprob for one in told.top] == sorted(
            (one.logprob for one in told.top), reverse=True
        )
        assert np.exp([one.logprob for one in told.top]).sum() <= 1 + 1e-6
        assert told.raw.decode(errors="replace") == told.token
    assert b"".join(s.spelled.raw for s in steps).decode(errors="replace").strip() in (
        "".join(s.text for s in steps).strip(),
    )
