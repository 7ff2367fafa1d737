"""`firsthop policy`, `explain`, `signals` as people call them: what is said, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from router.cli.app import main
from router.document import read_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(p for p in (ROOT / "policies").glob("*.yaml") if ".test." not in p.name)

TWO = """\
policy: two
summary: s
tiers: [device, cloud-fast]
guards:
  - id: home
    when: {request.label: {is: secret}}
    forbid: [cloud-fast]
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: BAR}}
MORE"""
CASES = """\
cases:
  - name: an unsure draft goes on
    drafts: {device: {draft.mean_logprob: -2.0}, cloud-fast: {draft.finish: stop}}
    expect: {path: [device, cloud-fast], answer: cloud-fast}
  - name: a sure one is kept
    drafts: {device: {draft.mean_logprob: -0.1}}
    expect: {path: [device], answer: device}
  - name: a secret stays
    given: {request.label: secret}
    drafts: {device: {draft.mean_logprob: -2.0}}
    expect: {path: [device], answer: device, flags: [uncertain]}
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def firsthop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process; a process of its own for each would cost half a second."""

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["firsthop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return run


def two(folder: Path, bar: float = -0.5, more: str = "", name: str = "two") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(TWO.replace("BAR", str(bar)).replace("MORE", more))
    return path


# check


def test_every_shipped_policy_is_good(firsthop: Run) -> None:
    done = firsthop("policy", "check", *SHIPPED)

    assert (done.code, done.err) == (0, "")
    for path in SHIPPED:
        assert f"{path.stem}@" in done.out


def test_a_shipped_policy_can_be_meant_by_its_name_and_cases_are_checked_too(firsthop: Run) -> None:
    assert firsthop("policy", "check", "balanced").code == 0
    done = firsthop("policy", "check", ROOT / "policies" / "balanced.test.yaml")

    assert "cases of balanced" in done.out


def test_a_bad_file_among_good_ones_is_named_and_the_others_are_checked(
    firsthop: Run, tmp_path: Path
) -> None:
    good = two(tmp_path)
    bad = two(tmp_path, more="limits: {hop: 3}\n", name="bad")
    done = firsthop("policy", "check", "-c", "scripted", bad, good)

    assert done.code == 2
    assert done.err == f"{bad}:12:10: limits.hop: unknown field (did you mean 'hops'?)\n"
    assert done.out.splitlines()[0].startswith("two@")


def test_what_a_router_would_refuse_to_start_with_is_said(firsthop: Run, tmp_path: Path) -> None:
    config = tmp_path / "firsthop.yaml"
    config.write_text(
        "version: 1\npolicy: two\ntargets:\n"
        "  device: {tier: device, provider: scripted, model: m, "
        "options: {steps: [{text: x}]}}\n"
        "  cloud: {tier: cloud-fast, provider: openai_compatible, model: nobody-knows, "
        'base_url: "http://127.0.0.1:9/v1"}\n'
    )
    dear = two(tmp_path, more='limits: {cost_usd: "0.01"}\n')
    done = firsthop("policy", "check", "-c", config, dear)

    assert "limits.cost_usd: can't be kept: no price is known for cloud" in done.out
    assert firsthop("ask", "-c", config, "-p", dear, "hm?").code == 2
    allowed = config.read_text().replace("model: nobody-knows", "unknown_price: allow, model: m")
    config.write_text(allowed)
    assert "no price is known" not in firsthop("policy", "check", "-c", config, dear).out
    words = ("explain", "-c", config, "-p", dear, "hm?", "--dry")
    dry = firsthop(*words, "--draft", "device:draft.mean_logprob=-0.9")
    assert " cloud-fast would be asked" in dry.out.splitlines()[-1]


def test_cases_that_fail_are_said(firsthop: Run, tmp_path: Path) -> None:
    path = two(tmp_path, bar=-3.0)
    path.with_suffix(".test.yaml").write_text(CASES)
    done = firsthop("policy", "check", "-c", "scripted", path)

    assert (done.code, done.err) == (0, "")
    assert "2 cases beside it fail (see: firsthop policy test" in done.out


def test_what_is_odd_is_said_and_is_an_error_for_the_strict(firsthop: Run, tmp_path: Path) -> None:
    odd = two(tmp_path, bar=0.5)
    done = firsthop("policy", "check", "-c", "scripted", odd)

    assert done.code == 0
    assert f"{odd}:11:" in done.out
    assert "; 1 warning\n" in done.out
    assert firsthop("policy", "check", "-c", "scripted", "--strict", odd).code == 1
    assert firsthop("policy", "check", "-c", "scripted", "--strict", two(tmp_path)).code == 0


def test_tiers_and_signals_are_held_against_the_targets_of_the_config(
    firsthop: Run, tmp_path: Path
) -> None:
    cloud = tmp_path / "firsthop.yaml"
    cloud.write_text(
        "version: 1\npolicy: balanced\ntargets:\n  c:\n    tier: device\n"
        "    provider: openai_compatible\n    model: m\n    base_url: http://127.0.0.1:9/v1\n"
    )
    done = firsthop("policy", "check", "-c", cloud, two(tmp_path))

    assert "cloud-fast" in done.out
    assert "draft.mean_logprob" in done.out
    assert f"(targets as in {cloud})" in done.out
    shown = cloud.read_text() + "    options: {logprobs: true}\n"
    cloud.write_text(shown)
    assert "draft.mean_logprob" not in firsthop("policy", "check", "-c", cloud, two(tmp_path)).out


def test_a_config_that_is_wrong_stops_the_check_only_when_it_was_named(
    firsthop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firsthop.yaml").write_text("version: 2\n")
    monkeypatch.chdir(tmp_path)
    done = firsthop("policy", "check", two(tmp_path))

    assert done.code == 0
    assert "not held against a config: firsthop.yaml" in done.err
    assert firsthop("policy", "check", "-c", "firsthop.yaml", two(tmp_path)).code == 2


def test_check_speaks_json(firsthop: Run, tmp_path: Path) -> None:
    odd, bad = two(tmp_path, bar=0.5), two(tmp_path, more="x: 1\n", name="bad")
    done = firsthop("policy", "check", "--json", "-c", "scripted", odd, bad)
    first, second = json.loads(done.out)

    assert done.code == 2
    assert first["warnings"][0]["line"] == 11
    assert first["error"] is None
    assert (second["policy"], second["error"]["field"], second["error"]["line"]) == (None, "x", 12)


# test


def test_every_rule_of_every_shipped_policy_is_seen_both_ways(firsthop: Run) -> None:
    done = firsthop("policy", "test", *SHIPPED)

    assert done.code == 0, done.out
    assert "never" not in done.out


def test_cases_that_come_out_as_expected(firsthop: Run, tmp_path: Path) -> None:
    path = two(tmp_path)
    path.with_name("two.test.yaml").write_text(CASES)
    done = firsthop("policy", "test", path)

    assert done.code == 0
    assert ": 3 cases, all as expected" in done.out
    assert done.out.splitlines()[-2:] == [
        "guard   home       1           2",
        "accept  sure       1           2",
    ]
    by_cases = firsthop("policy", "test", path.with_name("two.test.yaml"), path)
    assert by_cases.out == done.out, "one policy, however often it is meant"


def test_a_case_that_comes_out_otherwise_shows_why(firsthop: Run, tmp_path: Path) -> None:
    path = two(tmp_path, bar=-3.0)
    path.with_name("two.test.yaml").write_text(CASES)
    done = firsthop("policy", "test", path)

    assert done.code == 1
    assert "FAILED an unsure draft goes on (line 2)" in done.out
    assert "path     [device]\n  expected [device, cloud-fast]" in done.out
    assert "draft.mean_logprob -2 >= -3" in done.out


def test_a_case_that_comes_out_otherwise_in_two_ways_is_told_once(
    firsthop: Run, tmp_path: Path
) -> None:
    path = two(tmp_path, bar=-3.0)
    path.with_name("two.test.yaml").write_text(CASES)
    done = firsthop("policy", "test", path)

    assert ": 3 cases, 2 failed" in done.out
    assert done.out.count("FAILED") == 2
    assert "  answer   device\n  expected cloud-fast\n   guard  home" in done.out
    found = json.loads(firsthop("policy", "test", "--json", path).out)
    assert [failure["field"] for failure in found[0]["failures"]] == ["path", "answer", "flags"]


def test_a_rule_that_no_case_touches_is_a_failure(firsthop: Run, tmp_path: Path) -> None:
    path = two(tmp_path)
    path.with_name("two.test.yaml").write_text(CASES.partition("  - name: a secret")[0])
    done = firsthop("policy", "test", path)

    assert done.code == 1
    assert "guard home was never seen forbidding" in done.out
    found = json.loads(firsthop("policy", "test", "--json", path).out)
    assert found[0]["ok"] is False
    assert found[0]["uncovered"] == ["guard home was never seen forbidding"]
    assert found[0]["coverage"][0] == {"kind": "guard", "id": "home", "firing": 0, "not_firing": 2}


def test_a_policy_without_cases_says_what_to_write(firsthop: Run, tmp_path: Path) -> None:
    done = firsthop("policy", "test", two(tmp_path))

    assert done.code == 2
    assert "no cases beside it (write two.test.yaml)" in done.err


# diff


def asked(firsthop: Run, policy: Path, *questions: str) -> None:
    for question in questions:
        assert firsthop("ask", "-c", "scripted", "-p", policy, question).code == 0


def test_diff_says_which_recorded_requests_go_elsewhere(firsthop: Run, tmp_path: Path) -> None:
    """The script's first draft has -0.05, its second -1.4."""
    strict, loose = two(tmp_path), two(tmp_path, bar=-2.0, name="loose")
    asked(firsthop, strict, "the capital of France?", "hm?", "what?")
    done = firsthop("policy", "diff", "-c", "scripted", strict, loose)

    assert (done.code, done.err) == (0, "")
    assert "3 requests: 1 go the same way, 2 go elsewhere, 0 can't be told" in done.out
    assert "       2  device > cloud-fast  device      $0\n" in done.out
    assert "\nfrom device > cloud-fast to device:\n  for example " in done.out
    found = json.loads(firsthop("policy", "diff", "-c", "scripted", "--json", strict, loose).out)
    (move,) = found["moves"]
    assert (move["requests"], move["b"]["path"], len(move["examples"])) == (2, ["device"], 2)
    assert found["b"]["usd"] == {"usd": "0", "estimated_hops": 0, "unknown_requests": 0}


