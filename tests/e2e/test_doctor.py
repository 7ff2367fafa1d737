"""`firsthop doctor` against loopback stand-ins: each thing that can be wrong, and what it says."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.clouds import Cloud

from router.cli.doctor import Asking, Finding, examine
from router.clock import ManualClock

KEY = "doctors-canary-0123456789"
BOX = "openai_compatible/own-box@2024-01-01"
NOW = datetime.datetime.now(datetime.UTC).date()
NOV_22 = 1_795_348_800.0  # 2026-11-22, 12:00 UTC


def config(folder: Path, cloud: Cloud, **more: str) -> Path:
    """A config with one cloud; its key lies in a file."""
    path, key = folder / "firsthop.yaml", folder / "cloud.key"
    key.write_text(more.pop("key", KEY), encoding="utf-8")
    key.chmod(0o600)
    fields = {
        "tier": "cloud-fast",
        "provider": cloud.kind,
        "base_url": cloud.base_url,
        "model": "a-model",
        "api_key": "{file: cloud.key}",
        "price": f'"{BOX}"',
        **more,
    }
    lines = [f"    {name}: {value}" for name, value in fields.items() if value]
    head = "version: 1\npolicy: cloud-only\nledger: {folder: ledger}\ntargets:\n  cloud:\n"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def looked(path: Path, **asking: bool) -> dict[str, Finding]:
    """Findings about the cloud, by check."""
    found = examine(str(path), None, Asking(**asking))
    assert KEY not in repr(found)
    return {f.check: f for f in found if f.what == "cloud"}


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {check: finding.state for check, finding in found.items()}


@pytest.mark.parametrize(
    "kind", ["azure_ai", "nvidia_nim", "openai_compatible", "github_models", "ollama"]
)
def test_all_is_well(kind: str, tmp_path: Path) -> None:
    with Cloud(kind, key=KEY) as cloud:
        found = looked(config(tmp_path, cloud))
        called = looked(config(tmp_path, cloud), words=True)

    wanted = {"key": "ok", "reachable": "ok", "authorised": "ok", "model": "ok", "price": "ok"}
    if kind == "azure_ai":  # its list has models, not deployments
        wanted["model"] = "unknown"
    if kind == "github_models":
        wanted["life"] = "fail"
    assert states(found) == wanted
    assert called["call"].state == "ok"
    assert "unknown" not in states(called).values()
    assert len(cloud.prompts) == 1


def test_a_key_that_is_refused(tmp_path: Path) -> None:
    with Cloud("openai_compatible", key="another-key-0123456789") as cloud:
        found = looked(config(tmp_path, cloud))

    assert states(found) == {"key": "ok", "reachable": "ok", "authorised": "fail", "price": "ok"}
    assert "Incorrect API key [secret] given" in found["authorised"].says
    assert "cloud.key" in (found["authorised"].do or "")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with Cloud("azure_ai", key=KEY) as cloud:
        found = looked(config(tmp_path, cloud, api_key=""))

    assert found["key"].state == "fail"
    assert "AZURE_AI_KEY" in found["key"].says
    assert "authorised" not in found
    assert all("authorization" not in line.lower() for line in cloud.asked)


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
def test_a_key_that_no_header_can_carry_is_no_question_of_the_service(
    kind: str, tmp_path: Path
) -> None:
    with Cloud(kind, key=KEY) as cloud:
        found = looked(config(tmp_path, cloud, key=f"{KEY}é"))

    assert found["key"].state == "fail"
    assert "a header can't carry" in found["key"].says
    assert "authorised" not in found
    assert {f.state for check, f in found.items() if check != "key"} == {"ok"}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_key_file_that_everybody_may_read(tmp_path: Path) -> None:
    with Cloud("openai_compatible", key=KEY) as cloud:
        path = config(tmp_path, cloud)
        (tmp_path / "cloud.key").chmod(0o644)
        found = [f for f in examine(str(path), None, Asking(services=False)) if f.check == "key"]

    assert [f.state for f in found] == ["ok", "warn"]
    assert found[1].do == f"chmod 600 {tmp_path / 'cloud.key'}"
    assert cloud.asked == []


def test_a_list_that_anybody_may_see_says_nothing_of_the_key(tmp_path: Path) -> None:
    with Cloud("nvidia_nim", key="another-key-0123456789", open_list=True) as cloud:
        found = looked(config(tmp_path, cloud))
        called = looked(config(tmp_path, cloud), words=True)

    assert found["authorised"].state == "unknown"
    assert "--call" in (found["authorised"].do or "")
    assert called["call"].state == "fail"


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    for kind, do in (("openai_compatible", "a-model"), ("ollama", "ollama pull no-model")):
        with Cloud(kind, key=KEY) as cloud:
            found = looked(config(tmp_path, cloud, model="no-model"))
        assert found["model"].state == "fail"
        assert do in (found["model"].do or "")


def test_a_deployment_that_is_not_there_shows_by_a_call(tmp_path: Path) -> None:
    with Cloud("azure_ai", key=KEY) as cloud:
        found = looked(config(tmp_path, cloud, model="no-such"), words=True)

    assert found["call"].state == "fail"
    assert "the deployment's name" in (found["call"].do or "")


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with Cloud("openai_compatible") as cloud:
        path = config(tmp_path, cloud)
    found = looked(path, words=True)

    assert states(found) == {"key": "ok", "reachable": "fail", "price": "ok"}
    assert "refuses connections" in found["reachable"].says


@pytest.mark.parametrize(
    ("days", "state"), [(-1, "fail"), (0, "fail"), (1, "warn"), (60, "warn"), (61, "ok")]
)
def test_the_day_a_model_ends(tmp_path: Path, days: int, state: str) -> None:
    day = (NOW + datetime.timedelta(days)).isoformat()
    with Cloud("openai_compatible", key=KEY, shutdown=day) as cloud:
        found = looked(config(tmp_path, cloud))

    assert found["life"].state == state
    assert day in found["life"].says


def test_a_service_that_ended_is_not_asked(tmp_path: Path) -> None:
    with Cloud("github_models", key=KEY) as cloud:
        found = looked(config(tmp_path, cloud, base_url="", model="openai/gpt-4o"))

    assert found["life"].state == "fail"
    assert "2026-07-30" in found["life"].says
    assert "azure_ai or nvidia_nim" in (found["life"].do or "")
    assert found["reachable"].says.endswith("not asked")
    assert cloud.asked == []


def azure(folder: Path, model: str, prices: str = "") -> dict[str, list[Finding]]:
    """What is known of a model of Azure, asking nobody."""
    with Cloud("azure_ai", key=KEY) as cloud:
        path = config(folder, cloud, model=model, price="")
    path.write_text(path.read_text() + prices)
    found: dict[str, list[Finding]] = {}
    for one in examine(str(path), None, Asking(services=False), ManualClock(wall=NOV_22)):
        if one.what == "cloud":
            found.setdefault(one.check, []).append(one)
    return found


def test_sources_that_disagree_on_the_end_are_all_shown_and_no_failure(tmp_path: Path) -> None:
    (life,) = azure(tmp_path, "gpt-4o")["life"]

    assert life.state == "warn"
    assert "on different days by different sources" in life.says
    assert "2026-10-01 (" in life.says
    assert "2027-04-14 (" in life.says


def test_lists_that_disagree_on_a_price_are_shown_and_ones_own_word_settles_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(
        "prices:\n  - {id: ours, provider: azure_ai, model: DeepSeek-V3.2, source: our contract,\n"
        '     input_usd_per_1m: "1", output_usd_per_1m: "2", checked: 2026-11-01,\n'
        "     valid_from: 2026-11-01}\n"
    )

    told, *others = azure(tmp_path, "DeepSeek-V3.2")["price"]
    ours, *more = azure(tmp_path, "DeepSeek-V3.2", "prices: own.yaml\n")["price"]

    assert (told.state, [f.state for f in others]) == ("ok", ["warn"])
    assert "genai-prices" in others[0].says
    assert "`prices:` settles it" in (others[0].do or "")
    assert ours.says == "price ours: $1 in, $2 out per million tokens (our contract)"
    assert len(more) == 2
    assert {(f.state, f.do) for f in more} == {("ok", None)}


def test_an_address_that_ended_is_told_though_its_service_goes_on(tmp_path: Path) -> None:
    with Cloud("azure_ai", key=KEY) as cloud:
        path = config(tmp_path, cloud, base_url=f"{cloud.url}/models")
        found = looked(path)

    assert found["life"].state == "fail"
    assert "2026-08-26" in found["life"].says
    assert "/openai/v1" in (found["life"].do or "")
    assert (found["reachable"].state, cloud.asked) == ("unknown", [])


def test_a_model_that_is_not_loaded_is_not_ready(tmp_path: Path) -> None:
    with Cloud("nvidia_nim", key=KEY, ready=False) as cloud:
        found = looked(config(tmp_path, cloud))

    assert found["ready"].state == "fail"
    assert "not loaded" in found["ready"].says
    assert found["model"].state == "ok"


def test_a_server_that_needs_no_key_and_lists_its_models_to_all(tmp_path: Path) -> None:
    with Cloud("openai_compatible") as cloud:
        found = looked(config(tmp_path, cloud, api_key=""))

    assert states(found) == {"reachable": "ok", "authorised": "ok", "model": "ok", "price": "ok"}
    assert "without a key" in found["authorised"].says


@pytest.mark.parametrize(("skew_s", "way"), [(400, "behind"), (-400, "ahead of"), (30, None)])
def test_a_clock_that_is_wrong(tmp_path: Path, skew_s: float, way: str | None) -> None:
    with Cloud("openai_compatible", key=KEY, skew_s=skew_s) as cloud:
        found = looked(config(tmp_path, cloud))

    assert ("clock" in found) == (way is not None)
    if way:
        assert found["clock"].state == "warn"
        assert f"s {way} the service's" in found["clock"].says
        assert "NTP" in (found["clock"].do or "")


def test_a_price_that_is_not_known_and_a_target_that_is_wrong(tmp_path: Path) -> None:
    with Cloud("openai_compatible", key=KEY) as cloud:
        found = examine(str(config(tmp_path, cloud, price="")), None, Asking())
        wrong = examine(str(config(tmp_path, cloud, options="{logprob: true}")), None, Asking())

    assert [(f.what, f.state) for f in found if f.check in ("config", "price")][1:] == [
        ("config", "fail"),  # the policy's limit can't be kept
        ("cloud", "warn"),
    ]
    assert any(
        f.what == "cloud" and f.state == "fail" and "no such option" in f.says for f in wrong
    )


def test_the_command_says_all_of_it_and_exits_with_one(tmp_path: Path) -> None:
    with Cloud("openai_compatible", key="another-key-0123456789") as cloud:
        path = config(tmp_path, cloud)
        plain, as_json, offline = (
            subprocess.run(
                [sys.executable, "-m", "firsthop", "doctor", "-c", str(path), *words],
                env=os.environ, capture_output=True, text=True, check=False,
            )
            for words in ((), ("--json",), ("--offline",))
        )  # fmt: skip

    assert [done.returncode for done in (plain, as_json, offline)] == [1, 1, 0]
    assert "fail  cloud                 does not take the key: HTTP 401" in plain.stdout
    assert "\n                            -> put a key" in plain.stdout
    assert plain.stdout.endswith("\n1 thing to mend, 1 warning.\n")
    rows: list[dict[str, Any]] = json.loads(as_json.stdout)
    assert {"state", "what", "says", "check", "do"} == set(rows[0])
    assert "not asked" in offline.stdout
    assert KEY not in "".join(done.stdout + done.stderr for done in (plain, as_json, offline))
