"""The calibration file against what answers, and what it says of a draft."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.calibrations import SCRIPT, TASKS, calibration, write
from support.street import ask

from router.calibrated import Calibrated
from router.clock import ManualClock
from router.confidence.logistic import Line
from router.confidence.probe import Probe
from router.confidence.stored import Calibration
from router.layerstate import LayerState
from router.providers.identity import Identity
from router.types import Completion, TokenStat

NOW = 1_000.0
KNOWN = Identity("script", "none", "scripted")


class Model:
    """What answers; a worker that is not up yet does not know its engine."""

    def __init__(self, identity: Identity = KNOWN) -> None:
        self.told = identity

    def identity(self) -> Identity:
        return self.told


def draft(logprob: float | None = -0.1, text: str = "Paris it is.") -> Completion:
    stats = () if logprob is None else (TokenStat(logprob),) * 3
    return Completion(text=text, tokens=stats)


def opened(path: Path, model: Model | None = None, clock: ManualClock | None = None) -> Calibrated:
    clock = clock or ManualClock(wall=NOW)
    return Calibrated(path, {"device": (model or Model()).identity}, clock)


def said(found: Calibrated, of: Completion | None = None, **known: object) -> dict[str, object]:
    signals = {"prompt.task": TASKS[0], "prompt.language": "en", **known}
    return dict(found.of_draft("device", ask(), of or draft(), signals))  # type: ignore[arg-type]


def test_a_draft_gets_its_chance_its_lower_end_and_whether_that_reaches_the_bar(
    tmp_path: Path,
) -> None:
    found = opened(write(tmp_path / "c.json"))

    sure, unsure = said(found), said(found, draft(-0.9))

    assert found.problem is None
    assert sure["draft.confidence"] == pytest.approx(0.998, abs=0.001)
    assert 0.8 < sure["draft.confidence_low"] < sure["draft.confidence"]  # type: ignore[operator]
    assert (sure["draft.certified"], unsure["draft.certified"]) == (True, False)


def test_without_a_certificate_nothing_is_certified_nor_refuted(tmp_path: Path) -> None:
    found = said(opened(write(tmp_path / "c.json", calibration(bar=None))))

    assert found["draft.certified"] is None
    assert isinstance(found["draft.confidence"], float)


def test_a_kind_of_question_without_labels_has_a_wider_interval_and_no_promise(
    tmp_path: Path,
) -> None:
    found = opened(write(tmp_path / "c.json", calibration(tasks=("invoices", "letters"))))

    seen = said(found, **{"prompt.task": "invoices"})
    unseen = said(found, **{"prompt.task": "poems"})

    assert seen["draft.certified"] is True
    assert unseen["draft.certified"] is None
    assert unseen["draft.confidence_low"] < seen["draft.confidence_low"]  # type: ignore[operator]


def test_the_callers_tag_says_which_kind_of_question_it_is(tmp_path: Path) -> None:
    found = opened(write(tmp_path / "c.json", calibration(tasks=("invoices", "letters"))))
    tagged = ask(tags={"task": "letters"})

    told = found.of_draft("device", tagged, draft(), {"prompt.task": "poems"})

    assert told["draft.certified"] is True


@pytest.mark.parametrize("of", [draft(text=""), draft(text=" \n")])
def test_a_draft_without_a_word_has_no_confidence(tmp_path: Path, of: Completion) -> None:
    assert said(opened(write(tmp_path / "c.json")), of) == {}


def test_a_target_it_was_not_made_for_has_none_and_spoils_nothing(tmp_path: Path) -> None:
    other = Model(Identity("big", "q4", "scripted"))
    targets = {"other": other.identity, "device": Model().identity}
    found = Calibrated(write(tmp_path / "c.json"), targets, ManualClock(wall=NOW))

    assert found.of_draft("other", ask(), draft(), {}) == {}
    assert found.of_draft("cloud", ask(), draft(), {}) == {}
    assert said(found)["draft.certified"] is True
    assert found.problem is None


def with_probe(layer: int = 20) -> Calibration:
    """Log-odds that are the sum of a state's two numbers, and of nothing else."""
    made = calibration()
    line = replace(made.estimator.general.line, centre=np.zeros(1), scale=np.ones(1))
    blend = replace(made.estimator.general, line=replace(line, slope=np.ones(1)))
    estimator = replace(
        made.estimator,
        names=("draft.probe",),
        buckets=(),
        general=blend,
        spread=0.0,
        known=blend,
        offset=np.zeros(0),
        doubt=np.zeros(0),
    )
    both = Line(centre=np.zeros(2), scale=np.ones(2), slope=np.ones(2), base=0.0)
    return replace(made, estimator=estimator, probe=Probe(layer=layer, line=both))


def shown(layer: int, *numbers: float) -> Completion:
    state = LayerState(layer=layer, mean=np.array(numbers, "<f4").tobytes())
    return replace(draft(), state=state)


