"""The engine for all graphs and devices: ONNX Runtime GenAI's `Generator`, driven token by token.

In goes a model folder, then jobs; out come steps. It blocks, and the runtime holds the
interpreter's lock while it computes, so only the worker process imports this file. Several jobs may
be under way at once, a step of one after a step of another: each has a generator of its own, and
they share no run of the model. On the CPU `rows_engine.py` is quicker, where the graph allows it.
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
from .asked import WARM_UP, Asked, ask, unholdable
from .engine import EngineInfo, EngineOptions, Job, Reuse, Run, Step
from .folder import cannot_load, read_folder
from .kept import Held, KeptGenerators, Tokens
from .logits import FloatArray
from .memory import resident_bytes
from .pace import Pace
from .runtime import NAME, cache_token_bytes, guided_choice, load_model, make_generator
from .voice import Voice
from .writing import Writing


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
        return self._voice.count(messages)

    @property
    def together(self) -> int:
        """Each run computes its own tokens."""
        return 1

    def compute(self, runs: Sequence[Run]) -> None:
        """Nothing can be computed for several in one go."""

    def run(self, job: Job) -> Generator[Step, None, None]:
        """Yield a step for each chunk of the prompt that was read, then for each token chosen.

        Raises:
            Incapable: The prompt leaves no room for an answer within the context limit.
            Refused: The job itself is wrong.
            Unavailable: The model's numbers can't be used.
            RuntimeError: The runtime failed.
        """
        asked = ask(job, self._voice, self._limit)
        held, reused = self._take(asked)
        sound = False
        try:
            yield from self._read(held, asked.prompt, reused)
            yield from Writing(
                _Hand(held.generator, len(asked.prompt), guided=asked.guide is not None),
                job,
                self._voice.tongue,
                asked.sampler,
                prompt_tokens=len(asked.prompt),
                reused=reused,
                cap=asked.cap,
                guard=asked.guard,
            ).steps()
            sound = True
        except GeneratorExit:  # nobody waits for the rest
            sound = True
            raise
        finally:
            (self._kept.give_back if sound else self._kept.drop)(held)

    def _take(self, asked: Asked) -> tuple[Held, int]:
        tenant, guide = asked.job.tenant, asked.guide
        try:
            return self._kept.take(tenant, guide, asked.prompt, asked.need)
        except RuntimeError as exc:
            if guide is None or "grammar" not in str(exc):
                raise
            raise unholdable(guide, exc) from exc

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
            self._model, tokenizer = load_model(path, options, accelerator)
            self._voice = Voice(path, tokenizer)
            self._kept = KeptGenerators(
                lambda length, guide: make_generator(self._model, length, guide),
                most_bytes=options.keep_bytes,
                token_bytes=cache_token_bytes(path),
                limit=self._limit,
            )
            # A limit too low for the warm-up is the caller's wish; the first request pays then.
            with contextlib.suppress(Incapable):
                for _ in self.run(WARM_UP):
                    pass
            self._kept.clear()
        except (RuntimeError, OSError, msgspec.DecodeError, Refused) as exc:
            raise cannot_load(self._folder, exc) from exc


class _Hand:
    """A generator as the hand of one answer."""

    def __init__(self, generator: Any, prompt_tokens: int, *, guided: bool) -> None:
        self._generator = generator
        self._prompt_tokens = prompt_tokens
        self._guided = guided
        self._unread: int | None = None

    def row(self) -> FloatArray:
        if self._unread is not None:
            self._generator.append_tokens(np.array([self._unread], np.int32))
            self._unread = None
        return np.asarray(self._generator.get_logits(), np.float32).ravel()

    def choose(self, scores: FloatArray | None) -> int:
        if scores is not None and not self._guided:
            token = self._unread = int(scores.argmax())
            return token
        if scores is not None:  # only the runtime knows what the guide allows
            self._generator.set_logits(scores.reshape(1, 1, -1))
        if self._guided:
            return guided_choice(self._generator)
        self._generator.generate_next_token()
        return int(self._generator.get_next_tokens()[0])

    def take_back(self, written: int) -> None:
        self._generator.rewind_to(self._prompt_tokens + written)
        self._unread = None

    def force(self, token: int) -> None:
        self._unread = token

    def state(self) -> None:
        """None: the runtime is asked for no more than its logits."""
