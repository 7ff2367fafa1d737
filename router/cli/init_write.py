"""A plan becomes files: the key in its place, own prices, and a config with words beside it.

The config is loaded once before it is put in its place, so that what `init` leaves behind works.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import config as configs
from ..errors import ConfigError
from ..keys import InEnv, InFile, InKeyring, Place, keep_in_file
from .init_plan import Hop, KeyPlan, Plan

_WIDTH = 48
_PLAIN = re.compile(r"[A-Za-z/]([A-Za-z0-9_./:-]*[A-Za-z0-9_./-])?")
_NO_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def write(plan: Plan, out: Path) -> list[Path]:
    """Store the key, write the files, and load the config from them. Returns the files written.

    Raises:
        ConfigError: the config would not load, or a file can't be written. What was written is
            taken away again, except for an entry of the keyring.
    """
    prices_file = out.with_name(f"{out.stem}.prices.yaml")
    own = [hop for hop, _ in plan.hops if hop.own_usd_per_1m]
    made: list[Path] = []
    before = prices_file.read_bytes() if own and prices_file.exists() else None
    # Of the kind that a config's name has, and beside it: its paths are relative to it.
    draft = out.with_name(f".{out.stem}.new.yaml")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for hop, _ in plan.hops:
            if hop.key is not None and hop.key.new:
                made += _store(hop.key)
        if own:
            _put(prices_file, _prices(own))
            made.append(prices_file)
        _put(draft, config_text(plan, prices_file.name if own else None))
        _try(draft, plan)
        os.replace(draft, out)
    except (ConfigError, OSError) as exc:
        for path in (draft, *made):
            with contextlib.suppress(OSError):
                path.unlink()
        if before is not None:
            with contextlib.suppress(OSError):
                prices_file.write_bytes(before)
        if isinstance(exc, ConfigError):
            raise
        raise ConfigError(f"can't be written: {exc.strerror or exc}", file=out) from exc
    return [out, *made]


def config_text(plan: Plan, prices: str | None) -> str:
    """The config, with comments."""
    lines = [
        "# Written by `firsthop init`; `firsthop doctor` checks it. See docs/config.md.",
        "version: 1",
        _line("policy: " + plan.policy, "a shipped one, or the path of your own"),
        "",
        "targets:",
    ]
    for hop, tier in plan.hops:
        lines += [*_target(hop, tier), ""]
    if prices:
        lines += [_line(f"prices: {prices}", "your own prices, before all others"), ""]
    lines.append(_line("ledger: {keep_text: false}", "true keeps prompts and answers too"))
    return "\n".join(lines) + "\n"


def _target(hop: Hop, tier: str) -> list[str]:
    found = [
        _line(f"  {hop.name}:", hop.about),
        _line(f"    tier: {_word(tier)}", "a tier of the policy"),
        f"    provider: {hop.provider}",
    ]
    if hop.base_url:
        found.append(f"    base_url: {_word(hop.base_url)}")
    says = "the deployment's name" if hop.provider == "azure_ai" else ""
    if hop.provider == "device":
        says = f"firsthop models pull {hop.model}"
    found.append(_line(f"    model: {_word(hop.model)}", says))
    if hop.key is not None:
        found.append(_line(f"    api_key: {_place(hop.key.place)}", "where the key lies"))
    if hop.price:
        found.append(_line(f"    price: {_word(hop.price)}", "a line of the price list"))
    if hop.max_output_tokens:
        found.append(f"    max_output_tokens: {hop.max_output_tokens}")
    if hop.options:
        inside = ", ".join(f"{name}: {_word(value)}" for name, value in hop.options.items())
        found.append(f"    options: {{{inside}}}")
    return found


def _place(place: Place) -> str:
    if isinstance(place, InEnv):
        return f"{{env: {place.name}}}"
    if isinstance(place, InFile):
        return f"{{file: {_word(str(place.path))}}}"
    return f"{{keyring: {{service: {_word(place.service)}, user: {_word(place.user)}}}}}"


def _line(text: str, comment: str) -> str:
    return f"{text:<{_WIDTH}} # {comment}" if comment else text


def _word(value: Any) -> str:
    """A scalar as YAML reads it back: plain where that is safe, else as JSON, which YAML is too."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT
    return value if plain else json.dumps(value, ensure_ascii=False)


def _store(key: KeyPlan) -> list[Path]:
    """Put a key where the config will say that it lies."""
    assert key.value is not None
    if isinstance(key.place, InFile):
        keep_in_file(key.place.path, key.value)
        return [key.place.path]
    if isinstance(key.place, InKeyring):
        key.place.write(key.value)
    return []


def _prices(own: list[Hop]) -> str:
    """A price list with the lines of these targets; what it doesn't have comes from the others."""
    today = datetime.now(UTC).date()
    lines = ["# Dollars per million tokens. Written by `firsthop init`.", "", "prices:"]
    for hop in own:
        assert hop.own_usd_per_1m is not None
        fields = {
            "id": f"own/{hop.name}@{today}",
            "provider": hop.provider,
            "model": hop.model,
            "input_usd_per_1m": str(hop.own_usd_per_1m[0]),
            "output_usd_per_1m": str(hop.own_usd_per_1m[1]),
            "source": "told to firsthop init",
            "checked": str(today),
            "valid_from": str(today),
        }
        first, *rest = (f"{name}: {json.dumps(value)}" for name, value in fields.items())
        lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _try(draft: Path, plan: Plan) -> None:
    """Load it as `ask` would; a variable that is still to be set counts as set."""
    from ..compose import fit

    unset = {
        hop.key.place.name: "unset"
        for hop, _ in plan.hops
        if hop.key and isinstance(hop.key.place, InEnv) and hop.key.value is None
    }
    fit(configs.load(draft, {**os.environ, **unset}))
