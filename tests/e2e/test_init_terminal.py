"""`firsthop init` in a terminal, driven as a person does: from nothing to an escalated answer."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.clouds import Cloud
from support.hub import LoopbackHub, tiny_repo
from support.terminal import Terminal

from router import Router

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")

KEY = "init-canary-0123456789abcdef"
COMMAND = ["-m", "firsthop"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working folder with nothing in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def local() -> Iterator[Cloud]:
    """An Ollama on this machine whose drafts are never sure."""
    with Cloud("ollama", models=("llama3.2:3b", "gpt-oss:120b-cloud"), logprob=-3.0) as cloud:
        yield cloud


def test_a_person_at_a_terminal_gets_a_config_and_an_escalated_answer(
    work: Path, local: Cloud, tmp_path: Path
) -> None:
    away = "http://127.0.0.1:9"
    words = [*COMMAND, "init", "--server", f"ollama={local.url}", "--server", f"lmstudio={away}"]
    with Cloud("azure_ai", key=KEY, models=("ours",), served="gpt-5.6-luna") as cloud:
        with Terminal([*words, "--server", f"foundry={away}"], work, os.environ) as person:
            person.until("What answers first")
            person.until("Number [1]:")
            number = re.search(r"(\d+)  ollama/llama3.2:3b", person.screen)
            assert number is not None
            assert "gpt-oss" not in person.screen  # it runs in Ollama's cloud
            person.type(number[1])
            person.until("Who goes on")
            person.until("Number [1]:")
            person.type("")
            person.until("Address:")
            person.type("my-resource")
            person.until("http:// or https://")
            person.until("Address:")
            person.type(cloud.url)
            person.until("Deployment")
            person.type("ours")
            person.until("Where is its key?")
            person.until("Number [2]:")
            person.type("1")
            person.until("Variable [AZURE_AI_KEY]:")
            person.type("")
            person.until("it is not set here")
            person.until("Number [2]:")
            person.type("2")
            person.until("Key (not shown):")
            person.type("schlüssel")
            person.until("the key holds a space")
            person.until("Key (not shown):")
            person.type("not-the-key-9876543210")
            person.until("[secret] given")
            person.until("What now?")
            person.type("1")
            for prompt in ("Number [1]:", "Address", "Deployment"):
                person.until(prompt)
                person.type("")
            person.until("Number [2]:")
            person.type("2")
            person.until("Key (not shown):")
            person.type(KEY)
            person.until("written: firsthop.yaml")
            code = person.end()
        with Router(work / "firsthop.yaml") as router:
            answer = router.ask("What is the capital of France?")

    assert code == 0
    assert KEY not in person.screen
    assert "not-the-key" not in person.screen
    assert [hop.target for hop in answer.hops] == ["device", "azure"]


def test_the_devices_model_is_offered_with_its_size_and_fetched(work: Path, tmp_path: Path) -> None:
    with LoopbackHub(tiny_repo(5_000_000), repo="microsoft/Phi-3.5-mini-instruct-onnx") as hub:
        environ = {
            **os.environ,
            "FIRSTHOP_MODELS": str(tmp_path / "models"),
            "HF_ENDPOINT": hub.endpoint,
        }
        away = "http://127.0.0.1:9"
        words = [*COMMAND, "init", "--provider", "none"]
        for kind in ("ollama", "lmstudio", "foundry"):
            words += ["--server", f"{kind}={away}"]
        with Terminal(words, work, environ) as person:
            person.until("1  phi-3.5-mini")
            person.until("Number [1]:")
            person.type("1")
            person.until("Fetch it now (5 MB)? [Y/n]:")
            person.type("")
            person.until("written: firsthop.yaml")
            code = person.end()

    assert code == 0
    assert "still to do" not in person.screen
    assert list((tmp_path / "models" / "phi-3.5-mini").glob("*/tiny.onnx"))
    assert yaml.safe_load((work / "firsthop.yaml").read_text())["policy"] == "device-only"


def test_ctrl_c_leaves_nothing_behind(work: Path) -> None:
    with Terminal([*COMMAND, "init", "--device", "none"], work, os.environ) as person:
        person.until("Number [1]:")
        person.type("3")
        person.until("Address:")
        person.interrupt()
        code = person.end()

    assert code == 130
    assert "Traceback" not in person.screen
    assert list(work.iterdir()) == []
