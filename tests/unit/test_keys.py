"""Keys: where they lie, when they are read again, and what is said when they are not there."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clouds import Cloud

from router import ConfigError, Router
from router.config import load
from router.keys import InEnv, InFile, InKeyring, Key, keep_in_file, keyring_usable

keyring = pytest.importorskip("keyring")


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory; `locked` makes it refuse."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("the keyring is locked")
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
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.key"
    keep_in_file(path, "first-key-0123456789")
    return path


def put(path: Path, text: str) -> None:
    """As a rotation does it: whole, by a move."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    os.replace(fresh, path)


def test_a_files_line_feed_is_no_part_of_the_key(file: Path) -> None:
    assert file.read_bytes().endswith(b"\n")
    assert Key(InFile(file))() == "first-key-0123456789"


def test_a_changed_file_is_read_at_the_next_call(file: Path) -> None:
    key = Key(InFile(file))
    put(file, "second-key-0123456789\r\n")

    assert key() == "second-key-0123456789"


@pytest.mark.parametrize("text", ["", "  \n", "two\nlines\n", None])
def test_a_file_that_went_bad_leaves_the_last_key_in_use(
    file: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    key = Key(InFile(file))
    if text is None:
        file.unlink()
    else:
        put(file, text)

    assert [key(), key()] == ["first-key-0123456789"] * 2
    assert len(caplog.records) == 1
    assert "the key it held before stays in use" in caplog.text
    with pytest.raises(ConfigError, match=r"cloud\.key"):
        key.reload()
    put(file, "third-key-0123456789")
    assert key() == "third-key-0123456789"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"a\nb", "something else than one key"),
        (b"\xff\xfea\x00", "something else than one key"),
        (b"k" * 20_000, "something else than one key"),
    ],
)
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "k").write_bytes(content)

    with pytest.raises(ConfigError, match=says):
        Key(InFile(tmp_path / "k"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Key(InFile(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
@pytest.mark.parametrize(("mode", "who"), [(0o644, "everybody"), (0o640, "its group")])
def test_a_file_that_others_may_read_is_warned_of(
    file: Path, mode: int, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    Key(InFile(file))
    assert not caplog.records
    file.chmod(mode)
    Key(InFile(file))

    assert f"is open to {who} (mode {mode:04o}); run: chmod 600" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_a_key_is_written_for_its_owner_alone_and_over_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cloud.key"
    keep_in_file(path, "a-key")

    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="is there already"):
        keep_in_file(path, "another")
    assert path.read_text() == "a-key\n"


def test_a_variable_is_read_again_by_reload_only() -> None:
    environ = {"K": "one"}
    key = Key(InEnv("K", environ))
    environ["K"] = "two"
    assert key() == "one"
    key.reload()
    assert key() == "two"
    del environ["K"]
    with pytest.raises(ConfigError, match="the environment variable K is not set"):
        key.reload()
    assert key() == "two"


def test_the_keyring_is_read_at_load_and_by_reload(ring: Ring) -> None:
    ring.held["firsthop", "cloud"] = "one"
    key = Key(InKeyring("firsthop", "cloud"))
    ring.held["firsthop", "cloud"] = "two"
    assert key() == "one"
    key.reload()
    assert key() == "two"
    assert keyring_usable()


def test_a_keyring_that_is_empty_or_locked_says_what_to_do(ring: Ring) -> None:
    with pytest.raises(ConfigError, match="keyring set firsthop cloud"):
        Key(InKeyring("firsthop", "cloud"))
    ring.locked = True
    with pytest.raises(ConfigError, match="can't be used: the keyring is locked"):
        Key(InKeyring("firsthop", "cloud"))


def test_without_the_package_it_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(ConfigError, match=r"firsthop\[keyring\]"):
        Key(InKeyring("firsthop", "cloud"))
    assert not keyring_usable()


def test_no_repr_shows_a_key(file: Path, ring: Ring) -> None:
    ring.held["s", "u"] = "first-key-0123456789"
    places = (InFile(file), InKeyring("s", "u"), InEnv("K", {"K": "first-key-0123456789"}))

    for place in places:
        assert "first-key" not in repr(Key(place)) + repr(place) + str(place)


CONFIG = """\
version: 1
policy: cloud-only
ledger: {{folder: ledger}}
targets:
  cloud:
    tier: cloud-fast
    provider: nvidia_nim
    base_url: {url}
    model: a-model
    api_key: {place}
    transport: {transport}
    price: own-box
"""


@pytest.mark.parametrize("transport", ["sdk", "lean"])
def test_a_rotated_key_file_is_used_from_the_next_request_on(
    tmp_path: Path, file: Path, transport: str
) -> None:
    with Cloud("nvidia_nim", key="first-key-0123456789") as cloud:
        path = tmp_path / "firsthop.yaml"
        path.write_text(
            CONFIG.format(url=cloud.base_url, place="{file: cloud.key}", transport=transport)
        )
        with Router(path) as router:
            assert router.ask("Before?").answered_by == "cloud"
            cloud.key = "second-key-0123456789"
            put(file, "second-key-0123456789\n")
            assert router.ask("After?").answered_by == "cloud"
    assert len(cloud.prompts) == 2


def test_a_changed_keyring_is_used_after_reload(tmp_path: Path, ring: Ring) -> None:
    ring.held["firsthop", "cloud"] = "first-key-0123456789"
    place = "{keyring: {service: firsthop, user: cloud}}"
    with Cloud("nvidia_nim", key="second-key-0123456789") as cloud:
        path = tmp_path / "firsthop.yaml"
        path.write_text(CONFIG.format(url=cloud.base_url, place=place, transport="lean"))
        with Router(path) as router:
            ring.held["firsthop", "cloud"] = "second-key-0123456789"
            router.reload()
            assert router.ask("After?").answered_by == "cloud"
            ring.locked = True
            with pytest.raises(ConfigError, match=r"firsthop\.yaml:10.*api_key.*is locked"):
                router.reload()
            assert router.ask("Still?").answered_by == "cloud"


def test_an_optional_target_whose_key_is_not_there_is_left_out(tmp_path: Path, ring: Ring) -> None:
    device = "  here: {tier: device, provider: scripted, model: s, options: {steps: [{text: x}]}}\n"
    for place, why in (
        ("{file: no.key}", "no.key cannot be read"),
        ("{keyring: {service: firsthop, user: cloud}}", "is not there"),
        ("{env: NO_SUCH_VARIABLE}", "NO_SUCH_VARIABLE not set"),
    ):
        text = CONFIG.format(url="http://127.0.0.1:9/v1", place=place, transport="lean")
        path = tmp_path / "firsthop.yaml"
        path.write_text(text + "    optional: true\n" + device)
        (skipped,) = load(path).skipped
        assert why in skipped.why

        path.write_text(text)
        with pytest.raises(ConfigError, match=r"optional: true|keyring set") as caught:
            load(path)
        assert (caught.value.line, caught.value.field) == (10, "targets.cloud.api_key")
    assert not ring.held