def test_diff_names_signals_that_were_not_recorded(firsthop: Run, tmp_path: Path) -> None:
    plain = two(tmp_path)
    routed = two(
        tmp_path,
        more="route: [{id: r, when: {prompt.turns: {gt: 4}}, start: cloud-fast}]\n",
        name="routed",
    )
    everything = two(tmp_path, more="record_signals: all\n", name="everything")
    asked(firsthop, plain, "hm?")
    told = firsthop("policy", "diff", "-c", "scripted", plain, routed).out
    assert "signal not recorded: prompt.turns" in told
    assert "`record_signals: all`" in told

    asked(firsthop, everything, "hm?")
    found = json.loads(firsthop("policy", "diff", "-c", "scripted", "--json", plain, routed).out)
    assert (found["same"], found["undecidable"]) == (1, 1)
    assert found["signals_not_recorded"] == {"prompt.turns": 1}


def test_diff_says_which_limits_it_can_not_hold(firsthop: Run, tmp_path: Path) -> None:
    capped = two(tmp_path, more='limits: {cost_usd: "1"}\n', name="capped")
    asked(firsthop, two(tmp_path), "hm?")

    done = firsthop("policy", "diff", "-c", "scripted", two(tmp_path), capped)
    assert "two: limits.cost_usd is not held here" in done.out


