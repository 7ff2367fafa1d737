"""The primary engine: ONNX Runtime GenAI's `Generator`, driven token by token.

In goes a model folder, then jobs; out come steps. It blocks, and the runtime holds the
interpreter's lock while it computes, so only the worker process imports this file.

Log-probability, entropy and margin are of the model's raw distribution: temperature and penalties
change what is chosen, not what is reported. The end token counts as an output token and has its
statistics too: they say how sure the model was that it had said everything.
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
from .engine import EngineInfo, EngineOptions, Job, Step
from .folder import read_folder
from .logits import RowReader
from .memory import resident_bytes
from .pace import Pace
from .prompt import PromptWriter
from .runtime import NAME, load_model, make_generator
from .stop import StopStrings
from .vocabulary import read_vocabulary

# They are looked for at every token.
_MOST_STOP_CHARACTERS = 1000
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
        self._read_row = RowReader()
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
        prompt = self._prompt.ids(job.messages)
        room = self._limit - len(prompt)
        if room < 1:
            raise Incapable(
                f"the prompt has {len(prompt):,} tokens; this model takes {self._limit:,} "
                "with the answer",
                code="context_length_exceeded",
            )
        cap = min(job.max_output_tokens, room)
        generator = make_generator(self._model, len(prompt) + cap, job.temperature, job.seed)
        yield from self._read(generator, np.array(prompt, np.int32))
        yield from self._answer(generator, job, len(prompt), cap)

    def _read(self, generator: Any, prompt: np.ndarray[Any, np.dtype[np.int32]]) -> Iterator[Step]:
        read = 0
        while read < len(prompt):
            size = self._pace.chunk(len(prompt) - read)
            began = time.perf_counter()
            generator.append_tokens(prompt[read : read + size])
            self._pace.saw(size, time.perf_counter() - began)
            read += size
            yield Step(read=read)

    def _answer(self, generator: Any, job: Job, read: int, cap: int) -> Iterator[Step]:
        detokenizer = self._detokenizer()
        stops = StopStrings(job.stop)
        for number in range(1, cap + 1):
            row = np.asarray(generator.get_logits(), np.float32).ravel()  # before the choice
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            stat = self._read_row(row, token)
            ended = token in self._end_tokens
            text, stopped = ("", False) if ended else stops.feed(detokenizer.feed(token))
            if ended or stopped:
                yield Step(read=read, text=text + stops.flush(), token=stat, finish="stop")
                return
            if number == cap:
                yield Step(read=read, text=text + stops.flush(), token=stat, finish="length")
                return
            yield Step(read=read, text=text, token=stat)

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
            self._end_tokens = frozenset(map(int, self._tokenizer.eos_token_ids))
            vocabulary = read_vocabulary(path)
            self._pieces = (
                vocabulary.pieces if pieces_tell_the_text(vocabulary, self._encode) else None
            )
            self._leading_space = vocabulary.leading_space
            self._prompt = PromptWriter(
                self._render, self._encode, self._decode, vocabulary.special
            )
            # A limit too low for the warm-up is the caller's wish; the first request pays then.
            with contextlib.suppress(Incapable):
                for _ in self.run(_WARM_UP):
                    pass
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
    if job.temperature is not None and not 0 <= job.temperature <= 2:
        raise Refused(f"temperature is {job.temperature}; it has to be from 0 to 2")
    if sum(map(len, job.stop)) > _MOST_STOP_CHARACTERS:
        raise Refused(f"the stop strings have over {_MOST_STOP_CHARACTERS:,} characters together")
