"""A probe from drafts to answers: made by `firsthop calibrate`, read by the router."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router import AsyncRouter, providers
from router.calibration.filing import read, write
from router.cli.app import main
from router.cli.doctor import examine
from router.confidence.evidence import EVIDENCE, PROBE, evidence
from router.confidence.stored import Calibration
from router.providers.base import Target
from router.types import Ask, Chunk, Message

SUBJECTS = ("the sea", "bread", "a spider", "the sky", "a dog", "France", "a story", "the sun")
POLICY = """\
policy: by-chance
summary: Keep all, and say how likely each is good.
tiers: [device, cloud]
accept:
  - {id: any, on: [device], require: {draft.confidence: {gte: 0.0}}}
record_signals: all
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny model whose drafts a scripted judge calls good or not by one of two like words."""
    here = tmp_path_factory.mktemp("probe")
    steps = [{"match": "water", "text": "No."}, {"text": "Yes."}]
    made = {
        "version": 1,
        "policy": "by-chance.yaml",
        "targets": {
            "device": {
                "tier": "device",
                "provider": "device",
                "model": str(build_tiny_phi3(here / "phi3")),
                "max_output_tokens": 6,
                "options": {"threads": 1},
            },
            "judge": {
                "tier": "cloud",
                "provider": "scripted",
                "model": "judge",
                "options": {"steps": steps},
            },
        },
        "ledger": {"folder": "ledger"},
    }
    (here / "by-chance.yaml").write_text(POLICY)
    (here / "plain.yaml").write_text(json.dumps(made))
    (here / "firsthop.yaml").write_text(json.dumps({**made, "confidence": "confidence.json"}))
    asked = [
        f"{100 + n}: {'flour' if n % 3 else 'water'} and {SUBJECTS[n % 8]}?" for n in range(150)
    ]
    (here / "prompts.txt").write_text("\n".join(asked))
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = short  # its workers meet apart from the user's own
    yield here
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture
def firsthop(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(folder)

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["firsthop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def made(folder: Path, firsthop: Run) -> Calibration:
    """What calibrate writes, once for all of these tests."""
    path = folder / "made.json"
    if not path.exists():
        words = ("--prompts", "prompts.txt", "--judge", "judge", "--loss", "45%", "--pooled")
        words += ("--config", "plain.yaml", "--out", path, "--report", "drawn.html", "--yes")
        done = firsthop("calibrate", *words)
        assert done.code == 0, done.out + done.err
        assert "probe of layer 1, fitted on " in done.out
        assert "plain.yaml has to say `confidence: made.json`" in done.out
        told = next(line for line in done.out.splitlines() if line.startswith("probe of layer"))
        assert told in (folder / "drawn.html").read_text(encoding="utf-8")
        having, without = told.split("AUROC ")[1].split(" without")[0].split(" with it, ")
        assert float(having) > max(0.7, float(without)), told
    return read(path, None)


async def drafted(folder: Path, question: str) -> list[Chunk]:
    """The device's draft of a question, asked of its provider alone."""
    provider = providers.build(
        Target(
            name="device",
            tier="device",
            provider="device",
            model=str(folder / "phi3"),
            options={"threads": 1},
        )
    )
    ask = Ask(
        attempt_id="a",
        messages=(Message(role="user", content=question),),
        max_output_tokens=6,
        states=True,
    )
    try:
        async with aclosing(provider.stream(ask)) as chunks:  # type: ignore[type-var]
            return [chunk async for chunk in chunks]
    finally:
        await provider.aclose()


def by_hand(
    calibration: Calibration, question: str, chunks: list[Chunk], known: dict[str, object]
) -> tuple[dict[str, float], float]:
    """The signals of a draft, and its chance by them."""
    language, task = known["prompt.language"], known["prompt.task"]
    text = "".join(chunk.text for chunk in chunks)
    stats = [stat for chunk in chunks for stat in chunk.tokens]
    signals = evidence(question, text, stats, language=str(language) if language else None)
    state = chunks[-1].state
    if calibration.probe is not None and state is not None:
        score = calibration.probe.read(state.layer, state.mean)
        signals |= {} if score is None else {PROBE: score}
    told = calibration.estimator.estimate(signals, str(task), question)
    return signals, told.probability


