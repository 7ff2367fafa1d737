"""What lies in `deploy/`, held against the tools that know each format, and our own config."""

from __future__ import annotations

import ast
import configparser
import plistlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.sidecar import CONFIG, serving
from typer.testing import CliRunner

from router import config
from router.cli.app import app

DEPLOY = Path(__file__).parents[2] / "deploy"
TOOLS = Path(sys.executable).parent


def run(tool: str, *args: str) -> str:
    done = subprocess.run(
        [TOOLS / tool, *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def manifests(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")))


def sidecar() -> Any:
    (found,) = manifests("app.yaml")
    return found["spec"]["template"]["spec"]["initContainers"][0]


def served_by(words: list[str]) -> None:
    """See that the command line knows what a unit would start."""
    asked = CliRunner().invoke(app, [*words, "--help"])
    assert asked.exit_code == 0, asked.output


def test_the_dockerfile_passes_hadolint() -> None:
    run("hadolint", str(DEPLOY / "docker" / "Dockerfile"))


@pytest.mark.parametrize("version", ["1.29", "1.33"])
@pytest.mark.parametrize("name", ["app.yaml", "config.yaml"])
def test_the_manifests_are_of_kubernetes_own_schemas(name: str, version: str) -> None:
    said = run("kubernetes-validate", "--strict", "-k", version, str(DEPLOY / "kubernetes" / name))
    assert said.count("passed for resource") == len(manifests(name))


def test_the_pods_sidecar_is_native_and_has_no_more_rights_than_it_needs() -> None:
    found = sidecar()

    assert found["restartPolicy"] == "Always"
    assert found["securityContext"]["readOnlyRootFilesystem"]
    assert found["securityContext"]["allowPrivilegeEscalation"] is False
    assert {"requests", "limits"} <= set(found["resources"])


def test_the_config_in_the_manifest_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, secret = manifests("config.yaml")
    for name, value in secret["stringData"].items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "firsthop.yaml"
    path.write_text(written["data"]["firsthop.yaml"], encoding="utf-8")

    assert {bound.target.name for bound in config.load(path).targets} == {"device", "cloud"}


def test_the_pods_probes_tell_a_server_that_answers_from_none(tmp_path: Path) -> None:
    codes = {
        name: sidecar()[name]["exec"]["command"][-1]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    for code in codes.values():
        ast.parse(code)
    with serving(tmp_path, config=CONFIG) as server:
        for name, code in codes.items():
            here = code.replace("8787", str(server.port))
            assert here != code
            done = subprocess.run([sys.executable, "-I", "-c", here], timeout=30, check=False)
            assert done.returncode == 0, name
    done = subprocess.run(
        [sys.executable, "-I", "-c", here], timeout=30, stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode != 0


def test_the_systemd_unit_is_one_and_starts_what_there_is() -> None:
    path = DEPLOY / "systemd" / "firsthop.service"
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text(encoding="utf-8"))
    command, *words = unit["Service"]["ExecStart"].split()

    assert command == "%h/.local/bin/firsthop"
    served_by(words)
    grace = int(words[words.index("--grace") + 1])
    assert int(unit["Service"]["TimeoutStopSec"]) > grace
    if tool := shutil.which("systemd-analyze"):  # where there is systemd, by its own word too
        said = subprocess.run(
            [tool, "verify", "--user", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"XDG_RUNTIME_DIR": "/tmp"},
        ).stderr
        about = [line for line in said.splitlines() if path.name in line]
        assert all("not executable: No such file" in line for line in about), said


def test_the_launchd_plist_is_one_and_starts_what_there_is() -> None:
    found = plistlib.loads((DEPLOY / "launchd" / "firsthop.sidecar.plist").read_bytes())
    _, *words = found["ProgramArguments"]

    served_by(words)
    assert found["ExitTimeOut"] > int(words[words.index("--grace") + 1])


def test_the_image_starts_what_there_is() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    said = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if " " in line}

    assert said["USER"] != "root"
    served_by(ast.literal_eval(said["CMD"]))
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (DEPLOY.parent / name).exists(), name


def test_the_image_is_built_from_all_that_the_wheel_is_made_of() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["only-include"],
        *wheel["force-include"],
        *project["project"]["license-files"],
        project["project"]["readme"],
    }
    lines = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }

    assert needed <= copied
