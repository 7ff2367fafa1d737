"""One answer is written: a token is chosen from each row of logits, until it ends.

In goes a hand that has read the prompt, out come steps. Log-probability, entropy and margin
are of the model's raw distribution: temperature, penalties and a guide change what is chosen, not
what is reported. The end token counts as an output token and has its statistics too: they say how
sure the model was that it had said everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..types import Finish, TokenLogprob
from .detokenize import Detokenizer
from .engine import Job, Step
from .guard import Guard
from .logits import FloatArray, RowReader, likeliest
from .sampling import Sampler
from .stop import StopStrings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """How tokens of a model are read. Lives as long as the model.

    Attributes:
        ends: Tokens that end an answer.
        pieces: By id, the bytes a token adds. None: not known.
        decode: Ids to text, where the pieces aren't known.
        detokenizer: A new one, for one answer.
    """

    ends: frozenset[int]
    pieces: tuple[bytes, ...] | None
    decode: Callable[[Sequence[int]], str]
    detokenizer: Callable[[], Detokenizer]
    read_row: RowReader


class Hand(Protocol):
    """The model, as far as one answer needs it. It chooses a token, then is asked for the row after
    it; so the model isn't run for a token nobody wants."""

    def row(self) -> FloatArray:
        """Raw logits of the next token, shape (n_vocab,): a view until the next is asked for."""
        ...

    def choose(self, scores: FloatArray | None) -> int:
        """The token with the highest score, of those the answer's form allows; it is the next.

        Args:
            scores: None: the raw row's logits.
        """
        ...

    def take_back(self, written: int) -> None:
        """The token that was just chosen is not the next, after so many `written` ones."""
        ...

    def force(self, token: int) -> None:
        """This token is the next, whatever the form allows."""
        ...

    def state(self) -> bytes | None:
        """The mean state of the answer's tokens that were read. See `Step.state`."""
        ...


class Writing:
    """Writes one answer.

    Args:
        hand: With the prompt read, and room for `cap` tokens more.
        prompt_tokens: So many tokens the prompt has.
        reused: Those of them that were read for an earlier job.
        guard: Brings a JSON answer to its end in time. None: the answer is just cut.
    """

    def __init__(
        self,
        hand: Hand,
        job: Job,
        tongue: Tongue,
        sampler: Sampler,
        *,
        prompt_tokens: int,
        reused: int,
        cap: int,
        guard: Guard | None,
    ) -> None:
        self._hand = hand
        self._tongue = tongue
        self._sampler = sampler
        self._prompt_tokens = prompt_tokens
        self._reused = reused
        self._cap = cap
        self._guard = guard
        self._most_spelled = job.logprobs
        self._first = sampler.greedy and job.guide is None  # then the choice is the likeliest
        self._detokenizer = tongue.detokenizer()
        self._stops = StopStrings(job.stop)

    def steps(self) -> Iterator[Step]:
        """Yield a step for each token; the last one says why it was the last."""
        for number in range(1, self._cap + 1):
            row = self._hand.row()
            token = self._choose(row)
            if token in self._tongue.ends:
                yield self._step(row, token, self._stops.flush(), "stop")
                return
            guard = self._guard
            if guard is not None and not guard.admits(token, self._cap - number):
                yield from self._close(row, guard, number - 1)
                return
            text, stopped = self._stops.feed(self._detokenizer.feed(token))
            if stopped:
                yield self._step(row, token, text, "stop")
                return
            if number == self._cap:
                whole = guard is not None and guard.whole
                text += self._stops.flush()
                yield self._step(row, token, text, "stop" if whole else "length")
                return
            yield self._step(row, token, text)

    def _choose(self, row: FloatArray) -> int:
        if self._sampler.greedy:
            return self._hand.choose(None)
        token = self._hand.choose(self._sampler.scores(row))
        self._sampler.took(token)
        return token

    def _close(self, row: FloatArray, guard: Guard, written: int) -> Iterator[Step]:
        """End a JSON answer by the shortest way, as there is no room for another.

        The token that was just chosen is taken back. `finish` stays "length": the form is kept, but
        what the model had to say was cut.
        """
        tail = guard.tail or [min(self._tongue.ends)]
        self._hand.take_back(written)
        for left, token in zip(range(len(tail) - 1, -1, -1), tail, strict=True):
            ended = token in self._tongue.ends
            text, stopped = ("", False)
            if not ended:
                text, stopped = self._stops.feed(self._detokenizer.feed(token))
            if stopped or not left:
                yield self._step(row, token, text + self._stops.flush(), "length")
                return
            step = self._step(row, token, text)
            self._hand.force(token)
            yield step
            row = self._hand.row()

    def _step(self, row: FloatArray, token: int, text: str, finish: Finish | None = None) -> Step:
        stat = self._tongue.read_row(row, token, token if self._first else None)
        told = self._most_spelled is not None and token not in self._tongue.ends
        return Step(
            read=self._prompt_tokens,
            text=text,
            token=stat,
            finish=finish,
            reused=self._reused,
            spelled=self._spell(row, token) if told else None,
            state=None if finish is None else self._hand.state(),
        )

    def _spell(self, row: FloatArray, token: int) -> TokenLogprob:
        """The token and the likeliest in its place; the row has just been read."""
        mass = self._tongue.read_row.log_mass
        top = [self._one(row, other, mass) for other in likeliest(row, self._most_spelled or 0)]
        return self._one(row, token, mass, tuple(top))

    def _one(
        self, row: FloatArray, token: int, mass: float, top: tuple[TokenLogprob, ...] = ()
    ) -> TokenLogprob:
        pieces = self._tongue.pieces
        logprob = min(0.0, float(row[token]) - mass)
        if pieces is None:
            return TokenLogprob(token=self._tongue.decode([token]), logprob=logprob, top=top)
        piece = pieces[token] if token < len(pieces) else b""
        text = piece.decode(errors="replace")
        return TokenLogprob(token=text, logprob=logprob, raw=piece, top=top)
