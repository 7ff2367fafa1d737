"""`firsthop init` by flags: from nothing to a first escalated answer.

Every service is a stand-in on loopback. The key never shows, on the screen or in the config.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from support.clouds import TEXT, Cloud

from router import Router
from router.answer import Answer
from router.cli.doctor import Asking, examine

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


def firsthop(
    *words: str, cwd: Path, stdin: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *COMMAND, *words],
        input=stdin,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def ask(work: Path) -> Answer:
    with Router(work / "firsthop.yaml") as router:
        return router.ask("What is the capital of France?")


def device(local: Cloud) -> tuple[str, ...]:
    return ("--device", "ollama/llama3.2:3b", "--server", f"ollama={local.url}")


CLOUDS = [
    ("azure_ai", ("--price", "gpt-5.6-luna")),
    ("nvidia_nim", ("--price", "own-box")),
    ("openai_compatible", ("--usd-per-1m", "0.15/0.60")),
    ("github_models", ("--usd-per-1m", "0.15/0.60")),
    ("ollama", ("--usd-per-1m", "0.15/0.60")),
]


@pytest.mark.parametrize(("provider", "price"), CLOUDS, ids=[p for p, _ in CLOUDS])
def test_flags_lead_from_nothing_to_an_escalated_answer(
    provider: str, price: tuple[str, ...], work: Path, local: Cloud
) -> None:
    with Cloud(provider, key=KEY) as cloud:
        made = firsthop(
            "init", *device(local), "--provider", provider, "--endpoint", cloud.base_url,
            "--model", "a-model", "--key-stdin", *price, cwd=work, stdin=f"{KEY}\n",
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        assert len(cloud.prompts) == 1
        answer = ask(work)
        seen = examine(str(work / "firsthop.yaml"), None, Asking(words=True))

    assert [hop.cause for hop in answer.hops] == ["start", "escalation"]
    assert answer.text.strip() == TEXT
    assert answer.cost_usd is not None
    assert all(KEY not in path.read_text() for path in work.glob("*.yaml"))
    broken = {(f.what, f.check) for f in seen if f.state == "fail"}
    assert broken == ({("github", "life")} if provider == "github_models" else set())


def test_a_key_that_was_read_lies_in_a_file_of_its_owner_alone(work: Path, local: Cloud) -> None:
    with Cloud("nvidia_nim", key=KEY) as cloud:
        firsthop(
            "init", *device(local), "--provider", "nvidia_nim", "--endpoint", cloud.base_url,
            "--model", "a-model", "--key-file", "box.key", "--key-stdin", "--price", "own-box",
            cwd=work, stdin=KEY,
        )  # fmt: skip
    written = yaml.safe_load((work / "firsthop.yaml").read_text())

    path = Path(written["targets"]["nim"]["api_key"]["file"])
    assert path == work / "box.key"
    assert path.read_text().strip() == KEY
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


RING = """\
import json, os
from keyring.backend import KeyringBackend

PATH = os.environ["RING_FILE"]

class Ring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        if os.path.exists(PATH):
            return json.load(open(PATH)).get(service + "/" + username)

    def set_password(self, service, username, password):
        json.dump({service + "/" + username: password}, open(PATH, "w"))
