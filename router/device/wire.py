"""What a client and the device worker say to each other, and how it lies on the wire.

A frame is four bytes of length, big-endian, then one msgpack message. Messages are arrays that
begin with their tag, so a token costs some fifty bytes. In go bytes as they come, out come whole
messages; nothing here touches a socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from ..types import Finish, Message, TokenLogprob
from .engine import EngineInfo, Job, Reuse
from .predict import Outlook

VERSION = 5
"""Raised whenever a message changes. It is part of the meeting place's name, so that a client
never meets a worker that speaks otherwise; `Hello` still says it."""

MAX_FRAME_BYTES = 16 << 20
"""Longest message either side takes. A prompt that long is far past any context."""

_LENGTH_BYTES = 4
_M = TypeVar("_M")


class _Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class Hello(_Frame, frozen=True, tag="hello"):
    """A client's first message.

    Attributes:
        key: What the worker's card says a client must show. None: the place needs no key.
        app: Known to the client's process alone, and the same for all of its connections. What is
            kept of one app's prompts is never used for another's. Empty: this connection is one.
    """

    version: int
    key: str | None = None
    app: str = ""


class Run(_Frame, frozen=True, tag="run"):
    """Answer this. The client chooses `id`, unique among its own.

    Attributes:
        within_s: Seconds in which the answer has to be whole to be worth anything. None: any time.
    """

    id: int
    job: Job
    within_s: float | None = None


class Cancel(_Frame, frozen=True, tag="cancel"):
    """Nobody waits for `id` any more. There is no reply."""

    id: int


class Count(_Frame, frozen=True, tag="count"):
    """How many tokens is this prompt?"""

    id: int
    messages: tuple[Message, ...]


class Health(_Frame, frozen=True, tag="health"):
    """How are you?"""

    id: int


class Watch(_Frame, frozen=True, tag="watch"):
    """Tell me what is ahead, now and whenever it changes. The reply is `Ahead`, many times."""


class Ready(_Frame, frozen=True, tag="ready"):
    """The worker's first message: the model is loaded and warm.

    Attributes:
        pid: The worker's process id.
        proof: What its card says a worker must show. None: the place needs no proof.
    """

    info: EngineInfo
    pid: int
    proof: str | None = None


class Token(_Frame, frozen=True, tag="token"):
    """One token was chosen.

    Attributes:
        text: Whole characters that are new; may be empty.
        logprob, entropy, margin: As in `TokenStat`.
        spelled: The token itself, if the job asks for log-probabilities; never the end token.
    """

    id: int
    text: str
    logprob: float
    entropy: float | None
    margin: float | None
    spelled: TokenLogprob | None = None


class Done(_Frame, frozen=True, tag="done"):
    """The answer ended well.

    Attributes:
        input_tokens: The prompt, template included.
        output_tokens: Tokens chosen, the end token included.
        queued_s: Seconds spent waiting for other jobs.
        prefill_s: Seconds from the job's start to its first token.
        decode_s: Seconds from the first token to the last.
        reused_tokens: Those of `input_tokens` that had been read for an earlier job.
        state: As in `Step`.
    """

    id: int
    finish: Finish
    input_tokens: int
    output_tokens: int
    queued_s: float
    prefill_s: float
    decode_s: float
    reused_tokens: int = 0
    state: bytes | None = None


class Failed(_Frame, frozen=True, tag="failed"):
    """It did not end well.

    Attributes:
        id: Of the request. 0: the worker can't serve anybody, or doesn't any longer, and closes.
        kind: A `HopError.kind`.
    """

    id: int
    kind: str
    message: str
    retryable: bool
    code: str | None = None


class Counted(_Frame, frozen=True, tag="counted"):
    """Tokens of the prompt that was asked about."""

    id: int
    tokens: int


class Healthy(_Frame, frozen=True, tag="healthy"):
    """How the worker is.

    Attributes:
        clients: Connections open now.
        running: Whether a job is being worked on.
        queued: Jobs that wait behind it.
        jobs_done: Jobs that ended well since the start.
        up_s: Seconds since the model was ready.
        memory_bytes: Resident memory now. None: not readable here.
        active: Jobs that are being worked on by turns.
        turned_away: Jobs that were told at once that they would be too late, or that there is no
            room in line.
        reuse: What had not to be read again.
    """

    id: int
    pid: int
    clients: int
    running: bool
    queued: int
    jobs_done: int
    up_s: float
    memory_bytes: int | None
    active: int = 0
    turned_away: int = 0
    reuse: Reuse = Reuse()


class Ahead(_Frame, frozen=True, tag="ahead"):
    """What is ahead, for a client that watches. Sent when a job comes, begins, speaks or ends."""

    outlook: Outlook


class Goodbye(_Frame, frozen=True, tag="goodbye"):
    """The worker will leave when the jobs it has are done. New ones need another worker."""

    why: str


ToWorker = Hello | Run | Cancel | Count | Health | Watch
ToClient = Ready | Token | Done | Failed | Counted | Healthy | Ahead | Goodbye

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(ToWorker)
_to_client = msgspec.msgpack.Decoder(ToClient)


class WireError(Exception):
    """The other side doesn't speak this protocol. Stays inside the room."""


def pack(message: ToWorker | ToClient) -> bytes:
    """One message as a frame.

    Raises:
        UnicodeEncodeError: A string holds half of a surrogate pair.
        OverflowError, TypeError: A part of it has no place on the wire.
        WireError: It is longer than a frame may be.
    """
    frame = bytearray(_LENGTH_BYTES)
    _encoder.encode_into(message, frame, _LENGTH_BYTES)
    length = len(frame) - _LENGTH_BYTES
    if length > MAX_FRAME_BYTES:
        raise WireError(f"a message of {length:,} bytes; at most {MAX_FRAME_BYTES:,} can be sent")
    frame[:_LENGTH_BYTES] = length.to_bytes(_LENGTH_BYTES, "big")
    return bytes(frame)


def check(frame: bytes) -> None:
    """Raise `WireError` if a worker couldn't read this frame: a part has the wrong type."""
    _decode(_to_worker, frame[_LENGTH_BYTES:])


class Inbox:
    """Bytes as they come in, whole messages out."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def requests(self, data: bytes) -> Iterator[ToWorker]:
        """The client's messages that `data` completes. Raises `WireError`."""
        for frame in self._frames(data):
            yield _decode(_to_worker, frame)

    def replies(self, data: bytes) -> Iterator[ToClient]:
        """The worker's messages that `data` completes. Raises `WireError`."""
        for frame in self._frames(data):
            yield _decode(_to_client, frame)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        if not self._bytes and _is_one_frame(data):  # a token that came alone, as most do
            yield data[_LENGTH_BYTES:]
            return
        held = self._bytes
        held += data
        start = 0
        try:
            while len(held) - start >= _LENGTH_BYTES:
                begin = start + _LENGTH_BYTES
                length = int.from_bytes(held[start:begin], "big")
                if length > MAX_FRAME_BYTES:
                    raise WireError(f"a frame of {length:,} bytes is announced")
                if len(held) < begin + length:
                    break
                start = begin + length
                yield bytes(held[begin:start])
        finally:
            del held[:start]


def _is_one_frame(data: bytes) -> bool:
    return int.from_bytes(data[:_LENGTH_BYTES], "big") == len(data) - _LENGTH_BYTES


def _decode(decoder: msgspec.msgpack.Decoder[_M], frame: bytes) -> _M:
    try:
        return decoder.decode(frame)
    except msgspec.DecodeError as exc:
        raise WireError(str(exc)) from exc
