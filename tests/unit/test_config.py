"""The config: where it is found, what it binds, what the environment fills in, what is refused."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from router.config import Config, find, home, load, shipped
from router.errors import ConfigError

ROOT = Path(__file__).parents[2]

GOOD = """\
version: 1
policy: balanced
targets:
  device:
    tier: device
    provider: scripted
    model: script
    options: {steps: [{text: hello}]}
  cloud:
    tier: cloud-fast
    provider: azure_ai
    base_url: {env: ENDPOINT}
    model: {env: DEPLOYMENT}
    api_key: {env: KEY}
    price: {env: PRICE}
    transport: lean
    attempts: 3
    max_output_tokens: 64
    timeout_s: 30
    connect_timeout_s: 2.5
    optional: true
ledger: {folder: books, keep_text: true}
network: {proxy: "http://proxy:8080", ca_file: ca.pem}
prices: own-prices.yaml
"""
SET = {"ENDPOINT": "https://here/", "DEPLOYMENT": "ours", "KEY": "k-1", "PRICE": "gpt-4o"}


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    return read(tmp_path, GOOD, SET)


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = folder / "firsthop.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ or {})


def wrong(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environ)
    assert caught.value.file == str(folder / "firsthop.yaml")
    return caught.value


# What is read


def test_targets_are_bound_in_the_order_of_the_file(loaded: Config) -> None:
    device, cloud = loaded.targets

    assert (device.target.name, device.target.tier) == ("device", "device")
    assert device.target.options == {"steps": [{"text": "hello"}]}
    assert (device.price, device.attempts, device.place) == (None, 2, ("targets", "device"))
    assert (cloud.target.name, cloud.target.provider) == ("cloud", "azure_ai")
    assert (cloud.target.transport, cloud.attempts) == ("lean", 3)
    assert (cloud.target.timeout_s, cloud.target.connect_timeout_s) == (30, 2.5)
    assert cloud.target.max_output_tokens == 64


def test_what_is_left_to_the_environment_is_read_from_it(loaded: Config) -> None:
    cloud = loaded.targets[1]

    assert cloud.target.base_url == "https://here/"
    assert (cloud.target.model, cloud.target.api_key) == ("ours", "k-1")
    assert cloud.price == "gpt-4o"
    assert loaded.skipped == ()


def test_paths_are_relative_to_the_configs_own_folder(loaded: Config, tmp_path: Path) -> None:
    assert loaded.ledger_folder == tmp_path / "books"
    assert loaded.prices == tmp_path / "own-prices.yaml"
    assert loaded.targets[0].target.ca_file == str(tmp_path / "ca.pem")
    assert loaded.policy_folders == (tmp_path / "policies", shipped("policies"))


def test_a_policy_may_be_a_name_or_a_path_beside_the_config(tmp_path: Path) -> None:
    for written, meant in (
        ("balanced", "balanced"),
        ("mine.yaml", str(tmp_path / "mine.yaml")),
        ("sub/mine", str(tmp_path / "sub" / "mine")),
    ):
        assert read(
            tmp_path, GOOD.replace("policy: balanced", f"policy: {written}"), SET
        ).policy == (meant)


def test_the_users_home_is_meant_by_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))

    config = read(tmp_path, GOOD.replace("folder: books", "folder: ~/books"), SET)

    assert config.ledger_folder == tmp_path / "me" / "books"


def test_a_target_has_its_own_proxy_or_the_networks(tmp_path: Path) -> None:
    text = GOOD.replace("    transport: lean", "    proxy: http://own:1")

    device, cloud = read(tmp_path, text, SET).targets

    assert device.target.proxy == "http://proxy:8080"
    assert cloud.target.proxy == "http://own:1"


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    least = GOOD[: GOOD.index("  cloud:")]

    config = read(tmp_path, least)
    (device,) = config.targets

    assert not config.keep_text
    assert config.ledger_folder == home() / "ledger"
    assert config.prices == shipped("configs") / "prices.yaml"
    assert (device.target.transport, device.target.timeout_s) == ("sdk", 60)
    assert (device.target.proxy, device.target.ca_file, device.target.base_url) == (None,) * 3


# The environment


@pytest.mark.parametrize("unset", ["ENDPOINT", "DEPLOYMENT", "KEY"])
@pytest.mark.parametrize("empty", [True, False])
def test_an_optional_target_without_its_variables_is_left_out(
    tmp_path: Path, unset: str, empty: bool
) -> None:
    environ = {**SET, unset: ""} if empty else {k: v for k, v in SET.items() if k != unset}

    config = read(tmp_path, GOOD, environ)

    assert [bound.target.name for bound in config.targets] == ["device"]
    assert [(s.name, s.why) for s in config.skipped] == [("cloud", f"{unset} not set")]


def test_a_price_may_stay_unset(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD, {**SET, "PRICE": ""})

    assert config.targets[1].price is None
    assert config.skipped == ()


def test_a_target_that_has_to_be_there_says_which_variable_is_missing(tmp_path: Path) -> None:
    error = wrong(tmp_path, GOOD.replace("    optional: true\n", ""), {**SET, "KEY": ""})

    assert (error.line, error.field) == (14, "targets.cloud.api_key")
    assert "the environment variable KEY is not set" in str(error)


def test_without_any_target_left_it_says_what_to_set(tmp_path: Path) -> None:
    start, end = GOOD.index("  device:"), GOOD.index("  cloud:")

    error = wrong(tmp_path, GOOD[:start] + GOOD[end:])

    assert "no target is left: cloud: DEPLOYMENT, ENDPOINT, KEY not set" in str(error)
    assert (error.line, error.field) == (3, "targets")


def test_options_are_the_providers_and_never_read_from_the_environment(tmp_path: Path) -> None:
    text = GOOD.replace("{steps: [{text: hello}]}", "{env: [1]}")

    assert read(tmp_path, text, SET).targets[0].target.options == {"env": [1]}


def test_without_another_the_environment_of_the_process_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "firsthop.yaml"
    path.write_text(GOOD)

    assert load(path).targets[1].target.api_key == "k-1"


def test_a_key_is_never_shown(loaded: Config) -> None:
    assert "k-1" not in repr(loaded)


def test_a_key_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    error = wrong(tmp_path, GOOD.replace("api_key: {env: KEY}", "api_key: sk-very-secret"), SET)

    assert "write {env: NAME}, {file: PATH} or {keyring: " in str(error)
    assert (error.line, error.field) == (14, "targets.cloud.api_key")
    assert "secret" not in "".join(traceback.format_exception(error))


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("version: 1", "version: 2", 1, "version", "which reads version 1"),
        ("version: 1", "version: true", 1, "version", "has to be a whole number, not true"),
        ("version: 1\n", "", 1, "version", "is missing"),
        ("policy: balanced", "polcy: balanced", 2, "polcy", "did you mean 'policy'?"),
        ("policy: balanced", "policy:", 2, "policy", "has to be text, not nothing"),
        ("policy: balanced", 'policy: ""', 2, "policy", "must not be empty"),
        ("    model: script", "    modle: script", 7, "targets.device.modle", "'model'?"),
        ("    model: script", "    model: 5", 7, "targets.device.model", "not the number 5"),
        (
            "    model: script",
            "    model: {evn: X}",
            7,
            "targets.device.model.evn",
            "unknown field (did you mean 'env'?)",
        ),
        ("    model: script\n", "", 4, "targets.device.model", "is missing"),
        ("    tier: device", "    tier: []", 5, "targets.device.tier", "has to be text"),
        (
            "provider: scripted",
            "provider: scriptd",
            6,
            "targets.device.provider",
            "did you mean 'scripted'?",
        ),
        ("{env: KEY}", "{env: 'sk-1 2'}", 14, "targets.cloud.api_key.env", "not its value"),
        ("{env: KEY}", "{env: KEY, b: 1}", 14, "targets.cloud.api_key", "where the key lies"),
        ("transport: lean", "transport: leam", 16, "targets.cloud.transport", "'lean'?"),
        ("attempts: 3", "attempts: 0", 17, "targets.cloud.attempts", "at least 1"),
        ("attempts: 3", "attempts: 11", 17, "targets.cloud.attempts", "at most 10"),
        ("attempts: 3", "attempts: '3'", 17, "targets.cloud.attempts", "not text"),
        ("timeout_s: 30", "timeout_s: 0", 19, "targets.cloud.timeout_s", "more than 0"),
        ("timeout_s: 30", "timeout_s: .inf", 19, "targets.cloud.timeout_s", "finite"),
        ("timeout_s: 30", "timeout_s: true", 19, "targets.cloud.timeout_s", "not true"),
        ("optional: true", "optional: yes", 21, "targets.cloud.optional", "true or false"),
        ("keep_text: true", "keep_text: 1", 22, "ledger.keep_text", "true or false"),
        ("keep_text: true", "keeptext: true", 22, "ledger.keeptext", "'keep_text'?"),
        ("network: {", "network: [{}, {", 24, "network[1]", "is not closed"),
    ],
)
def test_a_wrong_config_is_told_where_and_what(
    tmp_path: Path, old: str, new: str, line: int, field: str, says: str
) -> None:
    assert GOOD.count(old) >= 1

    error = wrong(tmp_path, GOOD.replace(old, new, 1), SET)

    assert (error.line, error.field) == (line, field)
    assert says in str(error)


@pytest.mark.parametrize("targets", ["targets: {}", "targets:", "targets: [a]"])
def test_targets_have_to_be_there(tmp_path: Path, targets: str) -> None:
    error = wrong(tmp_path, f"version: 1\npolicy: p\n{targets}\n")

    assert (error.line, error.field) == (3, "targets")


# Where it is found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTHOP_CONFIG", raising=False)
    return tmp_path


def test_the_order_is_given_then_variable_then_here_then_home_then_shipped(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(None) == shipped("configs") / "default.yaml"

    home().mkdir(parents=True, exist_ok=True)
    (home() / "firsthop.yaml").touch()
    assert find(None) == home() / "firsthop.yaml"

    (here / "firsthop.yaml").touch()
    assert find(None) == Path("firsthop.yaml")

    monkeypatch.setenv("FIRSTHOP_CONFIG", "scripted")
    assert find(None) == shipped("configs") / "scripted.yaml"

    assert find("demo") == shipped("configs") / "demo.yaml"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("given", ["mine.yaml", "folder/mine", Path("other.yml")])
def test_a_path_is_given_back_as_it_is(given: str | Path) -> None:
    assert find(given) == Path(given)


@pytest.mark.usefixtures("here")
def test_an_unknown_name_is_told_the_nearest_and_prices_are_no_config() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scripted'"):
        find("scriptd")
    with pytest.raises(ConfigError) as caught:
        find("zzzzz")
    assert "prices" not in str(caught.value)


def test_a_config_that_is_not_there_says_so_when_it_is_read(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load(find(here / "none.yaml"))


def test_home_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTHOP_HOME", str(tmp_path))
    assert home() == tmp_path

    monkeypatch.delenv("FIRSTHOP_HOME")
    assert home().name == "firsthop"


def test_what_is_shipped_lies_beside_the_package_or_in_the_wheel(tmp_path: Path) -> None:
    """In a wheel the `policies` beside the package would be somebody else's."""
    package = tmp_path / "router"
    package.mkdir()
    shutil.copy(ROOT / "router" / "config.py", package)
    name = "router._config_elsewhere"
    spec = importlib.util.spec_from_file_location(name, package / "config.py")
    assert spec is not None
    assert spec.loader is not None
    elsewhere = importlib.util.module_from_spec(spec)
    sys.modules[name] = elsewhere  # dataclasses look their module up
    try:
        spec.loader.exec_module(elsewhere)
        (tmp_path / "policies").mkdir()
        assert elsewhere.shipped("policies") == tmp_path / "policies"
        (package / "_shipped" / "policies").mkdir(parents=True)
        assert elsewhere.shipped("policies") == package / "_shipped" / "policies"
    finally:
        del sys.modules[name]


CONFIGS = [p for p in sorted(shipped("configs").glob("*.yaml")) if p.stem != "prices"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_loads_without_a_single_variable(path: Path) -> None:
    config = load(path, {})

    assert config.targets
    for skipped in config.skipped:
        assert skipped.why.endswith("not set")
