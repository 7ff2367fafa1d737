"""A labelled set out of a file: two shapes of row, and which tiers they tell of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router.confidence.fitting import Recipe, fit
from router.confidence.guarantee import Certificate, Promise
from router.confidence.stored import Binding, Calibration, to_bytes
from router.errors import ConfigError
from router.evaluation.labelled import as_chance
from router.evaluation.readfile import read
from router.evaluation.sources import calibrated, crossed, of_signal
from router.signals.task import task_of

OURS: dict[str, Any] = {
    "prompt": "What is 2 + 3?",
    "draft": "2 + 3 = 5",
    "logprobs": [-0.1, -0.3],
    "right": 1,
    "strong_right": True,
    "cost": 0.002,
    "task": "sums",
    "language": "en",
}
PAIR: dict[str, Any] = {
    "id": "a-1",
    "dataset": "gsm8k",
    "prompt": "What is 2 + 3?",
    "weak_model": "small",
    "weak_output": "It is 5.",
    "weak_answer": "5",
    "weak_correct": 1,
    "weak_cost": 0.0,
    "strong_model": "large",
    "strong_correct": 1,
    "strong_cost": 0.01,
    "peers": {
        "mini": {"correct": 1, "cost": 0.0005},
        "dear": {"correct": 1, "cost": 0.004},
        "own": {"correct": 1, "cost": 0.0},
        "poor": {"correct": 0, "cost": 0.0001},
    },
}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_of_our_own(tmp_path: Path) -> None:
    found = read(written(tmp_path, OURS))

    assert found.device.right.tolist() == [1]
    assert found.others[-1].usd is not None
    assert found.others[-1].usd.tolist() == [0.002]
    assert (found.tasks, found.languages) == (("sums",), ("en",))
    mean = found.signal("tokens.mean_logprob")
    assert mean is not None
    assert mean.tolist() == [pytest.approx(-0.2)]
    assert found.raw == "tokens.mean_logprob"
    assert found.signal("draft.sums_right") == [1.0]


def test_the_tiers_of_a_policy_stand_beside_the_strong_one_too(tmp_path: Path) -> None:
    told = {"fast": {"right": 1, "cost": 0.0003}, "best": {"right": 1, "cost": 0.001}}
    row = {**OURS, "strong_right": 1, "strong_tier": "best", "tiers": told}

    found = read(written(tmp_path, row, {**row, "prompt": "What is 2 + 4?"}))

    assert [tier.name for tier in found.others] == ["fast", "strong tier"]
    assert found.others[0].usd is not None
    assert found.others[0].usd.tolist() == [0.0003, 0.0003]
    with pytest.raises(ConfigError, match="what 'best' made of it"):
        read(written(tmp_path, row), cheap="best")


def test_a_recorded_pair_has_the_cheapest_able_peer_as_its_cheap_tier(tmp_path: Path) -> None:
    found = read(written(tmp_path, PAIR))

    assert [tier.name for tier in found.others] == ["mini", "large"]
    assert found.device.name == "small"
    assert found.tasks == ("gsm8k",)
    named = read(written(tmp_path, PAIR), cheap="dear")
    assert [tier.name for tier in named.others] == ["dear", "large"]


def test_a_gzipped_file_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(OURS).encode()))

    assert read(path).prompts == ("What is 2 + 3?",)


def test_agreement_with_the_strong_tier_is_its_being_right(tmp_path: Path) -> None:
    found = read(written(tmp_path, {"id": "x", "weak_logits": [1.0, 2.0, 0.5], "weak_agrees": 0}))

    assert found.device.right.tolist() == [0]
    assert found.others[-1].right.tolist() == [1]
    assert found.others[-1].usd is None
    assert found.raw == "options.top"


def test_a_strong_outcome_that_some_rows_lack_is_unknown_there(tmp_path: Path) -> None:
    bare = {key: value for key, value in OURS.items() if key not in ("strong_right", "cost")}
    found = read(written(tmp_path, OURS, bare))

    assert np.isnan(found.others[-1].right).tolist() == [False, True]
    assert found.others[-1].usd is None
    assert read(written(tmp_path, bare)).others == ()


def test_all_wrong_lines_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="also wrong: line 3") as told:
        read(written(tmp_path, OURS, "{", "[]"))
    assert told.value.line == 2


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="no labelled answer"):
        read(path)


def test_tasks_choose_rows_before_they_are_checked(tmp_path: Path) -> None:
    path = written(tmp_path, OURS, PAIR | {"weak_correct": 8})

    assert read(path, ["sums"]).tasks == ("sums",)
    with pytest.raises(ConfigError, match="asks for names"):
        read(path, ["names"])
    with pytest.raises(ConfigError, match="what 'mini' made of it"):
        read(path, ["sums"], cheap="mini")


@pytest.mark.parametrize(
    ("values", "made", "how"),
    [
        ([0.2, 1.0, np.nan], [0.2, 1.0, 0.0], "as it is"),
        ([-1.0, -2.0], [np.exp(-1), np.exp(-2)], "exp"),
        ([3.0, 9.0, 3.0, -1.0], [0.5, 0.875, 0.5, 0.125], "by rank"),
    ],
)
def test_a_raw_signal_becomes_a_chance_without_labels(
    values: list[float], made: list[float], how: str
) -> None:
    found, said = as_chance(np.array(values))

    assert found == pytest.approx(made)
    assert said == how


def many(folder: Path, count: int = 60) -> Path:
    rows = [
        OURS
        | {
            "prompt": f"What is {at} + 3?",
            "draft": f"{at} + 3 = {at + 3 + (at % 3 == 0)}",
            "right": at % 3 != 0,
            "strong_right": 1,
        }
        for at in range(count)
    ]
    return written(folder, *rows)


def test_a_fit_on_other_folds_finds_what_tells_right_from_wrong(tmp_path: Path) -> None:
    rows = read(many(tmp_path))
    found = crossed(rows, Recipe(growth=None, ridge=1.0))

    right = rows.device.right == 1
    assert found.confidence[right].min() > found.confidence[~right].max()
    assert found.without is not None
    assert not np.allclose(found.without("draft.sums_wrong"), found.confidence)
    assert np.allclose(found.without("no such signal"), found.confidence)


def test_a_fit_on_other_folds_never_saw_the_rows_it_judges(tmp_path: Path) -> None:
    rows = read(many(tmp_path))
    recipe = Recipe(growth=None, ridge=1.0)
    before = crossed(rows, recipe).confidence
    for at in (0, 7):
        rows.device.right[at] = 1 - rows.device.right[at]
        after = crossed(rows, recipe).confidence
        assert after[at] == before[at]
        assert not np.allclose(after, before)
        rows.device.right[at] = 1 - rows.device.right[at]


def test_rows_without_signals_or_of_one_prompt_cannot_be_fitted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few prompts"):
        crossed(read(written(tmp_path, OURS)))
    with pytest.raises(ConfigError, match="to be judged by"):
        crossed(read(written(tmp_path, {"right": 1}, {"right": 0})))


def test_a_signal_stands_for_itself_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    rows = read(written(tmp_path, OURS, OURS | {"logprobs": None}))
    found = of_signal(rows, "tokens.mean_logprob")

    assert found.confidence == pytest.approx([np.exp(-0.2), 0.0])
    assert "unknown in 1 of 2 rows" in found.notes[0]
    assert found.judged(rows).raw is None
    with pytest.raises(ConfigError, match="no signal of these rows"):
        of_signal(rows, "tokens.mean")


def test_a_calibration_file_judges_and_brings_its_bar(tmp_path: Path) -> None:
    rows = read(many(tmp_path))
    estimator = fit(
        rows.values,
        rows.names,
        rows.device.right,
        rows.tasks,
        rows.prompts,
        Recipe(growth=None, ridge=1.0, words=64),
    ).estimator
    certificate = Certificate(bar=0.5, kept=0.5, loss=0.0, most_loss=0.04, labels=100)
    data = to_bytes(
        Calibration(
            binding=Binding(model="small", quantisation="int4", engine="e 1"),
            estimator=estimator,
            promise=Promise(loss=0.05),
            certificate=certificate,
        )
    )
    found = calibrated(rows, data, "confidence.json")

    assert found.certificate == certificate
    made = estimator.with_words(rows.values, rows.prompts)
    assert found.confidence == pytest.approx(estimator.probabilities(made, rows.tasks))
    told = [
        estimator.estimate(
            dict(zip(rows.names, rows.values[at], strict=True)), "sums", rows.prompts[at]
        )
        for at in range(3)
    ]
    assert found.held is not None
    assert found.held[:3] == pytest.approx([one.low for one in told])
    assert found.without is not None
    assert not np.allclose(found.without("draft.sums_wrong"), found.confidence)
    assert found.notes == ()
    other = calibrated(read(written(tmp_path, PAIR, PAIR | {"weak_model": "large"})), data, "c")
    assert any("made for small int4" in note for note in other.notes)
    assert any("no label of gsm8k" in note for note in other.notes)
    assert any("signals it reads are not in these" in note for note in other.notes)


def test_what_is_no_calibration_file_is_refused(tmp_path: Path) -> None:
    rows = read(written(tmp_path, OURS))

    with pytest.raises(ConfigError, match="no calibration file"):
        calibrated(rows, b"{}", "confidence.json")


def test_a_conversation_and_what_nobody_told_are_read_as_on_the_street(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Schreibe mir bitte ein Gedicht über den Herbst im Wald."},
        ],
        "draft": "Die Blätter fallen.",
        "good": True,
        "logprobs": [-0.1, -0.2, -0.3, -0.4],
        "entropies": [1.0, 1.0, 2.0, 2.0],
        "margins": [0.5, None, 0.5, 0.5],
    }
    found = read(written(tmp_path, row, row | {"logprobs": [-0.1, None, -0.3, -0.4]}))

    assert found.prompts[0].startswith("Schreibe")
    assert found.languages[0] == "de"
    assert found.tasks[0] == task_of(found.prompts[0])
    trend, mean = found.signal("tokens.entropy_trend"), found.signal("tokens.mean_logprob")
    assert trend is not None
    assert mean is not None
    assert trend[0] == 1.0
    assert np.isnan(mean).tolist() == [False, True]  # one unknown token: the figure is unknown
    with pytest.raises(ConfigError, match="entropies"):
        read(written(tmp_path, row | {"entropies": [1.0]}))