def test_diff_needs_a_ledger_that_is_there(firsthop: Run, tmp_path: Path) -> None:
    done = firsthop("policy", "diff", "--ledger", tmp_path / "none", two(tmp_path), two(tmp_path))

    assert done.code == 1
    assert "there is no ledger in" in done.err
    assert not (tmp_path / "none").exists()


# schema


def test_the_schema_that_is_printed_takes_every_shipped_policy(firsthop: Run) -> None:
    schema = json.loads(firsthop("policy", "schema").out)
    cases = json.loads(firsthop("policy", "schema", "--cases").out)
    for path in SHIPPED:
        jsonschema.validate(read_yaml(path).data, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"policy": "p", "summary": "s", "tiers": ["a"], "acept": []}, schema)
    assert schema != cases


def test_a_written_schema_comes_with_the_line_that_an_editor_reads(
    firsthop: Run, tmp_path: Path
) -> None:
    out = tmp_path / "policy.schema.json"
    done = firsthop("policy", "schema", "-o", out)

    assert json.loads(out.read_text(encoding="utf-8"))["title"]
    assert done.out.splitlines()[-1] == "# yaml-language-server: $schema=policy.schema.json"


def test_a_schema_that_can_not_be_written_is_told_with_its_option(
    firsthop: Run, tmp_path: Path
) -> None:
    out = tmp_path / "nowhere" / "policy.schema.json"
    done = firsthop("policy", "schema", "-o", out)

    assert done.code == 2
    assert done.err.startswith(f"firsthop: --out: {out} can't be written: ")


