"""Where a calibration lies and what it holds for: a file written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from ..confidence.stored import Binding, Calibration, from_bytes, to_bytes
from ..config import Config
from ..errors import ConfigError, ModelError
from ..providers.base import Target


def device_of(config: Config, tiers: tuple[str, ...]) -> Target:
    """The target whose drafts are judged: the first that is a device, else of the weakest tier.

    Raises:
        ConfigError: the config has none.
    """
    targets = [bound.target for bound in config.targets]
    for target in targets:
        if target.provider == "device":
            return target
    for tier in tiers[:-1]:
        for target in targets:
            if target.tier == tier:
                return target
    raise ConfigError("has no device target, so there are no drafts to calibrate", file=config.file)


def strong_of(config: Config, tiers: tuple[str, ...], device: Target) -> Target | None:
    """The target of the strongest tier that is served. None: there is only the device."""
    for tier in reversed(tiers):
        for bound in config.targets:
            if bound.target.tier == tier and bound.target.name != device.name:
                return bound.target
    return None


def beside_of(
    config: Config, tiers: tuple[str, ...], device: Target, strong: str
) -> dict[str, str]:
    """By tier, the name of the first target of each other tier above the device's.

    Args:
        strong: The target that drafts are compared with: of its tier nobody else is asked.

    Raises:
        ConfigError: no other tier is served.
    """
    targets = {bound.target.name: bound.target for bound in config.targets}
    found: dict[str, str] = {}
    for target in targets.values():
        above = target.tier in tiers[tiers.index(device.tier) + 1 :]
        if above and target.tier != targets[strong].tier:
            found.setdefault(target.tier, target.name)
    if not found:
        raise ConfigError(
            f"no target serves another tier than {targets[strong].tier} above the device's",
            field="--tiers",
            file=config.file,
        )
    return found


def strong_tier(
    config: Config, tiers: tuple[str, ...], device: Target, named: str | None
) -> str | None:
    """Which of the tiers a label means by "the strong one". None: none of them is served.

    Args:
        tiers: Stronger than the device's.
        named: The target that the drafts are compared with. None: one of the strongest tier.
    """
    found = strong_of(config, tiers, device)
    if named is None:
        return None if found is None else found.tier
    asked = [bound.target.tier for bound in config.targets if bound.target.name == named]
    return next((tier for tier in asked if tier in tiers), None)


def binding_of(target: Target, engine: str | None) -> Binding:
    """What a calibration of this target's drafts holds for.

    Of a device: the model's name, its build, which names the precision and changes with the files,
    and the engine. Of any other target its model and provider.

    Args:
        engine: As the device's worker names it.

    Raises:
        ConfigError: the device's model is not here, or its engine is not known.
    """
    if target.provider != "device":
        return Binding(model=target.model, quantisation="none", engine=target.provider)
    from ..models import Store, manifest

    try:
        path = Path(os.path.realpath(Store().find(target.model).path))
        paper = manifest.read(path)
    except ModelError as exc:
        raise ConfigError(str(exc), field=f"targets.{target.name}.model") from exc
    if engine is None:
        raise ConfigError(
            f"target {target.name} doesn't answer, so nothing can be bound to its engine",
            field=f"targets.{target.name}",
            hint="`firsthop doctor --call` says why",
        )
    return Binding(
        model=path.name if paper is None else paper.name,
        quantisation="unknown" if paper is None else paper.build,
        engine=engine,
    )


def write(path: Path, calibration: Calibration) -> None:
    """Put it there, whole or not at all.

    Raises:
        ConfigError: it can't be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(to_bytes(calibration))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise ConfigError(f"cannot be written: {exc.strerror or exc}", file=path) from exc


def read(path: Path, expected: Binding | None) -> Calibration:
    """What lies there, if it holds for `expected`. None: whatever it was made for.

    Raises:
        ConfigError: it is broken, foreign or stale, or can't be read.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror or exc}", file=path) from exc
    return from_bytes(data, expected, str(path))
