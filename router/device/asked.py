"""A job as an engine begins it: checked, its prompt in tokens, its form made ready.

In goes a job and the model's voice, out comes an `Asked`, or why it can't be answered. Nothing has
been read by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import Incapable, Refused
from ..types import Message
from .engine import Guide, Job
from .guard import Guard
from .sampling import Sampler, Sampling
from .schema import read_schema
from .voice import Voice

# They are looked for at every token.
_MOST_STOP_CHARACTERS = 1000
_MOST_SPELLED = 20

WARM_UP = Job(
    messages=(Message(role="user", content="The first request must not be the slow one. " * 6),),
    max_output_tokens=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an engine needs to know of a job.

    Attributes:
        prompt: Ids, shape (tokens,).
        cap: Most tokens of the answer; the context has room for them.
        guide: The form as the runtime is given it. None: free.
        guard: Brings a JSON answer to its end in time.
    """

    job: Job
    prompt: npt.NDArray[np.int32]
    cap: int
    sampler: Sampler
    guide: Guide | None
    guard: Guard | None

    @property
    def need(self) -> int:
        """Tokens of prompt and answer together."""
        return len(self.prompt) + self.cap


def ask(job: Job, voice: Voice, limit: int) -> Asked:
    """Make a job ready.

    Args:
        limit: Most tokens of prompt and answer.

    Raises:
        Incapable: No room is left for an answer, or the form can't be held to.
        Refused: The job itself is wrong.
    """
    _check(job)
    sampler = Sampler(_sampling(job), guided=job.guide is not None)
    prompt = voice.prompt.ids(job.messages)
    room = limit - len(prompt)
    if room < 1:
        raise Incapable(
            f"the prompt has {len(prompt):,} tokens; this model takes {limit:,} with the answer",
            code="context_length_exceeded",
        )
    cap = min(job.max_output_tokens, room)
    guide, guard = _hold_to(job.guide, voice, cap)
    return Asked(
        job=job,
        prompt=np.array(prompt, np.int32),
        cap=cap,
        sampler=sampler,
        guide=guide,
        guard=guard,
    )


def unholdable(guide: Guide, exc: RuntimeError) -> Incapable | Refused:
    """A guide that the runtime couldn't read, as an error of the request."""
    kind = Incapable if guide.kind == "json" else Refused
    return kind(f"the model can't be held to this form: {exc}")


def _hold_to(guide: Guide | None, voice: Voice, cap: int) -> tuple[Guide | None, Guard | None]:
    """The guide as the runtime is given it, and who ends a JSON answer in time."""
    if guide is None or guide.kind != "json":
        return guide, None
    if voice.shortest is None:
        raise Incapable("this model's tokens aren't known well enough to hold it to JSON")
    form = read_schema(_parsed(guide.text), cap)
    guard = Guard(form, voice.shortest, leading_space=voice.leading_space)
    if guard.tail is None or len(guard.tail) > cap:
        least = "more than there are" if guard.tail is None else f"{len(guard.tail):,}"
        raise Incapable(
            f"the shortest answer of this form has {least} tokens; it may have {cap:,}",
            code="max_output_tokens",
        )
    return Guide(kind="json", text=form.as_schema()), guard


def _check(job: Job) -> None:
    if not job.messages:
        raise Refused("there is no message to answer")
    if job.max_output_tokens < 1:
        raise Refused(f"max_output_tokens is {job.max_output_tokens}; it has to be at least 1")
    if job.logprobs is not None and not 0 <= job.logprobs <= _MOST_SPELLED:
        raise Refused(f"logprobs is {job.logprobs}; it has to be from 0 to {_MOST_SPELLED}")
    if sum(map(len, job.stop)) > _MOST_STOP_CHARACTERS:
        raise Refused(f"the stop strings have over {_MOST_STOP_CHARACTERS:,} characters together")


def _sampling(job: Job) -> Sampling:
    sampling = Sampling(
        temperature=job.temperature,
        top_p=job.top_p,
        top_k=job.top_k,
        min_p=job.min_p,
        frequency_penalty=job.frequency_penalty,
        presence_penalty=job.presence_penalty,
        logit_bias=job.logit_bias,
        seed=job.seed,
    )
    sampling.check()
    return sampling


def _parsed(schema: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(schema, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise Refused(f"the JSON Schema can't be read: {exc}") from exc
    return found
