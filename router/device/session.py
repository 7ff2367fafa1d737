"""Several conversations on one copy of a model's weights, each with a memory of its own.

`Rows` hands out slots. A prompt is read into a slot; then a token for each of many slots, whatever
their lengths, is computed in one run. A slot can go back to an earlier token, be copied for another
conversation, or leave, at any token and without the others noticing: logits are those the row would
have had alone. Nothing here samples, stops or knows text, or whose conversation it is: who may go
on from whose tokens is the caller's to say.

A row never grows past the folder's limit: for the Phi-3 family 4,096 tokens, where its graph would
change to another position table for all rows of the run at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import Incapable
from .engine import EngineOptions
from .folder import read_folder
from .onnxrun import Runner
from .proof import prove
from .seats import Seats, Slot
from .slots import Arena, Array, Prefix

CHUNK = 256
"""Most prompt tokens of one run; the logits of all of them may lie in memory at once."""


class Rows:
    """A loaded model and its slots. For one thread at a time.

    Attributes:
        limit: Most tokens of a row.
        max_rows: Most slots taken at once.
    """

    def __init__(self, runner: Runner, *, limit: int, max_rows: int, ceiling_bytes: int) -> None:
        self.limit = limit
        self.max_rows = max_rows
        self._runner = runner
        self._arena = Arena(runner.graph)
        self._seats = Seats(self._arena, limit=limit, most=max_rows, ceiling_bytes=ceiling_bytes)
        self._hidden: Array | None = None

    @classmethod
    def open(
        cls,
        options: EngineOptions,
        *,
        max_rows: int,
        ceiling_bytes: int,
        hidden: str | None = None,
    ) -> Rows:
        """Load a folder's model on the CPU and see that its rows keep to themselves.

        Args:
            ceiling_bytes: Most key-value memory of all slots together.
            hidden: A value of the graph that can be asked for beside the logits, if it is there.

        Raises:
            Incapable: The graph is of another kind, or does not keep its rows apart: it has to be
                run by other means. Or another device than the CPU is asked for.
            Unavailable: Not retryable. The folder is missing, or can't be loaded.
        """
        if (options.accelerator or "cpu").lower() != "cpu":
            raise Incapable(f"rows run on the CPU alone, not on {options.accelerator}")
        folder = read_folder(Path(options.folder))
        limit = folder.limit(options.context_limit)
        runner = Runner(
            folder, threads=options.threads, spinning=options.spinning, hidden=hidden, limit=limit
        )
        prove(runner)
        return cls(runner, limit=limit, max_rows=max_rows, ceiling_bytes=ceiling_bytes)

    @property
    def vocab(self) -> int:
        """Numbers in a row of logits."""
        return self._runner.graph.vocab

    @property
    def token_bytes(self) -> int:
        """Key-value memory of one token."""
        return self._runner.graph.token_bytes

    @property
    def kv_bytes(self) -> int:
        """Key-value memory allocated for slots. What callers keep as `Prefix` is not in it."""
        return self._arena.bytes

    @property
    def hidden(self) -> Array | None:
        """The extra value of the last run, shape (rows, tokens, size), rows as they were given.

        None: it was not to be shown, or the graph has none. A view until the next run.
        """
        return self._hidden

    @property
    def hidden_size(self) -> int:
        """Numbers of the extra value for each token. 0: there is none."""
        return self._runner.graph.hidden_size

    def interrupt(self) -> None:
        """Break off the `prefill` that is under way, if one is. From any thread."""
        self._runner.interrupt()

    def fits(self, capacity: int) -> bool:
        """Whether a slot of so many tokens could be taken now."""
        return self._seats.fits(capacity)

    def take(self, capacity: int, prefix: Prefix | None = None, tokens: int | None = None) -> Slot:
        """A slot, empty or with the first `tokens` of `prefix` (all of them, if None).

        Args:
            capacity: Tokens it will hold, as far as known. It can grow, if there is memory then.

        Raises:
            Incapable: More than the limit.
            Unavailable: All slots are taken, or the memory is: give one back first.
        """
        used = 0 if prefix is None else prefix.tokens if tokens is None else tokens
        if used < 0 or used > (0 if prefix is None else prefix.tokens):
            raise ValueError(f"a prefix with {used} tokens was asked for that has fewer")
        slot = self._seats.take(max(capacity, used, 1))
        if prefix is not None:
            self._arena.put_in(prefix, slot.place, used)
            slot.used = used
        return slot

    def fork(self, slot: Slot, tokens: int, capacity: int) -> Slot:
        """A new slot that begins with the first `tokens` of another. Raises as `take`."""
        self._check(slot)
        self._check_within(slot, tokens)
        new = self._seats.take(max(capacity, tokens, 1))
        self._arena.copy(slot.place, new.place, tokens)
        new.used = tokens
        return new

    def keep(self, slot: Slot, tokens: int) -> Prefix:
        """A copy of a slot's first tokens that stays when the slot has gone."""
        self._check(slot)
        self._check_within(slot, tokens)
        return self._arena.take_out(slot.place, tokens)

    def rewind(self, slot: Slot, tokens: int) -> None:
        """Forget all but the first `tokens`. The next logits are those of the next token given."""
        self._check(slot)
        self._check_within(slot, tokens)
        slot.used = tokens

    def give_back(self, slot: Slot) -> None:
        """Done with it. With the last slot the memory goes too."""
        self._check(slot)
        self._seats.leave(slot)

    def prefill(self, slot: Slot, ids: Sequence[int], *, shown: bool = False) -> Array:
        """Append a piece of a prompt, at least one token; other rows wait.

        Args:
            shown: Whether `hidden` is wanted; it is of the last `CHUNK` tokens at most.

        Returns:
            Logits after the last of them, float32, shape (vocab,): a view until the next run.

        Raises:
            Incapable: The row would pass the limit. Nothing has changed.
            Interrupted: `interrupt` was called. What was read before that is still true.
            Unavailable: No memory, and nothing has changed; or the runtime failed.
        """
        self._check(slot)
        given = self._tokens(ids)
        self._seats.grow([(slot, slot.used + len(given))])
        for at in range(0, len(given), CHUNK):
            part = given[None, at : at + CHUNK]
            length = slot.used + part.shape[1]
            logits = self._runner.run(
                self._arena,
                slot.place,
                part,
                np.array([length]),
                shown=shown,
                breakable=True,
            )
            slot.used = length
        self._hidden = self._runner.hidden
        row: Array = logits[0]
        return row

    def step(self, tokens: Sequence[tuple[Slot, int]], *, shown: bool = False) -> Array:
        """Append one token to each of some slots, in one run.

        Stepping the same slots again costs no copy. Slots that lie apart, since one between them
        left or waits, are first moved together.

        Args:
            shown: Whether `hidden` is wanted.

        Returns:
            Logits, float32, shape (slots, vocab), in the order given: a view until the next run.

        Raises:
            Incapable: A row would pass the limit. Nothing has changed.
            Unavailable: No memory, and nothing has changed; or the runtime failed.
        """
        slots = [slot for slot, _ in tokens]
        for slot in slots:
            self._check(slot)
        if len(set(slots)) < len(slots):
            raise ValueError("a slot is there twice")
        given = self._tokens([token for _, token in tokens])
        self._seats.grow([(slot, slot.used + 1) for slot in slots])
        first = self._seats.gather(slots)
        order = sorted(range(len(slots)), key=lambda at: slots[at].place)
        straight = order == list(range(len(slots)))
        lengths = np.array([slots[at].used + 1 for at in order])
        given = given[:, None] if straight else given[order, None]
        logits = self._runner.run(self._arena, first, given, lengths, shown=shown)
        for slot in slots:
            slot.used += 1
        self._hidden = self._runner.hidden
        if straight:
            return logits
        back = np.argsort(order)
        if self._hidden is not None:
            self._hidden = self._hidden[back]
        return logits[back]

    def _tokens(self, ids: Sequence[int]) -> Array:
        if not ids:
            raise ValueError("there is no token to append")
        # The runtime reads where an id points to, in its memory or past it.
        if min(ids) < 0 or max(ids) >= self.vocab:
            raise ValueError(f"a token is not from 0 to {self.vocab - 1}")
        return np.array(ids, np.int64)

    def _check(self, slot: Slot) -> None:
        if slot not in self._seats:
            raise ValueError("this slot was given back, or is another model's")

    def _check_within(self, slot: Slot, tokens: int) -> None:
        if not 0 <= tokens <= slot.used:
            raise ValueError(f"the slot holds {slot.used} tokens, not {tokens}")