# explain


def test_explain_shows_what_would_have_changed_each_decision(firsthop: Run, tmp_path: Path) -> None:
    done = firsthop("explain", "-c", "scripted", "-p", two(tmp_path), "hm?")
    lines = done.out.splitlines()

    assert done.code == 0
    assert lines[0].startswith("policy two@")
    where = next(i for i, line in enumerate(lines) if line.startswith(" accept sure"))
    assert "draft.mean_logprob -1.4 >= -0.5" in lines[where]
    assert lines[where + 1] == "        (kept had draft.mean_logprob been -0.5)"
    assert "        because sure does not hold" in lines
    assert "        (cloud-fast forbidden had request.label been secret)" in lines
    assert lines[-1] == "A scripted answer that stands for a cloud's."


def test_a_draft_that_was_only_flagged_is_not_said_to_be_kept_by_another_value(
    firsthop: Run, tmp_path: Path
) -> None:
    """A secret's draft is the answer however unsure it is; what changes is the flag."""
    words = ("explain", "-c", "scripted", "-p", two(tmp_path), "hm?", "--label", "secret")
    done = firsthop(*words)

    assert done.out.splitlines()[-1] == "I think it may be something like that."
    assert "        (not flagged had draft.mean_logprob been -0.5)" in done.out.splitlines()
    found = json.loads(firsthop(*words, "--json").out)
    assert [flip["would"] for flip in found["counterfactuals"]][-1] == "not flagged"


def test_explain_speaks_json(firsthop: Run, tmp_path: Path) -> None:
    done = firsthop("explain", "-c", "scripted", "-p", two(tmp_path), "hm?", "--json")
    found = json.loads(done.out)

    assert found["text"] == "A scripted answer that stands for a cloud's."
    assert {
        "decision": "the draft of device",
        "signal": "draft.mean_logprob",
        "now": -1.4,
        "value": -0.5,
        "would": "kept",
    } in found["counterfactuals"]


def test_explain_shows_the_trace_of_a_request_that_was_forbidden(
    firsthop: Run, tmp_path: Path
) -> None:
    shut = two(tmp_path)
    shut.write_text(shut.read_text().replace("forbid: [cloud-fast]", "forbid: request"))
    done = firsthop("explain", "-c", "scripted", "-p", shut, "hm?", "--label", "secret")

    assert done.code == 3
    assert " guard  home                     yes" in done.out
    assert "home" in done.err


def test_a_dry_run_asks_nobody_and_says_so(firsthop: Run, tmp_path: Path) -> None:
    words = ("explain", "-c", "scripted", "-p", two(tmp_path), "hm?", "--dry")
    open_end = firsthop(*words)
    assert "dry run: no model is asked" in open_end.out
    assert " device would be asked" in open_end.out.splitlines()[-1]

    sent_on = firsthop(*words, "--draft", "device:draft.mean_logprob=-0.9")
    assert "(kept had draft.mean_logprob been -0.5)" in sent_on.out
    assert " cloud-fast would be asked" in sent_on.out.splitlines()[-1]

    kept = firsthop(*words, "--draft", "device:draft.mean_logprob=-0.4", "--json")
    found = json.loads(kept.out)
    assert (found["simulated"], found["status"], found["answer"]) == (True, "answered", "device")
    assert json.loads(firsthop("ledger", "-c", "scripted", "--json").out) == []


