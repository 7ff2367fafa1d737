"""The way of `firsthop init`: what flags don't say is asked, every target is tried, then written.

Until everything is known and every target has answered, nothing is written; so Ctrl-C leaves
nothing behind but a model that was fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from .. import config as configs
from ..clock import SystemClock
from ..document import nearest
from ..errors import ConfigError
from ..models import Store
from ..policy import load as policies
from ..policy.rules import Policy
from ..redaction import redact
from . import init_ask as ask
from .exits import Exit
from .init_cloud import cloud_hop
from .init_plan import OWN_BOX, OWN_DEVICE, Hop, Plan
from .init_price import known_of, priced
from .init_servers import TITLES, Server, Silent, find_servers
from .init_write import write
from .onecall import Called, call_once
from .options import pairs
from .screen import pulling, say_it_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the flags say. None: nothing; `asking`: a person can be asked for it."""

    out: Path
    force: bool
    device: str | None
    servers: tuple[str, ...]
    pull: bool
    provider: str | None
    endpoint: str | None
    model: str | None
    key_env: str | None
    key_file: Path | None
    key_keyring: str | None
    key_stdin: bool
    no_key: bool
    price: str | None
    usd_per_1m: str | None
    policy: str | None
    call: bool
    asking: bool


def run(wishes: Wishes) -> None:
    """All of it.

    Raises:
        ConfigError: a flag is wrong or missing, or a file is there already.
        typer.Exit: a target didn't answer, and nothing was written.
    """
    for path in (wishes.out, wishes.out.with_name(f"{wishes.out.stem}.prices.yaml")):
        if path.exists() and not wishes.force:
            raise ConfigError("is there already", file=path, hint="--force replaces it")
    if not wishes.asking and wishes.provider is None:
        raise ConfigError(
            "is needed where nobody can be asked",
            field="--provider",
            hint="such as azure_ai, or none for no cloud",
        )
    if wishes.asking:
        typer.echo("A config for this machine. Nothing is written before the end; Ctrl-C leaves.")
    say_it_once()
    store = Store()
    device = _device(wishes, store)
    cloud = cloud_hop(wishes, None)
    plan = _plan(wishes, device, cloud)
    plan = _tried(wishes, plan)
    files = write(plan, wishes.out)
    _done(wishes, plan, files, store)


def _device(wishes: Wishes, store: Store) -> Hop | None:
    """What answers first on this device."""
    given = pairs(list(wishes.servers))
    for kind in given:
        if kind not in TITLES:
            raise ConfigError(
                f"{kind!r} is no server", field="--server", hint=nearest(kind, list(TITLES))
            )
    found: Sequence[Server | Silent] = ()
    if wishes.asking and wishes.device is None:
        typer.echo("\nLooking for model servers on this machine ...")
        found = asyncio.run(find_servers(given))
        for one in found:
            says = f"at {one.url}" if isinstance(one, Server) else f"not found ({one.why})"
            typer.echo(f"  {TITLES[one.kind]}: {says}")
        word = ask.device(found, store)
    else:
        word = wishes.device or "phi-3.5-mini"
    if word == "none":
        return None
    kind, _, model = word.partition("/")
    if kind in TITLES and model:
        return _served(kind, model, found or asyncio.run(find_servers(given)))
    if word in store.catalogue and word not in {one.name for one in store.list()}:
        if wishes.pull or (wishes.asking and ask.pull(word, store)):
            with pulling(word) as bar:
                store.ensure(word, on_progress=bar)
    else:
        store.find(word)  # raises for what is no model
    return Hop(
        name="device",
        provider="device",
        model=word,
        about="a model of firsthop's own",
        max_output_tokens=512,
    )


def _served(kind: str, model: str, found: Sequence[Server | Silent]) -> Hop:
    """A model that a server on this machine has."""
    server = next(one for one in found if one.kind == kind)
    if isinstance(server, Silent):
        raise ConfigError(
            f"{TITLES[kind]} does not answer: {server.why}",
            field="--device",
            hint=f"start it, or say where it is: --server {kind}=URL",
        )
    if model not in server.models and f"{model}:latest" not in server.models:
        raise ConfigError(
            f"{server.title} has no model {model!r}",
            field="--device",
            hint=nearest(model, server.models),
        )
    ollama = kind == "ollama"
    return Hop(
        name="device",
        provider="ollama" if ollama else "openai_compatible",
        model=model,
        about=f"served by {server.title} on this machine",
        base_url=server.url if ollama else f"{server.url}/v1",
        price=OWN_DEVICE if ollama else OWN_BOX,
        max_output_tokens=512,
        options={"logprobs": True},
    )