def test_what_a_probe_says_of_the_draft_s_state_is_a_signal_of_the_estimator(
    tmp_path: Path,
) -> None:
    found = opened(write(tmp_path / "c.json", with_probe()))

    told = said(found, shown(20, 0.5, 0.75))

    assert found.reads_state("device")
    assert not found.reads_state("cloud")
    assert told["draft.confidence"] == pytest.approx(1 / (1 + math.exp(-1.25)))


@pytest.mark.parametrize(
    "of",
    [shown(7, 0.5, 0.75), shown(20, 0.5), shown(20, math.nan, 0.75), draft()],
    ids=["another layer", "another width", "no number", "none"],
)
def test_a_state_that_the_probe_can_not_read_is_unknown(tmp_path: Path, of: Completion) -> None:
    found = opened(write(tmp_path / "c.json", with_probe()))

    assert said(found, of)["draft.confidence"] == 0.5


def test_a_file_of_before_there_were_probes_reads_no_state(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json")
    whole = msgspec.json.decode(path.read_bytes())
    del whole["calibration"]["probe"]
    body = msgspec.json.encode(whole["calibration"])
    whole |= {"sha256": sha256(body).hexdigest(), "calibration": msgspec.Raw(body)}
    path.write_bytes(msgspec.json.encode(whole))
    found = opened(path)

    assert found.problem is None
    assert not found.reads_state("device")
    assert said(found, shown(20, 0.5, 0.75)) == said(found)


@pytest.mark.parametrize("spoilt", ["scale", "slope", "layer"])
def test_a_file_whose_probe_is_none_is_refused(tmp_path: Path, spoilt: str) -> None:
    made = with_probe()
    assert made.probe is not None
    line = made.probe.line
    probe = {
        "scale": replace(made.probe, line=replace(line, scale=np.zeros(2))),
        "slope": replace(made.probe, line=replace(line, slope=np.ones(3))),
        "layer": replace(made.probe, layer=-1),
    }[spoilt]

    found = opened(write(tmp_path / "c.json", replace(made, probe=probe)))

    assert found.problem is not None
    assert "holds a probe that is none" in found.problem
    assert not found.reads_state("device")


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-100])
    return path


def altered(path: Path) -> Path:
    path.write_bytes(path.read_bytes().replace(b'"bar":0.8', b'"bar":0.1'))
    return path


def foreign(path: Path, **fields: str) -> Path:
    return write(path, calibration(replace(SCRIPT, **fields)))  # type: ignore[arg-type]


REFUSED = {
    "missing": (lambda path: path, "can't be read"),
    "a folder": (lambda path: path.mkdir() or path, "can't be read"),
    "cut off": (lambda path: cut(write(path)), "is no calibration file"),
    "altered": (lambda path: altered(write(path)), "was changed"),
    "not JSON": (lambda path: path.write_text("bar: 0.8") and path, "is no calibration file"),
    "nested without end": (
        lambda path: path.write_text('{"format": 1, "x": ' + "[" * 100_000) and path,
        "is no calibration file",
    ),
    "another model": (lambda path: foreign(path, model="big"), "made for model 'big'"),
    "another build": (lambda path: foreign(path, quantisation="q4"), "made for quantisation 'q4'"),
    "another engine": (lambda path: foreign(path, engine="ort 1"), "made for engine 'ort 1'"),
    "older signals": (
        lambda path: write(path, calibration(replace(SCRIPT, signals=0))),
        "made for signals 0",
    ),
    "stale": (lambda path: write(path, valid_until=NOW - 1), "is stale"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_file_is_refused_in_one_line_and_says_nothing_of_any_draft(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make, says = REFUSED[kind]
    path = make(tmp_path / "c.json")
    with caplog.at_level(logging.WARNING):
        found = opened(path)
        assert said(found) == {}
        assert said(found) == {}

    assert found.problem is not None
    assert says in found.problem
    assert str(path) in found.problem
    (line,) = caplog.messages
    assert says in line
    assert "firsthop calibrate" in line


def test_an_engine_that_is_known_only_later_is_held_to_the_file_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(Identity("script", "none", None))
    found = opened(write(tmp_path / "c.json"), model)
    assert found.problem is None
    assert said(found) == {}, "not known is not proven"

    model.told = KNOWN
    assert said(found)["draft.certified"] is True

    model.told = Identity("script", "none", "another 2.0")
    with caplog.at_level(logging.WARNING):
        assert said(found) == {}
        assert said(found) == {}
    (line,) = caplog.messages
    assert "made for engine 'scripted', and this is 'another 2.0' (target device)" in line


def test_a_file_whose_time_is_over_while_the_router_runs_is_refused_from_then_on(
    tmp_path: Path,
) -> None:
    clock = ManualClock(wall=NOW)
    found = opened(write(tmp_path / "c.json", valid_until=NOW + 60), clock=clock)
    assert said(found) != {}

    clock.advance(61)

    assert said(found) == {}
    assert found.problem is not None
    assert "stale" in found.problem


def test_a_file_that_was_made_anew_is_taken_up_when_it_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    found = opened(path)
    assert found.problem is not None

    write(path)
    found.load()

    assert found.problem is None
    assert said(found)["draft.certified"] is True
