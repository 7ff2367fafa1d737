"""A web app that answers on the device first.

Run it with two server workers; they share one model process:

    uvicorn app:app --workers 2
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from firsthop import AsyncRouter
from router import routes  # the app's own router.py, not firsthop's package


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncRouter("firsthop.yaml") as firsthop:
        app.state.firsthop = firsthop
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(routes)