"""


def test_a_key_may_lie_in_the_systems_keyring(work: Path, local: Cloud, tmp_path: Path) -> None:
    pytest.importorskip("keyring")
    (tmp_path / "a_ring.py").write_text(RING)
    environ = {
        "PYTHON_KEYRING_BACKEND": "a_ring.Ring",
        "RING_FILE": str(tmp_path / "ring.json"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
    }
    with Cloud("nvidia_nim", key=KEY) as cloud:
        made = firsthop(
            "init", *device(local), "--provider", "nvidia_nim", "--endpoint", cloud.base_url,
            "--model", "a-model", "--key-keyring", "firsthop/box", "--key-stdin",
            "--price", "own-box", cwd=work, stdin=KEY, environ=environ,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        asked = firsthop("ask", "--json", "hm?", cwd=work, environ=environ)
    written = yaml.safe_load((work / "firsthop.yaml").read_text())

    assert written["targets"]["nim"]["api_key"] == {
        "keyring": {"service": "firsthop", "user": "box"}
    }
    assert json.loads(asked.stdout)["hops"][-1]["target"] == "nim"


def test_a_key_in_a_variable_stays_there(work: Path, local: Cloud) -> None:
    with Cloud("azure_ai", key=KEY, served="gpt-5.6-luna-2026-08-01") as cloud:
        made = firsthop(
            "init", *device(local), "--provider", "azure_ai", "--endpoint", cloud.url,
            "--model", "a-model", "--key-env", "MY_KEY", cwd=work, environ={"MY_KEY": KEY},
        )  # fmt: skip
    written = yaml.safe_load((work / "firsthop.yaml").read_text())

    assert "that of gpt-5.6-luna" in made.stdout
    assert written["targets"]["azure"]["api_key"] == {"env": "MY_KEY"}
    assert written["targets"]["azure"]["price"] == "gpt-5.6-luna"


@pytest.mark.parametrize("kind", ["lmstudio", "foundry"])
def test_a_local_server_answers_first(kind: str, work: Path, tmp_path: Path) -> None:
    with Cloud(kind, logprob=-0.01) as server:
        where = ["--server", f"{kind}={server.url}"]
        environ = {}
        if kind == "foundry" and sys.platform != "win32":
            environ["PATH"] = f"{foundry_command(tmp_path, server.url)}:{os.environ['PATH']}"
            where = []
        made = firsthop(
            "init", "--device", f"{kind}/a-model", *where, "--provider", "none",
            cwd=work, environ=environ,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        answer = ask(work)
    written = yaml.safe_load((work / "firsthop.yaml").read_text())

    assert [hop.target for hop in answer.hops] == ["device"]
    assert written["targets"]["device"]["options"] == {"logprobs": True}


def foundry_command(folder: Path, url: str) -> Path:
    """A command `foundry` that says where the service is, as the real one words it."""
    path = folder / "bin" / "foundry"
    path.parent.mkdir()
    path.write_text(
        f"#!/bin/sh\necho 'Model management service is running on {url}/openai/status'\n"
    )
    path.chmod(0o755)
    return path.parent


def test_a_config_that_is_there_stays_unless_forced(work: Path, local: Cloud) -> None:
    (work / "firsthop.yaml").write_text("mine\n")
    words = ("init", *device(local), "--provider", "none")

    refused = firsthop(*words, cwd=work)
    assert (refused.returncode, (work / "firsthop.yaml").read_text()) == (2, "mine\n")
    assert "--force" in refused.stderr
    assert firsthop(*words, "--force", cwd=work).returncode == 0
    assert "llama3.2:3b" in (work / "firsthop.yaml").read_text()


def test_a_target_that_does_not_answer_leaves_nothing_behind(work: Path, local: Cloud) -> None:
    with Cloud("openai_compatible", key="another-key-0123456789") as cloud:
        made = firsthop(
            "init", *device(local), "--provider", "openai_compatible", "--endpoint",
            cloud.base_url, "--model", "a-model", "--key-file", "new.key", "--key-stdin",
            "--price", "own-box", cwd=work, stdin=KEY,
        )  # fmt: skip

    assert made.returncode == 1
    assert "Incorrect API key [secret] given" in made.stdout
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--provider: is needed"),
        (("--provider", "azure"), "did you mean 'azure_ai'?"),
        (("--provider", "azure_ai"), "--endpoint: is needed"),
        (("--provider", "nvidia_nim"), "--model: is needed"),
        (("--provider", "nvidia_nim", "--model", "m"), "where does the key lie?"),
        (("--provider", "nvidia_nim", "--model", "m", "--key-env", "NO_SUCH"), "holds no key now"),
        (("--provider", "nvidia_nim", "--model", "m", "--key-keyring", "x"), "SERVICE/USER"),
        (("--provider", "nvidia_nim", "--model", "m", "--key-env", KEY), "not its value"),
        (("--provider", "github_models", "--model", "m", "--no-key"), "was retired on 2026-07-30"),
        (("--provider", "openai_compatible", "--endpoint", "nowhere"), "http:// or https://"),
        (("--provider", "none", "--device", "none"), "neither a device nor a cloud"),
        (("--provider", "none", "--device", "phi-3.5-min"), "phi-3.5-mini"),
        (("--provider", "none", "--server", "olama=x"), "did you mean 'ollama'?"),
        (("--provider", "none", "--device", "lmstudio/m"), "LM Studio does not answer"),
    ],
)
def test_a_flag_that_is_wrong_or_missing_is_told(
    words: tuple[str, ...], says: str, work: Path
) -> None:
    away = () if any("olama" in w for w in words) else ("--server", "lmstudio=http://127.0.0.1:9")
    done = firsthop("init", *words, *away, cwd=work)

    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert list(work.iterdir()) == []


def test_without_a_call_a_config_for_later_is_written(work: Path, local: Cloud) -> None:
    made = firsthop(
        "init", *device(local), "--provider", "azure_ai", "--endpoint",
        "https://my-resource.openai.azure.com", "--model", "luna", "--price", "gpt-5.6-luna",
        "--key-env", "LATER_KEY", "--no-call", cwd=work,
    )  # fmt: skip

    assert made.returncode == 0, made.stderr
    assert "still to do: the environment variable LATER_KEY has to be set" in made.stdout
