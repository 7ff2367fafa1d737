"""One answer of several choices, as it becomes bytes: what `asked` needs of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from ..hops import Outcome
from ..policy.rules import Policy
from ..types import Chunk
from .exchange import Exchange, Headers
from .wire import choices
from .wire.answers import Kind
from .wire.chat import Asked
from .wire.failure import Failure, stream_headers
from .wire.surface import Said

Item = tuple[int, Chunk | Outcome]
Items = AsyncGenerator[Item, None]


@dataclass(slots=True)
class Several:
    """What `_One` is to one choice.

    Attributes:
        ids: The choices' decisions, in order; the first names the answer.
        policy: The one that decides them; set for a stream.
    """

    kind: Kind
    ids: list[str]
    created: int
    asked: Asked
    policy: Policy | None = None
    chunks: choices.Events | None = None

    @property
    def headers(self) -> Headers:
        """What is known of a stream before its first byte."""
        assert self.policy is not None
        return stream_headers(self.ids[0], f"{self.policy.name}@{self.policy.revision}")

    @property
    def ended(self) -> bool:
        """Whether that was all of a stream."""
        return self.chunks is not None and self.chunks.ended

    def events(self, item: Item) -> bytes:
        """What one of the choices gives, as events."""
        return self._begun().item(*item)

    def broken(self, failure: Failure, router: dict[str, Any] | None = None) -> bytes:
        """An error as the last event."""
        return self._begun().broken(failure, router)

    def _begun(self) -> choices.Events:
        if self.chunks is None:
            self.chunks = choices.Events(
                self.kind, self.asked, self.ids[0], self.created, len(self.ids)
            )
        return self.chunks

    async def whole(self, exchange: Exchange, items: Items) -> None:
        """Send the answer when all choices are whole."""
        said = [Said() for _ in self.ids]
        outcomes: dict[int, Outcome] = {}
        async for index, item in items:
            if isinstance(item, Outcome):
                outcomes[index] = item
            else:
                said[index].add(item)
        answers = [(one, outcomes[index]) for index, one in enumerate(said)]
        router = choices.router_of([outcome for _, outcome in answers])
        body = choices.whole(self.kind, self.asked, self.created, answers, router)
        await exchange.whole(200, body, choices.headers_of(router))
