"""What can be asked of the server itself: its models, one decision, its health. Asks no target."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec

from .. import __version__
from ..compose import Router
from ..drive.health import TargetHealth
from ..errors import LedgerError
from .callers import KEY_TAG, Caller, Callers, chosen, usable
from .exchange import Exchange
from .names import Names
from .together import Together
from .wire.failure import refuse

if TYPE_CHECKING:
    from ..ledger.report import RequestDetail

_TEXTS = ("messages", "answer")
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


async def models(exchange: Exchange, names: Names, started_at: float) -> None:
    """`GET /v1/models`: every name that `model` may have, under its caller's key."""
    listed = [_model(name, started_at) for name in await usable(exchange.caller, names)]
    await _send(exchange, 200, {"object": "list", "data": listed})


async def model(exchange: Exchange, names: Names, name: str, started_at: float) -> None:
    """`GET /v1/models/{name}`. Raises: Refusal, 404."""
    await chosen(exchange.caller, name, names)
    await _send(exchange, 200, _model(name, started_at))


def _model(name: str, started_at: float) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(started_at), "owned_by": "firsthop"}


async def decision(exchange: Exchange, router: Router, name: str) -> None:
    """`GET /v1/decisions/{id}`: all that the ledger knows of one, but for its text.

    Raises: Refusal, 404.
    """
    detail = await asyncio.to_thread(_detail, router, name) if _ID.fullmatch(name) else None
    if detail is None or not _may_see(exchange.caller, detail):
        raise refuse(404, f"no decision {name!r} is in the ledger", "decision_not_found")
    kept = {f.name: getattr(detail, f.name) for f in fields(detail) if f.name not in _TEXTS}
    await _send(exchange, 200, kept)


def _may_see(caller: Caller | None, detail: RequestDetail) -> bool:
    """A key sees the decisions it asked for, an observer's all."""
    if caller is None or caller.entry.observer:
        return True
    return detail.request.tags.get(KEY_TAG) == caller.entry.name


def _detail(router: Router, name: str) -> RequestDetail | None:
    from ..ledger.report import Report  # when the first decision is asked for, on a thread

    with Report.open(router.config.ledger_folder) as report:
        try:
            return report.request(name)
        except LedgerError:
            return None


async def health(
    exchange: Exchange, router: Router, callers: Callers | None, together: Together
) -> None:
    """`GET /healthz`: the process lives; 200 as long as it answers. Where keys are asked for, who
    brings none is told no more than that."""
    policy = router.watched.policy
    said: dict[str, Any] = {"status": "ok"}
    if callers is None or exchange.caller is not None:
        said["version"] = __version__
        said["policy"] = f"{policy.name}@{policy.revision}"
        said["policy_problem"] = router.watched.problem
        said |= together.who()
    if callers is not None and exchange.caller is not None:
        said["keys_problem"] = callers.problem
    await _send(exchange, 200, said)


async def ready(
    exchange: Exchange, router: Router, together: Together, *, stopping: bool, terse: bool
) -> None:
    """`GET /readyz`: whether a request would have somebody to answer it; 503 names what is not so.

    A model that has not been loaded is no reason: the first request loads it. Nor is another
    worker that is not up, but it is named.

    Args:
        terse: Say whether, and not why.
    """
    targets = router.health()
    why = {name: _unusable(target) for name, target in targets.items()}
    not_ready = [f"target {name}: {reason}" for name, reason in why.items() if reason]
    usable = any(reason is None for reason in why.values())
    if router.ledger.unwritten and router.ledger.failures:
        not_ready.append("ledger: the disk does not take its lines")
        usable = False
    not_ready += together.missing()
    if stopping:
        not_ready.append("server: it is stopping")
        usable = False
    said: dict[str, Any] = {"ready": usable}
    if not terse:
        said |= {"not_ready": not_ready, "targets": targets}
    await _send(exchange, 200 if usable else 503, said)


def _unusable(target: TargetHealth) -> str | None:
    """Why a target would not be asked now. None: it would."""
    if target.open_for_s is not None:
        return f"its circuit breaker is open, last error {target.last_error}"
    if target.offline_since is not None:
        return "there is no network to it"
    if target.quiet_for_s > 0:
        return f"it asked for quiet for {target.quiet_for_s:.0f} s"
    return None


async def _send(exchange: Exchange, status: int, said: Any) -> None:
    await exchange.whole(status, msgspec.json.encode(said))
