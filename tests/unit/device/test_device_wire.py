from __future__ import annotations

import msgspec
import pytest

from router.device import wire
from router.device.engine import EngineInfo, Job
from router.device.predict import Load, Outlook
from router.types import Message

INFO = EngineInfo(
    model="m",
    engine="e 1",
    device="cpu",
    fallback=None,
    context_limit=4096,
    load_s=0.5,
    memory_bytes=None,
)
JOB = Job(
    messages=(Message(role="system", content="é"), Message(role="user", content="\U0001f600")),
    max_output_tokens=5,
    temperature=0.5,
    seed=2**40,
    stop=("a", "b"),
)
TO_WORKER = [
    wire.Hello(1, None),
    wire.Hello(1, "key", "app"),
    wire.Run(1, JOB),
    wire.Cancel(7),
    wire.Count(3, JOB.messages),
    wire.Health(4),
    wire.Run(5, JOB, 2.5),
    wire.Watch(),
]
TO_CLIENT = [
    wire.Ready(INFO, 42),
    wire.Token(1, "tex", -0.5, None, 0.25),
    wire.Done(1, "stop", 10, 2, 0.1, 0.2, 0.3),
    wire.Done(1, "stop", 10, 2, 0.1, 0.2, 0.3, 4, b"\x00\x80\xff\x7f"),
    wire.Failed(0, "unavailable", "no", False, None),
    wire.Counted(3, 12),
    wire.Healthy(4, 42, 1, True, 0, 3, 1.5, None),
    wire.Ahead(Outlook(running=(Load(tenant="t", unread=1, left=float("inf")),), usual=None)),
    wire.Goodbye("it is full"),
]


@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
def test_messages_survive_any_cut_of_the_bytes(size):
    inbox, outbox = wire.Inbox(), wire.Inbox()
    sent = b"".join(map(wire.pack, TO_WORKER))
    back = b"".join(map(wire.pack, TO_CLIENT))

    asked = [m for k in range(0, len(sent), size) for m in inbox.requests(sent[k : k + size])]
    told = [m for k in range(0, len(back), size) for m in outbox.replies(back[k : k + size])]

    assert asked == TO_WORKER
    assert told == TO_CLIENT


def test_a_token_costs_few_bytes():
    assert len(wire.pack(wire.Token(1, " word", -0.123456789, 1.23456789, 0.987654321))) < 60


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x02\x91\x05",
        wire.pack(wire.Cancel(1))[:-1] + b"\xa1x",
    ],
)
def test_what_is_not_the_protocol_is_said_so(data):
    with pytest.raises(wire.WireError):
        list(wire.Inbox().requests(data + bytes(8)))


def test_a_message_of_the_other_direction_is_not_taken():
    with pytest.raises(wire.WireError):
        list(wire.Inbox().requests(wire.pack(wire.Counted(1, 2))))


def test_a_message_too_long_for_a_frame_is_not_sent():
    long = Message(role="user", content="x" * (wire.MAX_FRAME_BYTES + 1))

    with pytest.raises(wire.WireError, match="at most"):
        wire.pack(wire.Count(1, (long,)))


def test_an_end_without_a_state_is_read_as_one_whose_state_is_unknown():
    ended = msgspec.msgpack.encode(["done", 1, "stop", 10, 2, 0.1, 0.2, 0.3, 4])
    asked = msgspec.msgpack.encode(["run", 1, {"messages": [], "max_output_tokens": 3}])

    [done] = wire.Inbox().replies(len(ended).to_bytes(4, "big") + ended)
    [run] = wire.Inbox().requests(len(asked).to_bytes(4, "big") + asked)

    assert done.state is None
    assert not run.job.states