def test_a_dry_run_reads_the_text_and_takes_what_it_is_given(firsthop: Run, tmp_path: Path) -> None:
    rules = (
        "route:\n  - {id: long, when: {prompt.turns: {gt: 1}}, start: cloud-fast}\n"
        "  - {id: full, when: {prompt.tokens: {gt: 100}}, start: cloud-fast}\n"
    )
    words = ("explain", "-c", "scripted", "-p", two(tmp_path, more=rules), "hm?", "--dry")

    assert "prompt.turns 1 > 1" in firsthop(*words).out
    assert "prompt.turns 2 > 1   -> starts at cloud-fast" in firsthop(*words, "--system", "s").out
    assert "prompt.tokens 101 > 100" in firsthop(*words, "--given", "prompt.tokens=101").out
    assert "unknown  prompt.tokens at most 400 > 100" in (
        firsthop(*words, "--given", "prompt.tokens=<=400").out
    )
    assert "prompt.tokens unknown > 100" in (
        firsthop(*words, "--given", "prompt.tokens=unknown").out
    )
    assert "not be" not in firsthop(*words, "--label", "secret").err


def test_a_dry_runs_drafts_take_time_and_money_and_may_fail(firsthop: Run, tmp_path: Path) -> None:
    path = two(tmp_path, more="limits: {deadline_s: 5, at_limit: refuse}\n")
    words = ("explain", "-c", "scripted", "-p", path, "hm?", "--dry")
    slow = ("--draft", "device:seconds=6", "--draft", "device:draft.mean_logprob=-2")
    fails = ("--draft", "device:fails=unavailable", "--draft", "cloud-fast:usd=0.002")

    assert "would end as limit reached" in firsthop(*words, *slow).out
    assert "answered by cloud-fast after device > cloud-fast" in firsthop(*words, *fails).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--draft", "device:usd=much"), "no amount of dollars"),
        (("--given", "prompt.tokns=3"), "did you mean 'prompt.tokens'?"),
        (("--given", "prompt.tokens"), "write SIGNAL=VALUE"),
        (("--given", "prompt.tokens=many"), "has to be a number"),
        (("--given", "draft.tokens=3"), "write it under drafts"),
        (("--draft", "devise:draft.tokens=3"), "did you mean 'device'?"),
        (("--draft", "draft.tokens=3"), "write TIER:SIGNAL=VALUE"),
        (("--draft", "device:draft.tokns=3"), "did you mean 'draft.tokens'?"),
        (("--draft", "device:fails=unavailble"), "did you mean 'unavailable'?"),
    ],
)
def test_what_a_dry_run_is_given_wrong_is_named(
    firsthop: Run, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    done = firsthop("explain", "-c", "scripted", "-p", two(tmp_path), "hm?", "--dry", *words)

    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_a_real_run_takes_no_made_up_signals(firsthop: Run) -> None:
    done = firsthop("explain", "-c", "scripted", "hm?", "--given", "prompt.tokens=3")

    assert done.code == 2
    assert "--given" in done.err


def test_the_signals_of_a_request_are_in_its_page_of_the_ledger(
    firsthop: Run, tmp_path: Path
) -> None:
    asked(firsthop, two(tmp_path), "hm?")
    (row,) = json.loads(firsthop("ledger", "-c", "scripted", "--json").out)
    shown = firsthop("ledger", "show", "-c", "scripted", row["decision_id"]).out

    assert "request\n  request.label = public\n" in shown


def test_signals_are_listed_and_explained(firsthop: Run) -> None:
    assert "prompt.tokens" in firsthop("signals").out
    assert firsthop("signals", "prompt.tokns").code == 2
