"""OpenAI's embeddings, coming in: a body's bytes become texts and the fields that go along."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...asking import Options
from .chat import Asked, decoded
from .failure import refuse


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for embeddings."""

    input: str | list[Any]
    model: str = "auto"
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


_decoder = msgspec.json.Decoder(Body)


def read(raw: bytes) -> tuple[Asked, dict[str, Any]]:
    """A request, each of whose texts is a message, and the fields that go along with it.

    Raises: Refusal, for what is no such body, or asks what can't be honoured.
    """
    body: Body = decoded(_decoder, raw)
    texts = [body.input] if isinstance(body.input, str) else body.input
    for i, text in enumerate(texts):
        field = "input" if isinstance(body.input, str) else f"input[{i}]"
        if not isinstance(text, str):
            raise refuse(
                400,
                f"{field}: has to be text; token ids are another model's words, and no guard "
                "can read them",
                "unsupported_value",
                param=field,
            )
        if not text:
            raise refuse(400, f"{field}: is empty", "invalid_value", param=field)
    if not texts:
        raise refuse(400, "input: nothing was asked", "invalid_value", param="input")
    given = {"encoding_format": body.encoding_format, "dimensions": body.dimensions}
    fields = {name: value for name, value in given.items() if value is not None}
    options: Options = {} if body.user is None else {"tags": {"user": body.user}}
    asked = Asked(
        model=body.model,
        messages=[{"role": "user", "content": text} for text in texts],
        options=options,
        metadata=None,
        streamed=False,
        usage=True,
        places={
            **{f"messages[{i}].content": f"input[{i}]" for i in range(len(texts))},
            "messages": "input",
        },
    )
    return asked, fields
