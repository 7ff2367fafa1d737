"""The primary engine: rows on one session, whose next tokens are computed together.

In goes a model folder, then jobs; out come steps. A job is a row: its prompt is read into it in
chunks, and the tokens of all that write are one run of the model. Of ONNX Runtime GenAI only the
tokenizer is used, and for an answer of a form its guide. For one thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..errors import Incapable, Refused
from ..types import Message
from .asked import WARM_UP, Asked, ask, unholdable
from .engine import EngineInfo, EngineOptions, Guide, Job, Reuse, Run, Step
from .folder import cannot_load, read_folder
from .kept_rows import KeptPrompts
from .logits import FloatArray
from .memory import resident_bytes
from .onnxrun import NAME, find_middle
from .pace import Pace
from .runtime import guided_choice, load_guide_model, load_tokenizer, make_generator
from .seats import Slot
from .session import Rows
from .slots import Prefix
from .states import MeanState
from .voice import Voice
from .writing import Writing


class RowsEngine:
    """A loaded model. See `Engine`.

    Args:
        rows_bytes: Most key-value memory of the rows that run together.

    Raises, when it is made:
        Incapable: The folder's graph has to be run by other means.
        Unavailable: Not retryable. The folder is missing, or can't be loaded.
    """

    def __init__(self, options: EngineOptions, rows_bytes: int) -> None:
        began = time.perf_counter()
        folder = read_folder(Path(options.folder))
        self._path = folder.path
        middle = find_middle(folder)
        self._rows = Rows.open(
            options,
            max_rows=options.at_once,
            ceiling_bytes=rows_bytes,
            hidden=None if middle is None else middle.name,
        )
        self._pace = Pace()
        self._guide_model: Any = None
        self._kept = KeptPrompts(most_bytes=options.keep_bytes, token_bytes=self._rows.token_bytes)
        try:
            self._voice = Voice(folder.path, load_tokenizer(folder.path))
            # A limit too low for the warm-up is the caller's wish; the first request pays then.
            with contextlib.suppress(Incapable):
                for _ in self.run(WARM_UP):
                    pass
        except (RuntimeError, OSError, msgspec.DecodeError, Refused) as exc:
            raise cannot_load(folder, exc) from exc
        self._kept.clear()
        self.info = EngineInfo(
            model=folder.model,
            engine=NAME,
            device="cpu",
            fallback=None,
            context_limit=self._rows.limit,
            load_s=time.perf_counter() - began,
            memory_bytes=resident_bytes(),
            state_layer=middle.layer if middle is not None and self._rows.hidden_size else None,
        )

    @property
    def together(self) -> int:
        """Rows that one run of the model may have."""
        return self._rows.max_rows

    def reuse(self) -> Reuse:
        """What it has not had to read again."""
        return self._kept.figures()

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the prompt these messages make, template included."""
        return self._voice.count(messages)

    def compute(self, runs: Sequence[Run]) -> None:
        """See `Engine`. A run that has its row already, or none yet, is left as it is."""
        hands = [run.hand for run in runs if isinstance(run, RowRun) and run.hand is not None]
        due = [(hand, hand.slot, hand.next) for hand in hands if hand.next is not None]
        if due:
            shown = any(hand.mean is not None for hand in hands)
            logits = self._rows.step([(slot, token) for _, slot, token in due], shown=shown)
            for at, ((hand, _, _), row) in enumerate(zip(due, logits, strict=True)):
                hand.given(row)
                hand.saw(at)

    def run(self, job: Job) -> RowRun:
        """Yield a step for each chunk of the prompt that was read, then for each token chosen.

        Raises, at the first step:
            Incapable: The prompt leaves no room for an answer within the context limit.
            Refused: The job itself is wrong.
            Unavailable: The memory for rows is taken, or the model's numbers can't be used.
        """
        return RowRun(lambda run: self._steps(job, run))

    def _steps(self, job: Job, run: RowRun) -> Generator[Step, None, None]:
        asked = ask(job, self._voice, self._rows.limit)
        guide = None if asked.guide is None else self._guide(asked.guide, asked.cap)
        prefix, reused = self._kept.find(job.tenant, asked.prompt)
        slot = self._rows.take(asked.need, prefix, reused)
        try:
            size = self._rows.hidden_size if job.states else 0
            hand = Hand(self._rows, slot, guide, MeanState(size) if size else None)
            yield from self._read(hand, asked, reused)
            run.hand = hand
            yield from Writing(
                hand,
                job,
                self._voice.tongue,
                asked.sampler,
                prompt_tokens=len(asked.prompt),
                reused=reused,
                cap=asked.cap,
                guard=asked.guard,
            ).steps()
        finally:
            run.hand = None
            self._rows.give_back(slot)

    def _read(self, hand: Hand, asked: Asked, reused: int) -> Iterator[Step]:
        slot, prompt = hand.slot, asked.prompt
        try:
            while (read := slot.used) < len(prompt):
                size = self._pace.chunk(len(prompt) - read)
                began = time.perf_counter()
                row = self._rows.prefill(slot, prompt[read : read + size].tolist())
                self._pace.saw(size, time.perf_counter() - began)
                if slot.used == len(prompt):
                    hand.given(row.copy())  # others may be stepped before it is looked at
                    self._keep(asked, slot)  # now: who comes next may begin like this
                yield Step(read=slot.used, reused=reused)
        finally:
            if slot.used < len(prompt):  # broken off; what was read is still true
                self._keep(asked, slot)

    def _keep(self, asked: Asked, slot: Slot) -> None:
        def copy() -> Prefix:
            return self._rows.keep(slot, slot.used)

        self._kept.keep(asked.job.tenant, asked.prompt[: slot.used], copy)

    def _guide(self, guide: Guide, cap: int) -> Any:
        """What strikes out tokens that don't fit; its model is loaded when it is first needed."""
        if self._guide_model is None:
            self._guide_model = load_guide_model(self._path, self._rows.vocab)
        try:
            made = make_generator(self._guide_model, 2 + cap, guide)
        except RuntimeError as exc:
            if "grammar" not in str(exc):
                raise
            raise unholdable(guide, exc) from exc
        made.append_tokens(np.zeros(1, np.int32))  # it has to have a prompt; which one is the same
        return made