@pytest.mark.parametrize("question", ["300: water and bread?", "300: flour and bread?"])
@in_loop
async def test_the_router_gives_the_chance_that_the_probe_and_the_estimator_give_by_hand(
    folder: Path, made: Calibration, question: str
) -> None:
    write(folder / "confidence.json", made)
    chunks = await drafted(folder, question)

    async with AsyncRouter(folder / "firsthop.yaml") as router:
        answer = await router.ask(question)

    signals, chance = by_hand(made, question, chunks, dict(answer.outcome.signals))
    assert answer.hops[0].signals["draft.confidence"] == pytest.approx(chance, abs=1e-6)
    because = dict(made.estimator.because(signals, str(answer.outcome.signals["prompt.task"]), 99))
    assert abs(because[PROBE]) > 0.1


@in_loop
async def test_a_probe_of_another_layer_is_unknown_to_it(folder: Path, made: Calibration) -> None:
    assert made.probe is not None
    other = replace(made, probe=replace(made.probe, layer=0))
    write(folder / "confidence.json", other)
    question = "300: water and bread?"
    chunks = await drafted(folder, question)

    async with AsyncRouter(folder / "firsthop.yaml") as router:
        answer = await router.ask(question)

    signals, chance = by_hand(other, question, chunks, dict(answer.outcome.signals))
    assert PROBE not in signals
    assert answer.hops[0].signals["draft.confidence"] == pytest.approx(chance, abs=1e-6)
    _, with_it = by_hand(made, question, chunks, dict(answer.outcome.signals))
    assert abs(with_it - chance) > 0.01


def test_labels_without_states_give_a_file_as_before_and_the_street_asks_for_none(
    folder: Path, made: Calibration, firsthop: Run
) -> None:
    lines = [
        json.loads(line)
        for line in (folder / "confidence.work.jsonl").read_text().split("\n")
        if line
    ]
    assert {line.pop("state")["layer"] for line in lines} == {1}
    (folder / "plain.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    words = ("--data", "plain.jsonl", "--loss", "45%", "--pooled")
    done = firsthop("calibrate", *words)

    assert done.code == 0, done.out + done.err
    assert "probe of layer" not in done.out
    assert "probe: none" not in done.out
    assert "not in force yet" not in done.out, "the config names it, and so it went there"
    found = read(folder / "confidence.json", None)
    assert found.probe is None
    assert set(found.estimator.names) <= set(EVIDENCE)
    asked = firsthop("ask", "300: flour and bread?")
    assert asked.code == 0, asked.err


def test_eval_reads_the_states_of_its_rows(folder: Path, made: Calibration, firsthop: Run) -> None:
    rows = firsthop("eval", "confidence.work.jsonl", "--confidence", "made.json", "--json")
    plain = (folder / "confidence.work.jsonl").read_text().replace('"state"', '"other"')
    (folder / "other.jsonl").write_text(plain)
    without = firsthop("eval", "other.jsonl", "--confidence", "made.json", "--json")

    assert rows.code == without.code == 0, rows.err + without.err
    told = {one["signal"] for one in json.loads(rows.out)["signals"]}
    assert PROBE in told
    assert "signals it reads are not in these rows" in without.out

    def auroc(done: Done) -> float:
        figures = json.loads(done.out)["figures"]
        return float(next(one["value"] for one in figures if one["name"] == "AUROC"))

    assert auroc(rows) > auroc(without)


def test_status_and_doctor_look_at_the_config_s_file(
    folder: Path, made: Calibration, firsthop: Run
) -> None:
    write(folder / "confidence.json", made)

    status = firsthop("status")

    assert f"{folder / 'confidence.json'}: valid" in status.out
    (finding,) = [f for f in examine("firsthop.yaml", None) if f.check == "confidence"]
    assert finding.state == "ok", finding
