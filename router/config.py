"""The config file: which targets exist, where policies and the ledger lie. Found, read, checked.

An endpoint may be written as ``{env: NAME}`` and is then read from the environment at load; a key
is never written, only where it lies (`keys`). A target that names a variable nobody has set, or a
key that is not there, is left out if it says ``optional: true``; `skipped` says why.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from .document import Document, Place, nearest, read_yaml, shown, validate
from .errors import ConfigError
from .keys import InEnv, InFile, InKeyring, Key
from .providers.base import Target
from .redaction import remember_proxy

if TYPE_CHECKING:
    from .configfile import ConfigFile, TargetPart

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Bound:
    """A target and what the router, not the provider, has to know of it.

    Attributes:
        price: Id of a price line, or a model's name in the price list. None: by `target.model`.
        unknown_price: Whether it may be asked under a dollar limit although its price is unknown.
        attempts: Most calls of one hop.
        image_tokens: Most input tokens that one frame of a picture takes. None: not known.
        max_in_flight: Most calls to it at once. None: there is no limit.
        place: Where it stands in the config.
        key: Where its key lies, and the key. None: the config names none.
    """

    target: Target
    price: str | None
    attempts: int
    image_tokens: int | None
    max_in_flight: int | None
    place: Place
    unknown_price: bool = False
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that is not there, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config that was read and checked.

    Paths in a config are relative to the config's own folder.

    Attributes:
        file: Where it was read from.
        policy: Name or path of the policy.
        targets: In the order of the file.
        skipped: Optional targets that are left out, and why.
        ledger_folder: Where the ledger lies.
        keep_text: Whether prompts and answers are written into it.
        prices: The price list that counts before the shipped one; may be the shipped one.
        policy_folders: Where a policy's name is looked for, first found first.
        confidence: The calibration file. None: there is none, and starter bars are held.
        document: The file itself, for complaints that come later.
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
    confidence: Path | None = None


def home() -> Path:
    """Where ledger and config of this user lie: ``$FIRSTHOP_HOME``, or the platform's place."""
    from platformdirs import user_data_path

    given = os.environ.get("FIRSTHOP_HOME")
    return _expanded(given) if given else user_data_path("firsthop", appauthor=False)


def shipped(kind: Literal["policies", "configs"]) -> Path:
    """The folder of files that come with firsthop: beside the package, or inside the wheel."""
    beside = _PACKAGE.parent / kind
    inside = _PACKAGE / "_shipped" / kind
    return inside if inside.is_dir() else beside


