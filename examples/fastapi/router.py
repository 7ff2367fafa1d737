"""This app's own `router` module, as many apps have one. firsthop must not mind."""

from __future__ import annotations

from fastapi import APIRouter, Request

routes = APIRouter()


@routes.get("/ask")
async def ask(question: str, request: Request) -> dict[str, object]:
    answer = await request.app.state.firsthop.ask(question, max_output_tokens=24)
    return {
        "text": answer.text,
        "answered_by": answer.answered_by,
        "decision_id": answer.decision_id,
        "cost_usd": None if answer.cost_usd is None else str(answer.cost_usd),
    }


@routes.get("/device")
async def device(request: Request) -> dict[str, object]:
    health = await request.app.state.firsthop.device_health()
    return {"pid": health.pid, "jobs_done": health.jobs_done}
