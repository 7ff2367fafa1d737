"""Find a policy by name or path, read it, and give it its revision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..document import nearest, read_yaml
from ..errors import PolicyError
from .build import build
from .rules import Policy


def load(path: Path) -> Policy:
    """Read one policy file.

    Raises:
        PolicyError: it can't be read, or it is wrong; names file, line and field.
    """
    document = read_yaml(path, kind=PolicyError)
    return build(document, revision_of(document.source))


def revision_of(source: str) -> str:
    """First 12 hex digits of the SHA-256 of the text, line ends made alike."""
    return hashlib.sha256(source.replace("\r\n", "\n").encode()).hexdigest()[:12]


def find(name: str, folders: Sequence[Path]) -> Path:
    """The file of the policy called `name`, or `name` itself when it is a path.

    Raises:
        PolicyError: there is none; names the nearest one that exists.
    """
    given = Path(name).expanduser()
    if given.suffix in (".yaml", ".yml") or given.parent != Path():
        return given
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    known = {p.stem for folder in folders for p in folder.glob("*.yaml")}
    known = {k for k in known if not k.endswith(".test")}
    raise PolicyError(f"no policy is called {name!r}", hint=nearest(name, known))


def cases_beside(path: Path) -> Path:
    """Where the cases of the policy in that file lie: ``balanced.test.yaml``."""
    return path.with_name(f"{path.stem}.test.yaml")
