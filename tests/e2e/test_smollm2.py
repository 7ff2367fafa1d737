"""A real model through the whole street: its own probabilities decide."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from support.calibrations import calibration, write

from router import AsyncRouter, NoAnswer, Router
from router.acceptance.prompts import PROMPTS
from router.confidence.stored import Binding
from router.device.engine import EngineOptions, Job
from router.device.logits import FloatArray, RowReader
from router.device.open_engine import open_engine
from router.device.rows_engine import RowsEngine
from router.errors import ModelError
from router.models import Store
from router.standin import StandIn
from router.types import Message, TokenStat

MODEL = "smollm2-135m"


@pytest.fixture(scope="module", autouse=True)
def model() -> Path:
    try:
        return Store().path(MODEL)
    except ModelError:
        pytest.skip(f"needs the model: firsthop models pull {MODEL}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The model on the device under a policy that keeps the likelier half of drafts."""
    device = {"tier": "device", "provider": "device", "model": MODEL, "max_output_tokens": 24}
    path = tmp_path / "firsthop.yaml"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "policy": "device-only",
                "targets": {"device": device},
                "ledger": {"folder": str(tmp_path / "ledger")},
            }
        )
    )
    return path


@pytest.fixture
def with_cloud(config: Path) -> Path:
    """The same with a second tier, to be reached at the address in the file."""
    made = json.loads(config.read_text())
    made["policy"] = "demo"
    made["targets"]["cloud"] = {
        "tier": "cloud",
        "provider": "openai_compatible",
        "model": "stand-in",
        "base_url": {"env": "FIRSTHOP_STAND_IN_URL"},
    }
    config.write_text(json.dumps(made, indent=1))
    return config


def test_it_knows_the_capital_of_japan_and_says_how_sure_it_was(config: Path) -> None:
    policy = config.parent / "watched.yaml"
    policy.write_text(
        "policy: watched\nsummary: Keep all, record what is cheap.\ntiers: [device]\n"
        "record_signals: cheap\n"
    )
    with Router(config, policy=str(policy)) as router:
        answer = router.ask("What is the capital of Japan?")

    assert "Tokyo" in answer.text
    signals = answer.hops[0].signals
    assert isinstance(signals["draft.mean_logprob"], float)
    assert -1 < signals["draft.mean_logprob"] < 0
    assert signals["draft.tokens"] == answer.hops[0].last.usage.output_tokens
    assert answer.cost_usd == 0
    assert answer.hops[0].last.ttft_s is not None


def test_an_unsure_draft_goes_to_the_cloud_over_http(
    with_cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with StandIn() as cloud:
            monkeypatch.setenv("FIRSTHOP_STAND_IN_URL", cloud.base_url)
            async with AsyncRouter(with_cloud) as router:
                sure = await router.ask("What is the capital of Japan?")
                unsure = await router.ask("What is 17 times 23?")
                kept = await router.ask("What is 17 times 23?", label="pii")

        assert [hop.target for hop in unsure.hops] == ["device", "cloud"]
        assert "stand-in" in unsure.text
        assert unsure.hops[0].signals["draft.mean_logprob"] < -0.45
        assert sure.hops[0].signals["draft.mean_logprob"] > -0.45
        assert [hop.target for hop in sure.hops] == ["device"]
        assert [hop.target for hop in kept.hops] == ["device"]
        assert kept.flags == ("uncertain",)

    asyncio.run(main())


async def _kill_in_mid_answer(router: AsyncRouter) -> int:
    """Wait until the worker writes, then kill it; gives its process id."""
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until
        health = await router.device_health()
        if health is not None and health.running:
            os.kill(health.pid, signal.SIGKILL)
            return health.pid
        await asyncio.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_worker_killed_in_mid_answer_is_a_typed_error_and_the_next_works(config: Path) -> None:
    async def main() -> None:
        text = config.read_text().replace('"max_output_tokens": 24', '"max_output_tokens": 2000')
        config.write_text(text.replace('"model"', '"attempts": 1, "model"', 1))
        async with AsyncRouter(config) as router:
            await router.ask("What is the capital of Japan?", max_output_tokens=4)
            asking = asyncio.create_task(router.ask("Write a long story about a river."))
            pid = await _kill_in_mid_answer(router)
            with pytest.raises(NoAnswer) as caught:
                await asking
            again = await router.ask("What is the capital of Japan?", max_output_tokens=12)
            health = await router.device_health()

        assert [hop.last.error_kind for hop in caught.value.hops] == ["unavailable"]
        assert "Tokyo" in again.text
        assert health is not None
        assert health.pid != pid

    asyncio.run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_worker_killed_while_drafting_sends_the_request_on(
    with_cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        text = with_cloud.read_text()
        text = text.replace('"max_output_tokens": 24', '"attempts": 1, "max_output_tokens": 2000')
        with_cloud.write_text(text)
        async with StandIn() as cloud:
            monkeypatch.setenv("FIRSTHOP_STAND_IN_URL", cloud.base_url)
            async with AsyncRouter(with_cloud) as router:
                asking = asyncio.create_task(router.ask("Write a long story about a river."))
                await _kill_in_mid_answer(router)
                answer = await asking

        assert [hop.status for hop in answer.hops] == ["failed", "answered"]
        assert answer.answered_by == "cloud"

    asyncio.run(main())


def test_the_demo_runs_and_shows_every_kind_of_hop() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firsthop", "demo"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "sent on: unsure" in done.stdout
    assert "kept home: pii" in done.stdout
    assert "stand-in for a cloud model" in done.stdout
    kept = [x for x in done.stdout.splitlines() if x.endswith("  kept") and "device" in x]
    assert kept
    assert "Next:" in done.stdout


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"stop": ["Tokyo"]},
        {"temperature": 1.3, "seed": 7},
        {"temperature": 0.8, "top_p": 0.9, "seed": 3, "frequency_penalty": 0.5, "stop": "\n"},
        {"response_format": "json"},
    ],
    ids=lambda wish: "-".join(wish) or "greedy",
)
def test_the_text_is_the_same_streamed_or_not(config: Path, wish: dict[str, object]) -> None:
    questions = ("What is the capital of Japan?", "Write three emoji: 🎌🍣", "用日语说你好。")
    with Router(config) as router:
        for question in questions:
            whole = router.ask(question, logprobs=True, **wish)
            stream = router.stream(question, logprobs=True, **wish)
            pieces = list(stream)

            assert "".join(pieces) == whole.text == stream.answer.text
            assert "\ufffd" not in "".join(pieces[:-1]), "half a character was shown"
            assert [t.logprob for t in stream.answer.logprobs] == pytest.approx(
                [t.logprob for t in whole.logprobs], abs=1e-3
            )
            assert not any(stop in whole.text for stop in wish.get("stop", ()))


