"""The primary engine: ONNX Runtime GenAI's `Generator`, driven token by token.

In goes a model folder, then jobs; out come steps. It blocks, and the runtime holds the
interpreter's lock while it computes, so only the worker process imports this file. Several jobs may
be under way at once, a step of one after a step of another: each has a generator of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..errors import Incapable, Refused, Unavailable
from ..types import Message
from .detokenize import Detokenizer, FromPieces, FromRuntime, pieces_tell_the_text
from .engine import EngineInfo, EngineOptions, Guide, Job, Reuse, Step
from .folder import read_folder
from .guard import Guard, Shortest
from .kept import Held, KeptGenerators, Tokens
from .logits import RowReader
from .memory import resident_bytes
from .pace import Pace
from .prompt import PromptWriter
from .runtime import NAME, cache_token_bytes, load_model, make_generator
from .sampling import Sampler, Sampling
from .schema import read_schema
from .vocabulary import read_vocabulary
from .writing import Tongue, Writing

# They are looked for at every token.
_MOST_STOP_CHARACTERS = 1000
_MOST_SPELLED = 20
_WARM_UP = Job(
    messages=(Message(role="user", content="The first request must not be the slow one. " * 6),),
    max_output_tokens=2,
)


class OnnxGenAI:
    """A loaded model. See `Engine`.

    Raises, when it is made:
        Unavailable: Not retryable. The folder is missing, or the runtime can't load it.
    """

    def __init__(self, options: EngineOptions) -> None:
        began = time.perf_counter()
        self._folder = read_folder(Path(options.folder))
        self._limit = self._folder.limit(options.context_limit)
        self._pace = Pace()
        device, fallback = self._open(options)
        self.info = EngineInfo(
            model=self._folder.model,
            engine=NAME,
            device=device,
            fallback=fallback,
            context_limit=self._limit,
            load_s=time.perf_counter() - began,
            memory_bytes=resident_bytes(),
        )

    def reuse(self) -> Reuse:
        """What it has not had to read again."""
        return self._kept.figures()

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the prompt these messages make, template included."""
        return len(self._prompt.ids(messages))

    def run(self, job: Job) -> Generator[Step, None, None]:
        """Yield a step for each chunk of the prompt that was read, then for each token chosen.

        Raises:
            Incapable: The prompt leaves no room for an answer within the context limit.
            Refused: The job itself is wrong.
            Unavailable: The model's numbers can't be used.
            RuntimeError: The runtime failed.
        """
        _check(job)
        sampler = Sampler(_sampling(job))
        prompt = self._prompt.ids(job.messages)
        room = self._limit - len(prompt)
        if room < 1:
            raise Incapable(
                f"the prompt has {len(prompt):,} tokens; this model takes {self._limit:,} "
                "with the answer",
                code="context_length_exceeded",
            )
        cap = min(job.max_output_tokens, room)
        guide, guard = self._hold_to(job.guide, cap)
        held, reused = self._take(job.tenant, guide, np.array(prompt, np.int32), cap)
        sound = False
        try:
            yield from self._read(held, np.array(prompt, np.int32), reused)
            yield from Writing(
                held.generator,
                job,
                self._tongue,
                sampler,
                prompt_tokens=len(prompt),
                reused=reused,
                cap=cap,
                guard=guard,
            ).steps()
            sound = True
        except GeneratorExit:  # nobody waits for the rest
            sound = True
            raise
        finally:
            (self._kept.give_back if sound else self._kept.drop)(held)

    def _take(
        self, tenant: str | None, guide: Guide | None, prompt: Tokens, cap: int
    ) -> tuple[Held, int]:
        try:
            return self._kept.take(tenant, guide, prompt, len(prompt) + cap)
        except RuntimeError as exc:
            if guide is None or "grammar" not in str(exc):
                raise
            kind = Incapable if guide.kind == "json" else Refused
            raise kind(f"the model can't be held to this form: {exc}") from exc

    def _hold_to(self, guide: Guide | None, cap: int) -> tuple[Guide | None, Guard | None]:
        """The guide as the runtime is given it, and who ends a JSON answer in time."""
        if guide is None or guide.kind != "json":
            return guide, None
        if self._shortest is None:
            raise Incapable("this model's tokens aren't known well enough to hold it to JSON")
        form = read_schema(_parsed(guide.text), cap)
        guard = Guard(form, self._shortest, leading_space=self._leading_space)
        if guard.tail is None or len(guard.tail) > cap:
            least = "more than there are" if guard.tail is None else f"{len(guard.tail):,}"
            raise Incapable(
                f"the shortest answer of this form has {least} tokens; it may have {cap:,}",
                code="max_output_tokens",
            )
        return Guide(kind="json", text=form.as_schema()), guard

    def _read(self, held: Held, prompt: Tokens, read: int) -> Iterator[Step]:
        reused = read
        while read < len(prompt):
            size = self._pace.chunk(len(prompt) - read)
            began = time.perf_counter()
            held.generator.append_tokens(prompt[read : read + size])
            self._pace.saw(size, time.perf_counter() - began)
            read += size
            held.read = prompt[:read]
            yield Step(read=read, reused=reused)

    def _open(self, options: EngineOptions) -> tuple[str, str | None]:
        """Load and warm up; give where it runs, and why not where it was asked to."""
        wanted = (options.accelerator or "cpu").lower()
        if wanted == "cpu":
            self._load(options, None)
            return "cpu", None
        try:
            self._load(options, wanted)
        except Unavailable as exc:
            self._load(options, None)
            return "cpu", f"{wanted} can't be used: {exc.__cause__ or exc}"
        return wanted, None

    def _load(self, options: EngineOptions, accelerator: str | None) -> None:
        path = self._folder.path
        try:
            self._model, self._tokenizer = load_model(path, options, accelerator)
            vocabulary = read_vocabulary(path)
            self._pieces = (
                vocabulary.pieces if pieces_tell_the_text(vocabulary, self._encode) else None
            )
            self._leading_space = vocabulary.leading_space
            self._prompt = PromptWriter(
                self._render, self._encode, self._decode, vocabulary.special
            )
            self._tongue = Tongue(
                ends=frozenset(map(int, self._tokenizer.eos_token_ids)),
                pieces=self._pieces,
                decode=self._decode,
                detokenizer=self._detokenizer,
                read_row=RowReader(),
            )
            self._shortest = Shortest(self._prompt.plain, self._pieces) if self._pieces else None
            self._kept = KeptGenerators(
                lambda length, guide: make_generator(self._model, length, guide),
                most_bytes=options.keep_bytes,
                token_bytes=cache_token_bytes(path),
                limit=self._limit,
            )
            # A limit too low for the warm-up is the caller's wish; the first request pays then.
            with contextlib.suppress(Incapable):
                for _ in self.run(_WARM_UP):
                    pass
            self._kept.clear()
        except (RuntimeError, OSError, msgspec.DecodeError, Refused) as exc:
            raise Unavailable(
                f"the model in {path} can't be loaded: {exc}. "
                "Its files may be damaged or made for another runtime; for a model of the store "
                f"see: firsthop models verify {self._folder.model}",
                retryable=False,
            ) from exc

    def _render(self, messages: str) -> str:
        return str(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).tolist()
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        if self._pieces is not None:
            return b"".join(self._pieces[i] for i in ids).decode(errors="replace")
        return str(self._tokenizer.decode(np.array(ids, np.int32)))

    def _detokenizer(self) -> Detokenizer:
        if self._pieces is not None:
            return FromPieces(self._pieces, leading_space=self._leading_space)
        return FromRuntime(self._tokenizer.create_stream().decode)


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
