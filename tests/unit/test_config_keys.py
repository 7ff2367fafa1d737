"""Keys in the wrong field of a config, and addresses with credentials: nothing repeats them."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from router.config import Config, load
from router.errors import ConfigError

CONFIG = """\
version: 1
policy: cloud-only
targets:
  cloud:
    tier: cloud-fast
    provider: openai_compatible
    base_url: {env: ENDPOINT}
    model: a-model
    api_key: PLACE
"""


def read(folder: Path, place: str, address: str = "https://here/v1") -> Config:
    path = folder / "firsthop.yaml"
    path.write_text(CONFIG.replace("PLACE", place), encoding="utf-8")
    return load(path, {"ENDPOINT": address, "KEY": "k-1"})


def wrong(folder: Path, place: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, place)
    return caught.value


SIGNS = "Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (f"{{file: sk-proj-{SIGNS}_Qr}}", "not the key"),
        (f"{{file: nvapi-{SIGNS}}}", "not the key"),
        (f"{{file: gsk_{SIGNS}}}", "not the key"),
        (f"{{file: eyJ0eXAi.{SIGNS}.Qr}}", "not the key"),
        (f"{{file: {SIGNS}/Qr==}}", "not the key"),
        ("{file: Ab12Cd34-Ef56_Gh78-Ij90}", "not the key"),
        (f"{{env: gsk_{SIGNS}}}", "not its value"),
        (f"{{env: r8_{SIGNS}}}", "not its value"),
        (f"{{env: AIzaSyA_{SIGNS}}}", "not its value"),
        (f"{{keyring: {{service: firsthop, user: sk-proj-{SIGNS}}}}}", "not the key"),
        (f"{{keyring: {{service: sk-proj-{SIGNS}, user: cloud}}}}", "not the key"),
    ],
)
def test_a_key_where_its_place_should_stand_is_not_repeated(
    tmp_path: Path, place: str, says: str
) -> None:
    error = wrong(tmp_path, place)

    assert says in str(error)
    assert "Cd34" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "place",
    [
        "{file: ./Ab12Cd34-Ef56_Gh78-Ij90}",
        "{file: /run/secrets/0123456789abcdef0123456789abcdef}",
        "{file: openai-key-for-team-2.txt}",
        "{file: the_key_of_all_our_clouds}",
        "{file: 'C:\\keys\\Ab12Cd34-Ef56_Gh78-Ij90'}",
    ],
)
def test_a_name_that_is_no_key_is_looked_for(tmp_path: Path, place: str) -> None:
    error = wrong(tmp_path, place)

    assert "cannot be read" in str(error)


def test_no_repr_of_a_config_shows_what_an_address_carries(tmp_path: Path) -> None:
    address = "https://me:hidden-word@here/?key=hidden-too"

    assert "hidden" not in repr(read(tmp_path, "{env: KEY}", address))
