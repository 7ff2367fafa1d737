"""What is known of a request before it is sent, and what that lets expect. Pure.

In go its tokens and cap, and what a worker said or left behind; out comes a `Forecast`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .learned import Kept
from .predict import Forecast, Load, Outlook, forecast, length
from .schedule import PATIENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One request.

    Attributes:
        input_tokens: Of its prompt, template included. None: as many as usual.
        cap: Most tokens its answer may have.
        output_tokens: What its answer will have. None: as long as answers get.
        tenant: Whose it is, by its mark with the worker; see `tenant_mark`.
        within_s: Seconds it has. None: any time.
    """

    input_tokens: int | None
    cap: int
    output_tokens: int | None = None
    tenant: str = ""
    within_s: float | None = None

    def warm(self, outlook: Outlook, elapsed_s: float) -> Forecast:
        """With a worker that said this so long ago."""
        usual = None if outlook.usual is None else outlook.usual.unread
        tokens = self.input_tokens
        unread = usual if tokens is None else outlook.unread(tokens)
        left = self.output_tokens or length(outlook, self.cap)
        if unread is None:
            return forecast(outlook, None)
        found = forecast(
            outlook,
            Load(
                tenant=self.tenant,
                client=outlook.you,
                due_s=PATIENCE_S if self.within_s is None else self.within_s,
                unread=max(1, unread),
                left=1.0 if left is None else left,
            ),
            elapsed_s,
        )
        if left is None:
            return Forecast(queue=found.queue, first_token_s=found.first_token_s, end_s=None)
        return found

    def cold(self, kept: Kept | None) -> Forecast:
        """With no worker up: nobody waits, and one has to be started first."""
        if kept is None:
            return Forecast(loaded=False, queue=0, first_token_s=None, end_s=None)
        outlook = Outlook(rates=kept.costs().rates(), lengths=kept.lengths)
        found = self.warm(outlook, 0.0)
        first, end = found.first_token_s, found.end_s
        return Forecast(
            loaded=False,
            queue=0,
            first_token_s=None if first is None else kept.start_s + first,
            end_s=None if end is None else kept.start_s + end,
        )


def tenant_mark(app: str, tenant: str | None) -> str:
    """What stands for a tenant of an app in the worker and in what others are told.

    Who doesn't know `app` can neither make the mark nor find out the name by trying names.

    Args:
        app: What the app's process says of itself; see `wire.Hello`.
        tenant: None or empty: nobody is named, which is one tenant of this app.
    """
    key = hashlib.blake2s(app.encode()).digest()
    name = (tenant or "").encode(errors="surrogatepass")
    return hashlib.blake2s(name, key=key, digest_size=16).hexdigest()
