"""`firsthop calibrate` and `status` where a hurried reader would be misled."""

from __future__ import annotations

import json
from pathlib import Path

from support.calibrating import CONFIG, PRICES, Run, firsthop, write
from support.labels import labels

from router.calibration.workfile import WorkFile

__all__ = ["firsthop"]


def test_drafts_of_another_model_are_not_gone_on_with(firsthop: Run, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("1: how much is 2 + 3?\n2: how much is 2 + 3?")
    firsthop("calibrate", "--prompts", "prompts.txt", "--yes")
    (tmp_path / "firsthop.yaml").write_text(CONFIG.replace("model: tiny", "model: other"))

    done = firsthop("calibrate", "--prompts", "prompts.txt", "--yes")

    assert done.code == 2
    assert "holds drafts of tiny (none), and the device is other (none)" in done.err


def test_a_draft_that_is_not_free_counts_against_the_cap(firsthop: Run, tmp_path: Path) -> None:
    """A config without a device: the weakest tier drafts, at a price."""
    dear = PRICES.replace("id: ours", "id: dear").replace("model: large", "model: tiny")
    dear = dear.replace('"1"', '"1000"').removeprefix("prices:\n")
    (tmp_path / "own.yaml").write_text(PRICES + dear)
    (tmp_path / "prompts.txt").write_text("How much is 2 + 3?")

    done = firsthop("calibrate", "--prompts", "prompts.txt", "--most-usd", "0.01", "--yes")

    assert "stopped: the next prompt could cost more than $0.01 in all" in done.err
    assert "0 made" in done.err


def test_status_looks_at_the_file_that_the_config_names(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(500))
    firsthop("calibrate", "--data", data, "--loss", "10%", "--out", "mine.json")
    firsthop("calibrate", "--data", data, "--loss", "10%")
    assert "not in force: the config does not say" in firsthop("status").out

    (tmp_path / "firsthop.yaml").write_text("confidence: mine.json\n" + CONFIG)
    named = firsthop("status")
    plain = json.loads(firsthop("status", "--json").out)["file"]
    (tmp_path / "mine.json").unlink()

    assert "mine.json: valid" in named.out
    assert "not in force" not in named.out
    assert (plain["in_config"], Path(plain["path"]).name) == (True, "mine.json")
    assert "the config names it, so every draft goes on" in firsthop("status").out
    other = firsthop("status", "--file", "confidence.json").out
    assert "not in force" in other


def test_labels_that_bring_opinions_are_told_that_nobody_reads_them(
    firsthop: Run, tmp_path: Path
) -> None:
    data = Path(write(tmp_path / "labels.jsonl", labels(60)))
    lines = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    brought = [
        {"opinions": ["5", "6"]},
        {"opinions": [{"answer": "5"}]},
        {"weak_samples": ["5", "6"]},
        {"opinions": []},
    ]
    told = [line | more for line, more in zip(lines, brought, strict=False)] + lines[4:]
    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(map(json.dumps, told)), "utf-8")

    plain, with_them = (
        firsthop("calibrate", "--data", str(data)),
        firsthop("calibrate", "--data", str(more)),
    )

    assert "3 bring opinions: no calibration reads them" in with_them.err
    assert "opinions" not in plain.err
    assert with_them.out == plain.out


def test_what_is_said_to_be_escalated_is_by_the_bars_of_tasks_too(
    firsthop: Run, tmp_path: Path
) -> None:
    data = write(tmp_path / "labels.jsonl", labels(1200, hard=3.0))
    each = firsthop("calibrate", "--data", data, "--loss", "8%")
    pooled = firsthop("calibrate", "--data", data, "--loss", "8%", "--pooled")

    def share(said: str) -> float:
        return float(said.split("escalated ")[1].split("%", maxsplit=1)[0])

    assert "by the strictest bars" in each.out
    assert share(each.out) > share(pooled.out) + 5


def test_the_same_file_given_twice_is_no_more_labels(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(60))

    done = firsthop("calibrate", *("--data", data) * 6)

    assert done.code == 1
    assert "of a question that is there already: left out of the tests" in done.out


def test_doctor_says_a_spend_as_a_spend(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(500))
    firsthop("calibrate", "--data", data, "--spend", "20%")
    (tmp_path / "firsthop.yaml").write_text("confidence: confidence.json\n" + CONFIG)

    said = firsthop("doctor", "--offline", "--json").out

    assert "at most 20.0% of requests are escalated" in said
    assert "loss at most" not in said


def test_two_runs_don_t_share_a_work_file(firsthop: Run, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("How much is 2 + 3?")
    work = tmp_path / "confidence.work.jsonl"

    with WorkFile(work).alone():
        done = firsthop("calibrate", "--prompts", "prompts.txt", "--yes")

    assert done.code == 2
    assert "another run is making labels in it" in done.err
    assert not work.exists()
    assert "1 made" in firsthop("calibrate", "--prompts", "prompts.txt", "--yes").err


def test_each_try_at_the_same_labels_is_a_look_and_is_held_to_more(
    firsthop: Run, tmp_path: Path
) -> None:
    rows = labels(500)
    few = write(tmp_path / "few.jsonl", rows[:40])
    some = write(tmp_path / "some.jsonl", rows[:300])
    all_of_them = write(tmp_path / "all.jsonl", rows)

    none = firsthop("calibrate", "--data", few)
    first = firsthop("calibrate", "--data", some, "--loss", "3%")
    asked = firsthop("status", "--data", all_of_them, "--loss", "10%")
    second = firsthop("calibrate", "--data", all_of_them, "--loss", "10%", "--report", "r.html")
    again = firsthop("calibrate", "--data", all_of_them, "--loss", "10%", "--json")
    status = firsthop("status", "--data", all_of_them, "--loss", "10%")
    plain = json.loads(firsthop("status", "--data", all_of_them, "--json").out)

    assert "no look: on so few labels nothing could have been certified" in none.out
    assert (
        "look 1 at this model, tested at 0.93 confidence, so that all looks at 0.9 or" in first.out
    )
    assert "looks    1 so far; look 2 at this model, tested at 0.985 confidence" in asked.out
    assert "look 2 at this model, tested at 0.985 confidence" in second.out
    assert "wanted: with 0.9 confidence, at most 10.0%" in second.out
    assert "Look 2 at this model, tested at 0.985" in (tmp_path / "r.html").read_text("utf-8")
    assert json.loads(again.out)["look"] == {"number": 2, "tested_at": 0.985, "counts": True}
    assert "looks    2 so far; these labels were tested: look 2" in status.out
    assert "(look 2, tested at 0.985)" in status.out
    assert (plain["looks"]["so_far"], plain["looks"]["number"]) == (2, 3)
    assert (plain["file"]["look"], plain["file"]["tested_at"]) == (2, 0.985)
    assert plain["looks"]["tested_at"] > 0.99
