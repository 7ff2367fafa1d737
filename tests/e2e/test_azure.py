"""Azure over a real socket, from the config file to the answer: tokens, filters, and the doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract.calls import FORMS
from contract.replay import WIRE, Replay, load
from support.loops import in_loop

from router import AsyncRouter, ContentFiltered

POLICY = """\
policy: ladder
summary: The device, else the cloud, else the strong one.
tiers: [device, cloud, strong]
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
on_filtered: RULE
"""
PLAIN = load(WIRE / "common" / "plain.http")
PROMPT = load(WIRE / "azure_ai" / "400_filtered.http")
ANSWER = load(WIRE / "azure_ai" / "filtered_answer.http")
NOTHING = load(WIRE / "azure_ai" / "filtered_whole_answer.http")


def config(folder: Path, rule: str, url: str, transport: str, options: dict[str, Any]) -> Path:
    (folder / "ladder.yaml").write_text(POLICY.replace("RULE", rule))
    azure = {
        "provider": "azure_ai",
        "model": "my-deployment",
        "transport": transport,
        "options": options,
    }
    if options.get("auth") != "entra":
        azure["api_key"] = {"env": "A_KEY"}
    targets = {
        "small": {
            "tier": "device",
            "provider": "scripted",
            "model": "m",
            "options": {"steps": [{"text": "A weak draft.", "mean_logprob": -2.0}]},
        },
        "cloud": {**azure, "tier": "cloud", "base_url": f"{url}/one"},
        "strong": {**azure, "tier": "strong", "base_url": f"{url}/two"},
    }
    path = folder / "firsthop.yaml"
    written = {
        "version": 1,
        "policy": "./ladder.yaml",
        "ledger": {"folder": "./ledger"},
        "targets": targets,
    }
    path.write_text(json.dumps(written, indent=2))
    return path


STOPS = {"prompt": PROMPT, "answer": ANSWER, "all": NOTHING}
RULES = {"next": 2, "draft": 1, "refuse": 1}
FORM_OPTIONS: dict[str, dict[str, Any]] = {
    "v1": {},
    **{
        name.partition(":")[2]: {k: v for k, v in options.items() if k != "deployment"}
        for name, options in FORMS.items()
    },
}
WAYS = [
    *((stop, rule, "lean", "v1") for stop in STOPS for rule in RULES),
    *(("answer", "draft", way, form) for way in ("lean", "sdk") for form in FORM_OPTIONS),
]


@pytest.mark.parametrize(("stop", "rule", "transport", "form"), WAYS)
@in_loop
async def test_the_policy_branches_on_a_filter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: str,
    rule: str,
    transport: str,
    form: str,
) -> None:
    monkeypatch.setenv("A_KEY", "a-key-0123456789")
    async with Replay([STOPS[stop], PLAIN]) as replay:
        path = config(tmp_path, rule, replay.url(""), transport, FORM_OPTIONS[form])
        async with AsyncRouter(config=path) as router:
            if rule == "refuse":
                with pytest.raises(ContentFiltered) as caught:
                    await router.ask("What is it?")
                outcome = caught.value.outcome
            else:
                answer = await router.ask("What is it?")
                outcome = answer.outcome
                assert answer.text == ("Hello, you." if rule == "next" else "A weak draft.")

    assert len(replay.sent) == RULES[rule]
    assert outcome is not None
    assert "filtered (" in outcome.hops[1].left
    assert "violence" in outcome.hops[1].left or "sexual" in outcome.hops[1].left
    assert (
        outcome.flags
        == {
            "next": (),
            "draft": ("uncertain", "filtered"),
            "refuse": ("filtered",),
        }[rule]
    )


@pytest.mark.parametrize("transport", ["lean", "sdk"])
@in_loop
async def test_what_was_shown_before_the_filter_cut_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("A_KEY", "a-key-0123456789")
    async with Replay([PROMPT, ANSWER]) as replay:
        path = config(tmp_path, "next", replay.url(""), transport, {})
        async with AsyncRouter(config=path) as router:
            async with router.stream("What is it?") as stream:
                pieces = [piece async for piece in stream]
            answer = stream.answer

    assert "".join(pieces) == answer.text == "Hello"
    assert answer.finish == "content_filter"
    assert answer.flags == ("uncertain", "filtered")
    assert len(replay.sent) == 2


def test_the_doctor_asks_for_no_key_where_tokens_are_used(tmp_path: Path) -> None:
    def states(options: dict[str, Any]) -> dict[str, str]:
        path = config(tmp_path, "next", "http://127.0.0.1:9", "lean", options)
        command = [sys.executable, "-m", "router", "doctor", "--config", str(path), "--json"]
        done = subprocess.run([*command, "--offline"], capture_output=True, text=True, check=False)
        return {f["check"]: f["state"] for f in json.loads(done.stdout) if f["what"] == "cloud"}

    found = states({"auth": "entra"})
    assert (found["key"], found["reachable"]) == ("ok", "ok")
    assert "fail" not in found.values()
    assert states({}) == {}  # a config that names a key which is not there does not load