def _plan(wishes: Wishes, device: Hop | None, cloud: Hop | None) -> Plan:
    """Both under a policy that fits. Raises: ConfigError when there is neither."""
    if device is None and cloud is None:
        raise ConfigError("neither a device nor a cloud is left to answer", field="--device")
    word = wishes.policy
    if word is None:
        word = "device-only" if cloud is None else "cloud-only" if device is None else "balanced"
    policy = _policy(wishes, word)
    return Plan(policy=word, tiers=policy.tiers, device=device, cloud=cloud)


def _policy(wishes: Wishes, word: str) -> Policy:
    folders = (wishes.out.resolve().parent / "policies", configs.shipped("policies"))
    path = policies.find(word, folders)
    return policies.load(wishes.out.resolve().parent / path)


def _tried(wishes: Wishes, plan: Plan) -> Plan:
    """Each target that is reached by a wire is called once; the plan with what that taught."""
    if plan.device is not None and plan.device.provider != "device" and wishes.call:
        plan = replace(plan, device=_tried_device(plan.device, plan.tiers[0]))
    cloud = plan.cloud
    while cloud is not None:
        called = None
        if wishes.call:
            tier = plan.hops[-1][1]
            called = _called(cloud, tier)
            if called.error is not None:
                what = ask.after_failure() if wishes.asking else "stop"
                if what == "stop":
                    typer.echo("nothing was written", err=True)
                    raise typer.Exit(Exit.FAILED)
                if what == "again":
                    cloud = cloud_hop(replace(wishes, provider=None, endpoint=None), cloud)
                    plan = _plan(wishes, plan.device, cloud)
                    continue
        limits = _policy(wishes, plan.policy).limits
        limited = limits.cost_usd is not None or limits.day_usd is not None
        return replace(plan, cloud=priced(wishes, cloud, called, limited=limited))
    return plan


def _tried_device(hop: Hop, tier: str) -> Hop:
    """A local server's model, with log-probabilities if it gives them."""
    called = _called(hop, tier)
    if called.error is not None and called.error.kind in ("incapable", "refused"):
        plain = replace(hop, options={})
        called = _called(plain, tier)
    if called.error is not None:
        typer.echo("nothing was written", err=True)
        raise typer.Exit(Exit.FAILED)
    if called.tells:
        return hop
    typer.echo("  it gives no probabilities of its words, so its drafts are never sure enough")
    return replace(hop, options={})


def _called(hop: Hop, tier: str) -> Called:
    """One short call, told."""
    typer.echo(f"\nAsking {hop.name} ({hop.provider}, {hop.model}) for one word ...")
    called = asyncio.run(_call(hop, tier))
    if called.error is not None:
        typer.echo(f"  it failed: {redact(called.error.message)}")
    else:
        who = f" by {redact(called.model)}" if called.model else ""
        typer.echo(f"  answered{who} in {called.took_s:.1f} s")
    return called


async def _call(hop: Hop, tier: str) -> Called:
    provider = hop.provider_of(tier)
    try:
        return await call_once(provider)
    finally:
        await provider.aclose()


def _done(wishes: Wishes, plan: Plan, files: list[Path], store: Store) -> None:
    """What was written, and what comes next."""
    from ..compose import today

    typer.echo("")
    for path in files:
        typer.echo(f"written: {path}")
    for hop, _ in plan.hops:
        for warning in known_of(hop, hop.price).warnings(today(SystemClock())):
            typer.echo(f"note: {warning}")
        if hop.key is not None and hop.key.value is None:
            typer.echo(f"still to do: {hop.key.place} has to be set")
        if hop.provider == "device" and hop.model not in {one.name for one in store.list()}:
            typer.echo(f"still to do: firsthop models pull {hop.model}")
    named = "" if str(wishes.out) == "firsthop.yaml" else f" --config {wishes.out}"
    typer.echo(f"\nNext:\n  firsthop doctor{named}")
    typer.echo(f'  firsthop ask{named} --explain "What is the capital of Japan?"')
