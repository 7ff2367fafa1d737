"""What the sidecar may be told about itself: bounds, names, times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Hosts that a client on this machine calls it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every bound of the door.

    Attributes:
        hosts: What the Host header may say, without its port. None: anything, as on a Unix socket,
            which no web page reaches.
        targets: Whether `model` may name a target, past the policy's choice but not its guards.
        aliases: Other names for what `model` may say, such as ``{"gpt-4o-mini": "auto"}``.
        max_body_bytes: Largest body; a larger one is a 413.
        max_head_bytes: Largest request line and headers together; larger is a 431.
        head_s: Seconds in which a request's head has to be there.
        body_s: Seconds in which its body has to be there.
        max_receiving: Most bodies that may be coming at once; for one more the one that began first
            is given up.
        max_receiving_bytes: Most bytes of unfinished bodies that are held, likewise.
        unread_s: Seconds after which a client that reads nothing of what is sent is hung up on.
        max_concurrent: Most requests that are answered at once; one more is a 429.
        beat_s: Seconds of silence after which a stream that waits gets a comment.
        grace_s: Seconds that running requests get when the server is told to stop.
    """

    hosts: frozenset[str] | None = LOOPBACK
    targets: bool = True
    aliases: Mapping[str, str] = field(default_factory=dict)
    max_body_bytes: int = 32 * 1024 * 1024
    max_head_bytes: int = 32 * 1024
    head_s: float = 10.0
    body_s: float = 30.0
    max_receiving: int = 512
    max_receiving_bytes: int = 256 * 1024 * 1024
    unread_s: float = 60.0
    max_concurrent: int = 256
    beat_s: float = 10.0
    grace_s: float = 20.0