class RowRun:
    """A job under way on its row.

    Attributes:
        hand: When its prompt has been read. None: before, and when it has ended.
    """

    def __init__(self, begin: Callable[[RowRun], Generator[Step, None, None]]) -> None:
        self.hand: Hand | None = None
        self._steps = begin(self)

    def __iter__(self) -> RowRun:
        return self

    def __next__(self) -> Step:
        return next(self._steps)

    def close(self) -> None:
        """Free its row."""
        self._steps.close()


class Hand:
    """A row as the hand of one answer.

    Attributes:
        next: The token the model has to be run with before there is another row of logits. None:
            the row is there.
        mean: Of the states of the answer's tokens. None: nobody asked, or there are none.
    """

    def __init__(self, rows: Rows, slot: Slot, guide: Any, mean: MeanState | None) -> None:
        self.slot = slot
        self.next: int | None = None
        self.mean = mean
        self._rows = rows
        self._guide = guide
        self._row: FloatArray | None = None

    def given(self, row: FloatArray) -> None:
        """The logits it waits for."""
        self._row, self.next = row, None

    def saw(self, at: int) -> None:
        """The model was just run with its token, at this place of the run."""
        if self.mean is not None and self._rows.hidden is not None:
            self.mean.add(self._rows.hidden[at, 0])

    def row(self) -> FloatArray:
        if self.next is not None:
            shown = self.mean is not None
            self.given(self._rows.step([(self.slot, self.next)], shown=shown)[0])
            self.saw(0)
        if self._row is None:
            raise RuntimeError("a row of logits was asked for twice")
        return self._row

    def choose(self, scores: FloatArray | None) -> int:
        row = self.row() if scores is None else scores
        if self._guide is None:
            token = int(row.argmax())
        else:
            self._guide.get_logits()  # it takes no others before it has been asked for its own
            self._guide.set_logits(np.ascontiguousarray(row).reshape(1, 1, -1))
            token = guided_choice(self._guide)
        self.next = token
        return token

    def take_back(self, written: int) -> None:
        self.next = None

    def force(self, token: int) -> None:
        self.next = token

    def state(self) -> bytes | None:
        return None if self.mean is None else self.mean.as_bytes()
