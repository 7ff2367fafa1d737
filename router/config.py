"""The config file: which targets exist, where policies and the ledger lie. Found, read, checked.

A key or an endpoint is written as ``{env: NAME}`` and read from the environment at load. A target
that names a variable nobody has set is left out if it says ``optional: true``; `skipped` says why.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from .document import Document, Place, nearest, read_yaml, validate
from .errors import ConfigError
from .providers.base import Target

SHIPPED = ("policies", "configs")
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Bound:
    """A target and what the router, not the provider, has to know of it.

    Attributes:
        price: Id of a price line, or a model's name in the price list. None: by `target.model`.
        attempts: Most calls of one hop.
        place: Where it stands in the config.
    """

    target: Target
    price: str | None
    attempts: int
    place: Place


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that is not there, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config that was read and checked.

    Attributes:
        file: Where it was read from.
        policy: Name or path of the policy.
        targets: In the order of the file.
        ledger_folder: Where the ledger lies.
        keep_text: Whether prompts and answers are written into it.
        prices: The price list.
    """

    file: Path
    policy: str
    targets: tuple[Bound, ...]
    skipped: tuple[Skipped, ...]
    ledger_folder: Path
    keep_text: bool
    prices: Path
    policy_folders: tuple[Path, ...]
    document: Document


def home() -> Path:
    """Where ledger and config of this user lie: ``$FIRSTHOP_HOME``, or the platform's place."""
    from platformdirs import user_data_path

    given = os.environ.get("FIRSTHOP_HOME")
    return Path(given).expanduser() if given else user_data_path("firsthop", appauthor=False)


def shipped(kind: Literal["policies", "configs"]) -> Path:
    """The folder of files that come with firsthop: beside the package, or inside the wheel."""
    beside = _PACKAGE.parent / kind
    inside = _PACKAGE / "_shipped" / kind
    return inside if inside.is_dir() else beside


def find(given: str | Path | None) -> Path:
    """The config to use.

    In this order: the one given (a path, or the name of a shipped one), ``$FIRSTHOP_CONFIG``,
    ``firsthop.yaml`` in the working folder, ``firsthop.yaml`` in `home()`, the shipped default.

    Raises:
        ConfigError: the one named doesn't exist.
    """
    named = given or os.environ.get("FIRSTHOP_CONFIG")
    if named:
        path = Path(named).expanduser()
        if path.suffix in (".yaml", ".yml") or path.parent != Path():
            return path
        known = shipped("configs") / f"{named}.yaml"
        if known.is_file():
            return known
        names = [p.stem for p in shipped("configs").glob("*.yaml") if p.stem != "prices"]
        raise ConfigError(f"no config is called {str(named)!r}", hint=nearest(str(named), names))
    for path in (Path("firsthop.yaml"), home() / "firsthop.yaml"):
        if path.is_file():
            return path
    return shipped("configs") / "default.yaml"


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a config.

    Raises:
        ConfigError: names file, line and field, and the nearest valid word.
    """
    from .configfile import ConfigFile

    document = read_yaml(path)
    shape = validate(document, ConfigFile)
    env = os.environ if environ is None else environ
    targets: list[Bound] = []
    skipped: list[Skipped] = []
    for name, raw in document.data["targets"].items():
        place: Place = ("targets", name)
        part = shape.targets[name]
        missing = _missing(raw, env)
        if missing and part.optional:
            skipped.append(Skipped(name, f"{', '.join(missing)} not set"))
            continue
        values = _filled(document, raw, place, env)
        targets.append(_bound(document, name, part, values, shape, place))
    if not targets:
        raise document.error(
            ConfigError,
            "no target is left: " + "; ".join(f"{s.name}: {s.why}" for s in skipped),
            ("targets",),
            hint="set what they name, or add a target",
        )
    folder = path.resolve().parent
    given = shape.ledger.folder
    prices = folder / shape.prices if shape.prices else shipped("configs") / "prices.yaml"
    return Config(
        file=path,
        policy=shape.policy,
        targets=tuple(targets),
        skipped=tuple(skipped),
        ledger_folder=folder / Path(given).expanduser() if given else home() / "ledger",
        keep_text=shape.ledger.keep_text,
        prices=prices,
        policy_folders=(folder, folder / "policies", shipped("policies")),
        document=document,
    )


def _bound(
    document: Document, name: str, part: Any, values: dict[str, Any], shape: Any, place: Place
) -> Bound:
    from . import providers

    known = providers.names()
    if part.provider not in known:
        raise document.error(
            ConfigError,
            f"unknown provider {part.provider!r}",
            (*place, "provider"),
            hint=nearest(part.provider, known),
        )
    target = Target(
        name=name,
        tier=part.tier,
        provider=part.provider,
        model=values["model"],
        base_url=values.get("base_url"),
        api_key=values.get("api_key"),
        transport=part.transport,
        max_output_tokens=part.max_output_tokens,
        timeout_s=part.timeout_s,
        connect_timeout_s=part.connect_timeout_s,
        proxy=part.proxy or shape.network.proxy,
        ca_file=part.ca_file or shape.network.ca_file,
        options=values.get("options") or {},
    )
    return Bound(target, values.get("price"), part.attempts, place)


def _named(value: Any) -> str | None:
    """The variable that ``{env: NAME}`` names."""
    if isinstance(value, dict) and set(value) == {"env"}:
        return cast(str, value["env"])
    return None


def _missing(raw: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    names = [_named(value) for key, value in raw.items() if key != "price"]
    return [name for name in names if name is not None and not env.get(name)]


def _filled(
    document: Document, raw: Mapping[str, Any], place: Place, env: Mapping[str, str]
) -> dict[str, Any]:
    """The target's fields with variables read from the environment."""
    values: dict[str, Any] = {}
    for key, value in raw.items():
        name = _named(value)
        if name is None:
            values[key] = value
            continue
        if key == "price":  # unset: the price list is asked by the model's name
            values[key] = env.get(name)
            continue
        if not env.get(name):
            raise document.error(
                ConfigError,
                f"the environment variable {name} is not set",
                (*place, key),
                hint="set it, or say `optional: true` to leave this target out without it",
            )
        values[key] = env[name]
    return values