def test_log_probabilities_are_those_of_the_logits_themselves() -> None:
    """Each row of logits that the engine reads is read again in float64."""
    rows: list[tuple[np.ndarray, int]] = []

    class Noted(RowReader):
        def __call__(self, row: FloatArray, chosen: int, first: int | None = None) -> TokenStat:
            rows.append((np.array(row, np.float64), chosen))
            return super().__call__(row, chosen, first)

    engine = open_engine(EngineOptions(folder=str(Store().path(MODEL)), threads=1))
    assert isinstance(engine, RowsEngine)
    engine._voice.tongue = replace(engine._voice.tongue, read_row=Noted())
    asked = (Message(role="user", content="What is the capital of Japan?"),)
    run = engine.run(Job(messages=asked, max_output_tokens=16))
    said = []
    while not said or said[-1].finish is None:
        step = next(run)
        if step.token is not None:
            said.append(step)
            engine.compute([run])

    assert len(said) == len(rows) >= 5
    for step, (row, token) in zip(said, rows, strict=True):
        exact = row[token] - row.max() - np.log(np.exp(row - row.max()).sum())
        assert step.token.logprob == pytest.approx(exact, abs=1e-5)


FIRST_DAY = tuple(prompt.question for prompt in PROMPTS[::2])


def balanced(config: Path, **more: object) -> Path:
    """The model under the shipped default policy, with a scripted cloud behind it."""
    made = json.loads(config.read_text())
    steps = [{"text": "The cloud says so."}]
    made |= {"policy": "balanced", **more}
    made["targets"]["cloud"] = {
        "tier": "cloud-fast",
        "provider": "scripted",
        "model": "script",
        "options": {"steps": steps},
    }
    config.write_text(json.dumps(made))
    return config


def test_on_the_first_day_some_drafts_are_kept_and_none_is_called_certified(config: Path) -> None:
    with Router(balanced(config)) as router:
        answers = [router.ask(question) for question in FIRST_DAY]

    kept = [answer for answer in answers if answer.answered_by == "device"]
    assert len(answers) == 20
    assert 0 < len(kept) < 20
    assert {answer.certified for answer in kept} == {False}
    assert not any(answer.certified for answer in answers)
    assert all("uncertified" in answer.explain() for answer in kept)


def made_for(engine: str, path: Path) -> str:
    binding = Binding(model=MODEL, quantisation=Store().find(MODEL).path.name, engine=engine)
    return str(write(path, calibration(binding, bar=0.6)))


def test_a_file_made_for_this_very_model_certifies_and_one_for_another_engine_is_found_out(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = config.parent / "mine.json"
    engine = f"onnxruntime {version('onnxruntime')}"
    with Router(balanced(config, confidence=made_for(engine, path))) as router:
        sure = router.ask("What is the capital of Japan?")
    assert sure.certified is True

    made_for("onnxruntime 0.1", path)
    with Router(config) as router:
        answers = [router.ask("What is the capital of Japan?") for _ in range(2)]
    assert [answer.answered_by for answer in answers] == ["cloud", "cloud"]
    (told,) = (line for line in caplog.messages if "mine.json" in line)
    assert f"made for engine 'onnxruntime 0.1', and this is '{engine}'" in told
