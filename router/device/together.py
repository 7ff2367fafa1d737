"""Tokens that follow each other closely go to their reader together.

A quick model writes a token every few milliseconds. Each that goes alone wakes the app, whose work
then takes processor time from the next one; nobody sees text faster than a screen shows it. So a
token waits for the next while the last that was sent to its reader is less than a picture of a
screen ago. An answer's first and last token wait for nothing, nor does one of a slow model; and
whoever is about to do something long first has all that wait sent.
"""

from __future__ import annotations

from collections.abc import Callable

from . import wire
from .mail import Client

PICTURE_S = 1 / 60


class Together:
    """For the tokens of all jobs of a worker.

    Args:
        post: Sends messages to a client.
    """

    def __init__(self, post: Callable[..., None]) -> None:
        self._post = post
        self._waiting: dict[Client, list[wire.ToClient]] = {}

    def tell(self, client: Client, token: wire.Token, *, first: bool) -> None:
        """Send an answer's first token now; have another wait for the next `look`."""
        self._waiting.setdefault(client, []).append(token)
        if first:
            self.post(client)

    def look(self, now: float) -> None:
        """Send what has waited long enough."""
        for client in tuple(self._waiting):
            if now - client.told_at >= PICTURE_S:
                client.told_at = now
                self.post(client)

    def post(self, client: Client, *messages: wire.ToClient) -> None:
        """Send these now, after what waits for the same client."""
        if self._waiting and (before := self._waiting.pop(client, None)):
            self._post(client, *before, *messages)
        else:
            self._post(client, *messages)

    def send(self) -> None:
        """Send all that waits now."""
        while self._waiting:
            client, messages = self._waiting.popitem()
            self._post(client, *messages)
