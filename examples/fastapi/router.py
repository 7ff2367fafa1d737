"""This app's own `router` module, as many apps have one. firsthop must not mind."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request

routes = APIRouter()


@routes.get("/ask")
async def ask(question: str, request: Request) -> dict[str, object]:
    answer = await request.app.state.firsthop.ask(question)
    return {
        "text": answer.text,
        "answered_by": answer.answered_by,
        "decision_id": answer.decision_id,
        "cost_usd": None if answer.cost_usd is None else str(answer.cost_usd),
    }


@routes.get("/processes")
async def processes(request: Request) -> dict[str, int | None]:
    """This server process, and the model process it shares with the others."""
    health = await request.app.state.firsthop.device_health()
    return {"server": os.getpid(), "model": health.pid if health else None}
