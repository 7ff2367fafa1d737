"""What a server is to be, as the command line says it, and what each of its workers is told."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A server, whether one process answers or several.

    Attributes:
        config: A path or a name. None: where configs are looked for.
        policy: A name or a path. None: the config's.
        where: How clients reach it, for people.
        keys: The file of callers' keys. None: nobody is asked for one.
        hosts: See `Settings`; and so the others down to `grace_s`.
        access_log: A path, or ``-``. None: none is written.
        json_log: Whether the process's own log is for machines.
        otel: Whether traces are sent.
    """

    config: str | None
    policy: str | None
    where: str
    keys: str | None
    hosts: list[str] | None
    targets: bool
    aliases: dict[str, str]
    max_body_bytes: int
    max_concurrent: int
    beat_s: float
    grace_s: float
    access_log: str | None
    json_log: bool
    otel: bool


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is told. Descriptors are those that it inherits.

    Attributes:
        number: Which of the workers it is, from 0.
        workers: How many there are.
        listening: The socket that all of them accept from.
        control: To the supervisor: a `Ready` goes that way; its end means that nobody is there.
        board: See `Board`.
    """

    plan: Plan
    number: int
    workers: int
    listening: int
    control: int
    board: int


class Ready(msgspec.Struct, frozen=True):
    """A worker answers. `policy`: the name of the one in force."""

    policy: str
