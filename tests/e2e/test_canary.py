"""A canary in every place a secret can have, and the whole street searched for it afterwards.

The services are stand-ins that repeat the key they were sent in bodies, headers and redirects, in
good answers too. Entra tokens come from a stand-in of a managed identity.
Every library logs at its finest. What is searched: logs, output, errors and their causes, traces,
the ledger's bytes, and the `repr` of all that can be reached from a router.
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.clouds import Cloud
from support.identity import managed_identity

from router import Router
from router.cli.doctor import Asking, examine, show
from router.errors import RouterError
from router.providers.base import Transport

keyring = pytest.importorskip("keyring")

CANARY = "canary-Zq7fX1vB9kLm3Tn5"
OTHER = "the-right-key-0123456789"
TOKEN = "eyJ0eXAi.tOkEnB6nM4xW.Hc3Yd8"
ODD = "odd+key/Kp4wM8rT2yU5=="
NEVER = (CANARY[:12], base64.b64encode(f"me:{CANARY}".encode()).decode()[:12], TOKEN[9:21], ODD[8:])
"""Of each what may show nowhere: others may begin as it does, and be encoded after that."""
PROVIDERS = ("azure_ai", "nvidia_nim", "openai_compatible", "github_models", "ollama")
PLACES = ("env", "file", "keyring")
WAYS = [
    pytest.param(name, transport, id=f"{name}-{transport}")
    for name in PROVIDERS
    for transport in ("sdk", "lean")
    if not (name == "ollama" and transport == "sdk")
]
FAILS: tuple[int | None, ...] = (None, 302, 400, 407, 410, 429, 500)
CONFIG = """\
version: 1
policy: cloud-only
ledger: {{folder: ledger, keep_text: true}}
targets:
  cloud:
    tier: cloud-fast
    provider: {provider}
    base_url: {url}
    model: a-model
    api_key: {place}
    price: "openai_compatible/own-box@2024-01-01"
    attempts: 1
    transport: {transport}
{more}"""


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    made = Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def finest() -> Iterator[list[str]]:
    """All that anybody logs, as a handler of an app's own would write it."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record) + repr(record.args))

    root, keep = logging.getLogger(), Keep()
    before = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(keep)
    yield said
    root.removeHandler(keep)
    root.setLevel(before)