def find(given: str | Path | None) -> Path:
    """The config to use.

    In this order: the one given (a path, or the name of a shipped one), ``$FIRSTHOP_CONFIG``,
    ``firsthop.yaml`` in the working folder, ``firsthop.yaml`` in `home()`, the shipped default.
    A path is given back as it is; whether there is a file shows when it is read.

    Raises:
        ConfigError: no shipped config has the name given.
    """
    named = given or os.environ.get("FIRSTHOP_CONFIG")
    if named:
        path = _expanded(named)
        if _is_path(path):
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

    Args:
        path: The file.
        environ: Where variables are looked up. None: the process's environment.

    Raises:
        ConfigError: names file, line and field, and the nearest valid word.
    """
    from .configfile import ConfigFile

    document = read_yaml(path)
    shape = validate(document, ConfigFile)
    folder = path.resolve().parent
    targets, skipped = _targets(document, shape, folder, os.environ if environ is None else environ)
    ledger, prices = shape.ledger.folder, shape.prices
    return Config(
        file=path,
        policy=str(folder / _expanded(shape.policy))
        if _is_path(Path(shape.policy))
        else shape.policy,
        targets=targets,
        skipped=skipped,
        ledger_folder=folder / _expanded(ledger) if ledger else home() / "ledger",
        keep_text=shape.ledger.keep_text,
        prices=folder / _expanded(prices) if prices else shipped("configs") / "prices.yaml",
        policy_folders=(folder / "policies", shipped("policies")),
        document=document,
        confidence=folder / _expanded(shape.confidence) if shape.confidence else None,
    )


def _targets(
    document: Document, shape: ConfigFile, folder: Path, env: Mapping[str, str]
) -> tuple[tuple[Bound, ...], tuple[Skipped, ...]]:
    """The targets that can be had, and those left out for want of a variable."""
    targets: list[Bound] = []
    skipped: list[Skipped] = []
    for name, part in shape.targets.items():
        # A price may stay unset: the price list is then asked by the model's name.
        missing = [v for f, v in part.variables().items() if f != "price" and not env.get(v)]
        if part.api_key and part.api_key.env and not env.get(part.api_key.env):
            missing.append(part.api_key.env)
        if missing and part.optional:
            skipped.append(Skipped(name, f"{', '.join(missing)} not set"))
            continue
        try:
            key = _key(part, folder, env)
        except ConfigError as exc:
            if part.optional:
                skipped.append(Skipped(name, str(exc)))
                continue
            hint = exc.hint or "or say `optional: true` to leave this target out without it"
            place = ("targets", name, "api_key")
            raise document.error(ConfigError, exc.message, place, hint=hint) from exc
        targets.append(_bound(document, name, shape, folder, env, key))
    if not targets:
        raise document.error(
            ConfigError,
            "no target is left: " + "; ".join(f"{s.name}: {s.why}" for s in skipped),
            ("targets",),
            hint="set what they name, or add a target",
        )
    return tuple(targets), tuple(skipped)


def _key(part: TargetPart, folder: Path, env: Mapping[str, str]) -> Key | None:
    """The key from where the config says that it lies. Raises: ConfigError when it isn't there."""
    where = part.api_key
    if where is None:
        return None
    if where.env is not None:
        return Key(InEnv(where.env, env))
    if where.file is not None:
        return Key(InFile(folder / _expanded(where.file)))
    if where.keyring is not None:
        return Key(InKeyring(where.keyring.service, where.keyring.user))
    return None


def _bound(
    document: Document,
    name: str,
    shape: ConfigFile,
    folder: Path,
    env: Mapping[str, str],
    key: Key | None,
) -> Bound:
    from . import providers

    place: Place = ("targets", name)
    part, known = shape.targets[name], providers.names()
    if part.provider not in known:
        raise document.error(
            ConfigError,
            f"unknown provider {shown(part.provider)}",
            (*place, "provider"),
            hint=nearest(part.provider, known),
        )
    values = _filled(document, part, place, env)
    ca_file = part.ca_file or shape.network.ca_file
    proxy = part.proxy or shape.network.proxy
    remember_proxy(proxy)
    remember_proxy(values["base_url"])  # it is refused if it carries credentials, later
    target = Target(
        name=name,
        tier=part.tier,
        provider=part.provider,
        model=cast(str, values["model"]),
        base_url=values["base_url"],
        api_key=None if key is None else key(),
        read_key=key,
        transport=part.transport,
        max_output_tokens=part.max_output_tokens,
        timeout_s=part.timeout_s,
        connect_timeout_s=part.connect_timeout_s,
        proxy=proxy,
        ca_file=str(folder / _expanded(ca_file)) if ca_file else None,
        options=part.options,
    )
    return Bound(
        target,
        values["price"],
        part.attempts,
        part.image_tokens,
        part.max_in_flight,
        place,
        unknown_price=part.unknown_price == "allow",
        key=key,
    )


def _filled(
    document: Document, part: TargetPart, place: Place, env: Mapping[str, str]
) -> dict[str, str | None]:
    """The fields that may come from the environment, read from there where the file says so."""
    named = part.variables()
    values: dict[str, str | None] = {}
    for field in ("model", "base_url", "price"):
        if field not in named:
            values[field] = getattr(part, field)
            continue
        variable = named[field]
        values[field] = env.get(variable) or None
        if values[field] is None and field != "price":
            raise document.error(
                ConfigError,
                f"the environment variable {variable} is not set",
                (*place, field),
                hint="set it, or say `optional: true` to leave this target out without it",
            )
    return values


def _is_path(path: Path) -> bool:
    """A path, not a name: it has a folder in it, or YAML's suffix."""
    return path.suffix in (".yaml", ".yml") or path.parent != Path()


def _expanded(path: str | Path) -> Path:
    """With the user's home for ``~``; as it is where that home is not known."""
    return Path(os.path.expanduser(path))
