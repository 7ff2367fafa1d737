"""A real model is asked for opinions of its own draft: more samples, and a look at itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from router import Router
from router.errors import ModelError
from router.ledger import Report
from router.models import Store

MODEL = "smollm2-135m"
POLICY = """\
policy: asks-again
summary: Keep what three more answers agree with.
tiers: [device, cloud]
accept:
  - id: agreed
    on: [device]
    require: {draft.agreement: {gte: 0.0}, draft.p_true: {gte: 0.0}}
opinions:
  - {on: [device], samples: 3, temperature: 0.7, second: true, p_true: always, max_s: 30}
record_signals: policy
"""
QUESTION = (
    "You are asked about the capitals of countries, and you answer in one short sentence, without "
    "any explanation. Here is the question, and it is an easy one. What is the capital of Japan?"
)


@pytest.fixture(scope="module", autouse=True)
def model() -> Path:
    try:
        return Store().path(MODEL)
    except ModelError:
        pytest.skip(f"needs the model: firsthop models pull {MODEL}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "asks-again.yaml").write_text(POLICY)
    device = {"tier": "device", "provider": "device", "model": MODEL, "max_output_tokens": 24}
    script = {"steps": [{"text": "The cloud knows."}]}
    cloud = {"tier": "cloud", "provider": "scripted", "model": "script", "options": script}
    made = {
        "version": 1,
        "policy": str(tmp_path / "asks-again.yaml"),
        "targets": {"device": device, "device2": device, "cloud": cloud},
        "ledger": {"folder": str(tmp_path / "ledger")},
    }
    path = tmp_path / "firsthop.yaml"
    path.write_text(json.dumps(made))
    return path


def test_samples_read_no_prompt_again_and_every_call_has_its_row(config: Path) -> None:
    with Router(config) as router:
        answer = router.ask(QUESTION)

    draft, own, second = answer.hops
    assert "Tokyo" in answer.text
    assert (answer.answered_by, answer.flags) == ("device", ())
    assert own.because == "3 samples and a self-check about hop 1's draft"
    assert (own.left, second.target, second.left) == ("4 of 4 came", "device2", "1 of 1 came")
    prompt = draft.last.usage.input_tokens
    assert prompt is not None
    for sample in own.attempts[:3]:
        assert sample.usage.input_tokens == prompt
        assert (sample.usage.cached_input_tokens or 0) >= prompt - 4
    check = own.attempts[3]
    assert (check.usage.cached_input_tokens or 0) > prompt / 2
    assert check.usage.output_tokens == 1
    assert draft.signals["draft.agreement"] is not None
    assert 0.0 <= draft.signals["draft.p_true"] <= 1.0  # type: ignore[operator]

    with Report.open(config.parent / "ledger") as report:
        detail = report.request(answer.decision_id)
    assert [(hop.cause, hop.status) for hop in detail.hops] == [
        ("start", "answered"),
        ("opinion", "heard"),
        ("opinion", "heard"),
    ]
    assert [len(hop.attempts) for hop in detail.hops] == [1, 4, 1]
    assert all(row.total_s for hop in detail.hops for row in hop.attempts)


def test_a_small_model_is_not_asked_to_judge_itself_unless_the_policy_insists(config: Path) -> None:
    policy = config.parent / "asks-again.yaml"
    policy.write_text(POLICY.replace("p_true: always", "p_true: true"))
    with Router(config) as router:
        answer = router.ask(QUESTION)

    assert answer.answered_by == "cloud"
    assert answer.hops[0].signals["draft.p_true"] is None
    assert "about 0.13 billion parameters" in answer.explain()
