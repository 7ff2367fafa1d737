"""`firsthop calibrate` and `firsthop status` as people call them: streams, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.calibrating import CONFIG, Run, firsthop, write
from support.labels import labels

from router.calibration.filing import read
from router.confidence.stored import Binding
from router.document import parse_yaml
from router.errors import ConfigError
from router.policy.load import load as load_policy

__all__ = ["firsthop"]

STRONG = """\
  best:
    tier: cloud-strong
    provider: scripted
    model: large
    options:
      steps: [{text: "#### 7"}]
"""
BINDING = Binding(model="tiny", quantisation="none", engine="scripted")


def test_labels_become_a_file_that_holds_for_this_device(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(500))

    done = firsthop("calibrate", "--data", data, "--loss", "10%", "--out", "made.json")

    assert done.code == 0, done.err
    assert "by task, each a promise of its own" in done.out
    assert "made.json written" in done.out
    assert "only for requests with the tag `task`, as nothing else tells: sums, words" in done.out
    assert "500 labels, 0 bad lines" in done.err
    found = read(tmp_path / "made.json", BINDING)
    assert found.certificate is not None
    assert found.certificate.most_loss <= 0.1
    assert found.counts is not None
    assert found.counts.labels == 500
    with pytest.raises(ConfigError, match="model"):
        read(tmp_path / "made.json", Binding(model="x", quantisation="none", engine="scripted"))


def test_the_report_and_eval_say_of_the_file_what_calibrate_said(
    firsthop: Run, tmp_path: Path
) -> None:
    data = write(tmp_path / "labels.jsonl", labels(500))
    done = firsthop("calibrate", "--data", data, "--loss", "10%", "--report", "drawn.html")
    bar = read(tmp_path / "confidence.json", BINDING).certificate
    assert bar is not None
    page = (tmp_path / "drawn.html").read_text(encoding="utf-8")

    assert done.code == 0, done.err
    assert f"The bar is {bar.bar:.3f} (certified)." in page
    assert "The promise (at most 10\u00a0% of all requests" in page

    judged = firsthop("eval", data, "--confidence", "confidence.json", "--json")
    assert judged.code == 0, judged.err
    found = json.loads(judged.out)
    assert found["rows"] == 500
    assert found["bar"]["value"] == bar.bar
    assert found["bar"]["promise"]["loss"] == 0.1


def test_a_refusal_is_drawn_too(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(60))
    done = firsthop("calibrate", "--data", data, "--loss", "1%", "--report", "drawn.html")

    assert done.code == 1
    assert "can&#x27;t be told" in (tmp_path / "drawn.html").read_text(encoding="utf-8")


def test_what_can_not_be_certified_is_refused_and_nothing_is_written(
    firsthop: Run, tmp_path: Path
) -> None:
    data = write(tmp_path / "labels.jsonl", labels(60))
    (tmp_path / "confidence.json").write_text("the one before")

    done = firsthop("calibrate", "--data", data, "--loss", "1%")

    assert done.code == 1
    assert done.out.splitlines()[-2] == "No file was written."
    assert done.out.splitlines()[-1].startswith("confidence.json is still the one from before")
    assert "more labels would do" in done.out
    assert (tmp_path / "confidence.json").read_text() == "the one before"
    assert not list(tmp_path.glob(".confidence*"))


def test_bad_lines_are_told_on_standard_error(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(10))
    with data.open("a") as file:
        file.write('{"prompt": "?", "draft": 7, "right": 1}\n')

    done = firsthop("calibrate", "--data", data, "--json")

    assert done.code == 1
    assert f"{data}:11: draft: has to be text, not 7" in done.err
    assert json.loads(done.out)["all"]["more_labels"] > 80


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no labels are named"),
        (("--ledger", "--loss", "5%", "--spend", "20%"), "two goals"),
        (("--ledger", "--loss", "0"), "is no share between 0 and 1"),
        (("--ledger", "--confidence", "120%"), "is no share between 0 and 1"),
        (("--data", "none.jsonl"), "cannot be read"),
        (("--prompts", "prompts.txt", "--strong", "clod", "--yes"), "no target is called 'clod'"),
        (("--prompts", "prompts.txt", "--most-usd", "lots", "--yes"), "no amount of dollars"),
        (("--prompts", "prompts.txt"), "nobody is here to say yes"),
    ],
)
def test_a_wrong_argument_is_named(
    firsthop: Run, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    (tmp_path / "prompts.txt").write_text("How much is 2 + 3?\n")

    done = firsthop("calibrate", *words)

    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_labels_are_made_on_the_spot_with_the_price_told_first(
    firsthop: Run, tmp_path: Path
) -> None:
    lines = [f"{'odd' if n % 3 == 0 else 'even'} {n}: how much is 2 + 3?" for n in range(40)]
    (tmp_path / "prompts.txt").write_text("\n".join(lines))

    first = firsthop("calibrate", "--prompts", "prompts.txt", "--most-usd", "0.0015", "--yes")
    again = firsthop("calibrate", "--prompts", "prompts.txt", "--yes")

    assert "dollars     at most $0.0" in first.err
    assert "hours       unknown" in first.err
    assert "stopped: the next prompt could cost more than $0.0015 in all" in first.err
    assert "done already" in again.err
    assert "hours       about" in again.err
    rows = [
        json.loads(line) for line in (tmp_path / "confidence.work.jsonl").read_text().splitlines()
    ]
    assert sorted(row["prompt"] for row in rows) == sorted(lines)
    assert sum(row["right"] for row in rows) == 26
    assert again.code == 1  # 40 labels can't hold a loss to 5 %
    assert "more labels would do" in again.out


def test_labels_made_with_one_strong_tier_say_nothing_of_another(
    firsthop: Run, tmp_path: Path
) -> None:
    better = CONFIG.replace("prices:", STRONG + "prices:")
    (tmp_path / "firsthop.yaml").write_text(better)
    lines = [{"prompt": f"odd {n}: how much?", "reference": "7"} for n in range(3)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    made = ("calibrate", "--prompts", "prompts.jsonl", "--yes")

    with_cloud = firsthop(*made, "--strong", "cloud")
    with_strong = firsthop(*made)

    warning = "3 labels were made with cloud-fast as the strong tier, not cloud-strong"
    assert warning not in with_cloud.err
    assert warning in with_strong.err
    rows = (tmp_path / "confidence.work.jsonl").read_text().splitlines()
    assert [json.loads(row)["strong_tier"] for row in rows] == ["cloud-fast"] * 3
    assert [json.loads(row)["tiers"]["cloud-fast"]["right"] for row in rows] == [False] * 3


def test_a_kill_loses_the_row_under_way_and_no_other(firsthop: Run, tmp_path: Path) -> None:
    slow = CONFIG.replace('{text: "#### 5", mean_logprob: -0.1}', '{text: "#### 5", ttft_s: 0.1}')
    (tmp_path / "firsthop.yaml").write_text(slow)
    lines = [f"{n}: how much is 2 + 3?" for n in range(12)]
    (tmp_path / "prompts.txt").write_text("\n".join(lines))
    work = tmp_path / "confidence.work.jsonl"
    words = ("-m", "firsthop", "calibrate", "--prompts", "prompts.txt", "--yes")
    running = subprocess.Popen([sys.executable, *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and (not work.exists() or len(work.read_bytes()) < 100):
        time.sleep(0.02)
    running.kill()
    running.wait()
    before = work.read_text().splitlines()
    assert 0 < len(before) < len(lines)

    done = firsthop("calibrate", "--prompts", "prompts.txt", "--yes")

    assert f"{len(lines) - len(before)} made" in done.err
    after = work.read_text().splitlines()
    assert after[: len(before)] == before
    assert [json.loads(line)["prompt"] for line in after] == lines


def test_prices_nobody_knows_are_no_cap(firsthop: Run, tmp_path: Path) -> None:
    (tmp_path / "firsthop.yaml").write_text(
        CONFIG[: CONFIG.index("  cloud:")]
        + "  cloud:\n    tier: cloud-fast\n    model: nobody-knows\n"
        "    provider: openai_compatible\n    base_url: http://127.0.0.1:9/v1\n"
        "    unknown_price: allow\n"
    )
    (tmp_path / "prompts.txt").write_text("How much is 2 + 3?\n")

    done = firsthop("calibrate", "--prompts", "prompts.txt", "--yes")

    assert done.code == 2
    assert "no price is known" in done.err


def test_early_bars_are_printed_as_a_policy_takes_them(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(2500))

    done = firsthop("calibrate", "--data", data, "--loss", "8%", "--early")

    assert done.code == 0, done.err
    made = done.out.split("# for a policy\n")[1].split("\n\n")[0]
    part = parse_yaml(made, "bars").data
    assert [bar["tokens"] for bar in part["abort"][0]["bars"]] == [16, 32, 64, 128]
    policy = tmp_path / "early.yaml"
    policy.write_text(f"policy: early\nsummary: s\ntiers: [device, cloud-fast]\n{made}\n")
    assert load_policy(policy).abort_on("device")


def test_a_spend_and_a_quality_are_promises_too(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(900))

    spend = firsthop("calibrate", "--data", data, "--spend", "20%", "--out", "spend.json")
    quality = firsthop("calibrate", "--data", data, "--quality", "90%", "--out", "quality.json")

    assert "at most 20.0% of requests are escalated" in spend.out
    assert "by bootstrap (no promise)" in spend.out
    assert read(tmp_path / "spend.json", BINDING).goal == "spend"
    assert "at least 90.0% as often as the strong tier" in quality.out
    assert quality.code == 0, quality.out


def test_a_promise_on_what_is_kept_starts_where_there_are_drafts_enough(
    firsthop: Run, tmp_path: Path
) -> None:
    data = write(tmp_path / "labels.jsonl", labels(900))

    done = firsthop("calibrate", "--data", data, "--loss", "10%", "--per", "kept")

    assert done.code == 0, done.out
    assert "at most 10.0% of the drafts that are kept" in done.out


def test_status_works_on_an_empty_ledger(firsthop: Run, tmp_path: Path) -> None:
    done = firsthop("status")

    assert done.code == 0
    assert "labels   0 of " in done.out
    assert "assumed" in done.out
    assert "hours    unknown" in done.out
    assert "dollars  at most $" in done.out
    assert "file     none at confidence.json: every bar is uncertified" in done.out
    assert not (tmp_path / "ledger").exists()


def test_status_counts_feedback_and_looks_at_the_file(firsthop: Run, tmp_path: Path) -> None:
    from router import Router

    with Router(tmp_path / "firsthop.yaml") as router:
        for number in range(3):
            answer = router.ask(f"{number}: how much is 2 + 3?")
            router.feedback(answer.decision_id, good=True)
        router.ask("odd: how much is 2 + 3?")
    data = write(tmp_path / "labels.jsonl", labels(500))
    assert firsthop("calibrate", "--data", data, "--loss", "10%", "--valid-days", "1").code == 0

    done = firsthop("status")
    plain = json.loads(firsthop("status", "--json").out)

    assert "labels   3 of " in done.out
    assert "hours    about" in done.out
    assert "file     confidence.json: valid, of 500 labels, 0.0 days old" in done.out
    assert "promises: with 0.9 confidence, at most 10.0% of requests" in done.out
    assert plain["ahead"]["labels"] == 3
    assert plain["file"]["state"] == "valid"


def test_from_prompts_to_a_certified_answer(firsthop: Run, tmp_path: Path) -> None:
    lines = [f"{'odd' if n % 3 == 0 else 'even'} {n}: how much is 2 + 3?" for n in range(120)]
    (tmp_path / "prompts.txt").write_text("\n".join(lines))
    asked = ("ask", "even 999: how much is 2 + 3?", "--json")

    before = json.loads(firsthop(*asked).out)
    made = firsthop("calibrate", "--prompts", "prompts.txt", "--loss", "10%", "--yes")

    assert made.code == 0, made.out
    assert "not in force yet: firsthop.yaml has to say `confidence: confidence.json`" in made.out
    assert "with the tag `task`" not in made.out
    assert before["certified"] is False
    assert json.loads(firsthop(*asked).out)["certified"] is False

    (tmp_path / "firsthop.yaml").write_text(CONFIG + "confidence: confidence.json\n")
    status = firsthop("status", "--loss", "10%")
    assert "labels   120 of " in status.out
    assert "enough to try: firsthop calibrate --data confidence.work.jsonl" in status.out
    assert f"file     {tmp_path / 'confidence.json'}: valid, of 120 labels" in status.out
    assert json.loads(firsthop(*asked).out)["certified"] is True
    unsure = json.loads(firsthop("ask", "odd 999: how much is 2 + 3?", "--json").out)
    assert [hop["target"] for hop in unsure["hops"]] == ["device", "cloud"]
    doctor = firsthop("doctor", "--offline", "--json")
    (finding,) = (f for f in json.loads(doctor.out) if f["check"] == "confidence")
    assert finding["state"] == "ok"
    assert "loss at most 0.1 of all requests with confidence 0.9" in finding["says"]


def test_calibrate_and_status_look_where_the_config_says(firsthop: Run, tmp_path: Path) -> None:
    (tmp_path / "firsthop.yaml").write_text(CONFIG + "confidence: kept/mine.json\n")
    data = write(tmp_path / "labels.jsonl", labels(500))

    done = firsthop("calibrate", "--data", data, "--loss", "10%")

    assert done.code == 0, done.err
    assert "not in force yet" not in done.out
    assert (tmp_path / "kept" / "mine.json").exists()
    assert "mine.json: valid" in firsthop("status").out
    assert "file     none at other.json" in firsthop("status", "--file", "other.json").out


def test_status_refuses_a_file_of_another_model(firsthop: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labels(500))
    assert firsthop("calibrate", "--data", data, "--loss", "10%").code == 0
    config = tmp_path / "firsthop.yaml"
    config.write_text(CONFIG.replace("model: tiny", "model: other"))

    done = firsthop("status")

    assert "refused" in done.out
    assert "made for tiny (none); the device has other (none)" in done.out
    (tmp_path / "confidence.json").write_text("{")
    assert "is no calibration file" in firsthop("status").out