def planted(place: str, folder: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the canary there; what the config says of it."""
    if place == "env":
        monkeypatch.setenv("PLANTED", CANARY)
        return "{env: PLANTED}"
    if place == "file":
        (folder / "planted.key").write_text(CANARY + "\n")
        return "{file: planted.key}"
    ring.set_password("firsthop", "cloud", CANARY)
    return "{keyring: {service: firsthop, user: cloud}}"


def reachable(*roots: object) -> Iterator[object]:
    """Our own objects and all exceptions that can be got at from `roots`."""
    waiting, seen = list(roots), set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        ours = type(one).__module__.partition(".")[0] == "router"
        if ours or isinstance(one, BaseException):
            yield one
        if ours or isinstance(one, BaseException | dict | list | tuple | set | frozenset):
            waiting += gc.get_referents(one)


def clean(text: str, where: str) -> None:
    for secret in NEVER:
        at = text.find(secret)
        assert at < 0, f"{where}: ...{text[max(0, at - 200) : at + 40]}..."


def asked(path: Path) -> str:
    """One request and all it leaves behind, searched. Returns how it ended."""
    with Router(path) as router:
        try:
            answer: Any = router.ask("What is the capital of France?")
            told = answer.explain() + json.dumps(answer.as_json(), default=str)
            ended = "answered"
        except RouterError as error:
            answer, ended = error, type(error).__name__
            told = "".join(traceback.format_exception(error)) + repr(error)
            outcome = getattr(error, "outcome", None)
            told += repr(outcome) + (json.dumps(outcome.trace.as_json()) if outcome else "")
            told += repr(error.__cause__ and getattr(error.__cause__, "exceptions", ()))
        clean(told, "the answer or the error")
        for one in reachable(router, answer):
            clean(repr(one), f"repr of a {type(one).__name__}")
    for file in path.parent.joinpath("ledger").rglob("*"):
        if file.is_file():
            clean(file.read_bytes().decode("latin-1"), f"the ledger's {file.name}")
    return ended


def examined(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = examine(str(path), None, Asking(words=True))
    show(findings)
    clean(json.dumps([asdict(f) for f in findings]), "doctor --json")
    printed = capsys.readouterr()
    clean(printed.out + printed.err, "what was printed")


@pytest.mark.parametrize(("provider", "transport"), WAYS)
def test_no_key_shows_anywhere(
    provider: str,
    transport: Transport,
    tmp_path: Path,
    ring: Ring,
    finest: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends: list[str] = []
    with Cloud(provider, key=CANARY) as cloud:
        for number, (takes, fails) in enumerate([(OTHER, None), *((CANARY, f) for f in FAILS)]):
            cloud.key, cloud.fails = takes, fails
            folder = tmp_path / str(number)
            folder.mkdir()
            place = planted(PLACES[number % 3], folder, ring, monkeypatch)
            path = folder / "firsthop.yaml"
            path.write_text(
                CONFIG.format(
                    provider=provider, url=cloud.base_url, place=place, transport=transport, more=""
                )
            )
            ends.append(asked(path))
            if number in (0, 1, 2):
                examined(path, capsys)

    assert ends == ["NoAnswer", "answered"] + ["NoAnswer"] * (len(FAILS) - 1)
    clean("\n".join(finest), "the logs")
    assert any("[secret]" in line for line in finest) or transport == "lean"


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("azure.identity")
    with managed_identity(TOKEN) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "the-identitys-header-0123")
        yield


@pytest.mark.parametrize("transport", ["sdk", "lean"])
@pytest.mark.usefixtures("identity")
def test_no_entra_token_shows_anywhere_from_the_first_answer_on(
    transport: Transport, tmp_path: Path, finest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "firsthop.yaml"
    with Cloud("azure_ai", key=TOKEN) as cloud:
        text = CONFIG.format(
            provider="azure_ai", url=cloud.base_url, place="KEY", transport=transport, more=""
        )
        entra = "options: {auth: entra, credential: managed_identity}"
        path.write_text(text.replace("api_key: KEY", entra))
        ends = [asked(path)]
        examined(path, capsys)
        for cloud.fails in (307, 429):
            ends.append(asked(path))

    assert ends == ["answered", "NoAnswer", "NoAnswer"]
    clean("\n".join(finest), "the logs")


@pytest.mark.parametrize(
    ("provider", "transport"), [w.values for w in WAYS if w.values[0] != "ollama"]
)
def test_no_key_shows_that_a_service_encodes_or_takes_for_an_answers_id(
    provider: str,
    transport: Transport,
    tmp_path: Path,
    finest: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED", ODD)
    path = tmp_path / "firsthop.yaml"
    with Cloud(provider, key=ODD, served=f"model-{ODD}", names_calls=False) as cloud:
        path.write_text(
            CONFIG.format(
                provider=provider,
                url=cloud.base_url,
                place="{env: PLANTED}",
                transport=transport,
                more="",
            )
        )
        ends = [asked(path)]
        cloud.fails = 307
        ends.append(asked(path))

    assert ends == ["answered", "NoAnswer"]
    clean("\n".join(finest), "the logs")


@pytest.mark.parametrize("transport", ["sdk", "lean"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxys_password_shows_anywhere(
    transport: Transport,
    scheme: str,
    tmp_path: Path,
    finest: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLANTED", OTHER)
    path = tmp_path / "firsthop.yaml"
    with Cloud("proxy", key="none it takes") as proxy:
        where = proxy.url.replace("://", f"://me:{CANARY}@")
        for closed in (False, True):
            at = where if not closed else f"http://me:{CANARY}@127.0.0.1:9"
            path.write_text(
                CONFIG.format(
                    provider="openai_compatible",
                    url=f"{scheme}://api.example/v1",
                    place="{env: PLANTED}",
                    transport=transport,
                    more=f'network: {{proxy: "{at}"}}\n',
                )
            )
            assert asked(path) == "NoAnswer"
            examined(path, capsys)

    clean("\n".join(finest), "the logs")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{env: PLANTED}", CANARY),
        ("{env: PLANTED}", f"[{CANARY}]"),
        ("{env: PLANTED}", f"{{{CANARY}}}"),
        ("{env: PLANTED}", f"{{{CANARY}: x}}"),
        ("{env: PLANTED}", f"{{env: {CANARY}}}"),
        ("{env: PLANTED}", "{env: sk_canaryZq7fX1vB9kLm3Tn5}"),
        ("{env: PLANTED}", f"{{file: sk-proj-{CANARY}}}"),
        ("{env: PLANTED}", f"{{keyring: {{service: x, user: sk-proj-{CANARY}}}}}"),
        ("{env: PLANTED}", "{env: canaryZq7fX1vB9kLm3Tn5canaryZq7fX1vB9kLm3Tn5}"),
        ("{env: PLANTED}", "{file: canaryZq7fX1vB9kLm3Tn5canaryZq7fX1vB9kLm3Tn5}"),
        ("{env: PLANTED}", f"{{env: PLANTED, {CANARY}: x}}"),
        ("{env: PLANTED}", f"{{keyring: {CANARY}}}"),
        ("{env: PLANTED}", f"{{keyring: {{service: firsthop, {CANARY}: x}}}}"),
        ("https://api.example/v1", f"https://me:{CANARY}@api.example/v1"),
        ("https://api.example/v1", f"https://me:{CANARY}/x@api.example/v1"),
        ("attempts: 1", f"proxy: 'http://me:{CANARY}/x@127.0.0.1:9'"),
        ("attempts: 1", f"proxy: 'socks5://me:{CANARY}@127.0.0.1:9'"),
        ("attempts: 1", f"proxy: 'http://me:{CANARY}@[::1'"),
        ("attempts: 1", f"proxy: 'http://me:{CANARY}@ex\u2100ample'"),
    ],
)
def test_a_secret_in_the_wrong_place_of_the_config_is_not_repeated(
    old: str, new: str, tmp_path: Path, finest: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", OTHER)
    path = tmp_path / "firsthop.yaml"
    text = CONFIG.format(
        provider="openai_compatible", url="https://api.example/v1", place="{env: PLANTED}",
        transport="lean", more="",
    )  # fmt: skip
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")

    with pytest.raises(RouterError) as caught:
        Router(path)

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    told += repr(vars(caught.value)) + "\n".join(finest)
    for one in reachable(caught.value):
        told += repr(one)
    source = told.partition("Traceback")[2]  # the test's own line is quoted by no traceback
    for word in (CANARY, "canaryZq7fX1vB9"):
        assert word not in source
    findings = examine(str(path), None)
    assert all(word not in repr(findings) for word in (CANARY, "canaryZq7fX1vB9"))
