"""Which of several workers a request goes to."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from router.device.engine import EngineOptions
from router.device.predict import Forecast
from router.device.serving import Limits
from router.providers.device_workers import Workers


class Link:
    def __init__(self, queue: int | None) -> None:
        self.queue = queue
        self.worker_pid = 1

    async def forecast(self, ask: object) -> Forecast:
        return Forecast(queue=self.queue, first_token_s=None, end_s=None)


@pytest.mark.parametrize(
    ("queues", "chosen"),
    [
        ([0, 0], 0),
        ([2, 0, 0], 1),
        ([2, 1, 3], 1),
        ([1, None], 0),  # what is not known is not taken for idle
        ([None, 2], 1),
        ([None, None], 0),
    ],
)
def test_the_one_with_the_fewest_requests_that_are_known(
    queues: list[int | None], chosen: int
) -> None:
    workers = Workers("m", EngineOptions(folder=""), Limits(), len(queues))
    workers._links = cast(Any, [Link(queue) for queue in queues])

    assert asyncio.run(workers.idlest()) is workers._links[chosen]
