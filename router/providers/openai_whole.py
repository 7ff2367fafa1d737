"""A chat completion that came whole, as the stream it would have been.

Some servers and gateways pass over ``stream: true``, and NVIDIA's late answers may be whole too.
The answer is paid for, so it is read, not asked for again. In goes an answer whose head is here;
out comes the same, or one whose body is events. What is JSON but no completion keeps its body, for
others to say what it means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .http_call import Answer
from .sse import MAX_TOTAL_BYTES
from .transport import Reply


async def as_stream(answer: Answer) -> Answer:
    """`answer`; a 200 that is a whole completion as the stream of one event.

    Raises: HopError, and BadWire for a body longer than a stream may be.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or not kind.endswith(("/json", "+json")):
        return answer
    body = await answer.whole(MAX_TOTAL_BYTES)
    headers = dict(answer.headers)
    try:
        whole: Any = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    if (
        isinstance(whole, dict)
        and isinstance(whole.get("choices"), list)
        and not whole.get("error")
    ):
        headers["content-type"] = "text/event-stream"
        body = _events(whole)
    pieces = iter([body])

    async def read() -> bytes:
        return next(pieces, b"")

    connect_s = answer.transit.connect_s
    reply = Reply(status=200, headers=headers, read=read, connect_s=connect_s)
    answer.take(reply)
    return answer


def _events(whole: Mapping[str, Any]) -> bytes:
    """A completion as one event and the end mark: each message as the delta that says it all.

    The event has a line for each item, for a line may not be long and a list of log-probabilities
    is; a line break inside of a text is escaped, so none is cut.
    """
    choices = [
        {**choice, "delta": choice.get("message")} if isinstance(choice, dict) else choice
        for choice in whole["choices"]
    ]
    event = json.dumps({**whole, "choices": choices}, separators=(",\ndata: ", ": "))
    return f"data: {event}\n\ndata: [DONE]\n\n".encode()
