"""What an engine is: prompt in, tokens out, each with what the model's probabilities said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..types import Finish, Message, TokenLogprob, TokenStat

AT_ONCE = 4
"""Requests that are worked on by turns, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine is to run. The same options share one worker process.

    Attributes:
        folder: The model's folder, with its genai_config.json.
        context_limit: Most tokens of prompt and answer together. None: what the folder says.
        accelerator: Execution provider such as ``"cuda"``. None: the CPU.
            One that is missing falls back to the CPU and says so.
        threads: Threads inside one operator. None: the runtime's choice.
        spinning: Whether idle threads spin; quick on an idle machine, bad manners on a busy one.
        nice: Added to the worker's niceness where the platform has one.
        at_once: Most requests that are worked on by turns; the others wait.
        keep_bytes: Most bytes of key-value caches that are kept of prompts seen before. 0: none
            are.
    """

    folder: str
    context_limit: int | None = None
    accelerator: str | None = None
    threads: int | None = None
    spinning: bool = False
    nice: int = 0
    at_once: int = AT_ONCE
    keep_bytes: int = 1536 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says about itself once it is loaded.

    Attributes:
        model: Name of the model's folder, or what its manifest calls it.
        engine: Library and version.
        device: Where it runs, such as ``"cpu"``.
        fallback: Why it is not where it was asked to run. None: it is.
        context_limit: Most tokens of prompt and answer together.
        load_s: Seconds the load took, warm-up included.
        memory_bytes: Resident memory of the process after loading. None: not readable here.
        state_layer: The layer whose state a job may ask for: what enters it, 0 for the first. None:
            none can be read.
    """

    model: str
    engine: str
    device: str
    fallback: str | None
    context_limit: int
    load_s: float
    memory_bytes: int | None
    state_layer: int | None = None


GuideKind = Literal["json", "regex", "lark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """The form an answer is held to, token by token.

    Attributes:
        kind: ``"json"``: JSON of a JSON Schema; ``"regex"``; ``"lark"``: a grammar.
        text: The schema as JSON, the expression, or the grammar.
    """

    kind: GuideKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """What an engine has not had to read again, since it was loaded.

    Attributes:
        jobs: Jobs whose prompt was read.
        hits: Those of them whose prompt began with something read before.
        tokens_read, tokens_reused: Their prompt tokens, by whether the model had to read them.
        kept: Prompts kept now.
        kept_bytes: Bytes of their key-value caches.
    """

    jobs: int = 0
    hits: int = 0
    tokens_read: int = 0
    tokens_reused: int = 0
    kept: int = 0
    kept_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request to an engine.

    Attributes:
        max_output_tokens: Cap on the answer; the engine lowers it to what the context leaves.
        temperature: None or 0: greedy.
        seed: For sampling; the same seed draws the same text. None: different each time.
        stop: Strings that end the answer and are not part of it, also across token borders.
        top_p, top_k, min_p, frequency_penalty, presence_penalty, logit_bias: See `sampling.py`.
        logprobs: How many likeliest tokens to tell in each place. None: no token is spelled out.
        guide: The form the answer is held to. None: it is free.
        tenant: Whose it is; what is kept of one tenant's prompt is never used for another's. A
            client says a name; the engine is given the worker's mark of that name and its app.
        states: Whether the mean state of the middle layer is wanted at the answer's end.
    """

    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None
    guide: Guide | None = None
    tenant: str | None = None
    states: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an engine did between two looks at its mailbox.

    Attributes:
        read: Prompt tokens read so far, those included that had been read before.
        text: Whole characters that are new.
        token: Statistics of the token chosen in this step. None: a step of prefill.
        finish: Set on the last step.
        reused: Prompt tokens that had been read for an earlier job.
        spelled: The token itself, if the job asks for log-probabilities; never the end token.
        state: With the last step, if the job asks for it and the engine can: the state that entered
            layer `EngineInfo.state_layer`, averaged over the answer's tokens as the model read
            them; float32, little-endian. The token that ended the answer was not read. None also
            where no token was.
    """

    read: int
    text: str = ""
    token: TokenStat | None = None
    finish: Finish | None = None
    reused: int = 0
    spelled: TokenLogprob | None = None
    state: bytes | None = None


class Run(Protocol):
    """A job under way: steps until it is at its end, each short enough to look for a cancellation
    after it."""

    def __next__(self) -> Step:
        """The next step.

        Raises:
            Incapable: The prompt leaves no room for an answer within the context limit, or the
                form that is asked can't be held to.
            StopIteration: The step before was the last.
        """
        ...

    def close(self) -> None:
        """Free what the job held, wherever it is."""
        ...


class Engine(Protocol):
    """A loaded model. Blocks its process, so it lives in one of its own."""

    @property
    def info(self) -> EngineInfo:
        """What it says about itself."""
        ...

    def reuse(self) -> Reuse:
        """What it has not had to read again."""
        ...

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the prompt these messages make, template included."""
        ...

    @property
    def together(self) -> int:
        """Most runs whose next tokens one `compute` prepares. 1: each computes its own."""
        ...

    def compute(self, runs: Sequence[Run]) -> None:
        """Run the model once for the next tokens of these runs of its own, which all write.

        Each is then asked for its step before anything else of this engine is.

        Raises:
            Unavailable: The runtime failed. These runs are lost; the engine and the others are not.
        """
        ...

    def run(self, job: Job) -> Run:
        """Begin a job. Nothing is done before the first step is asked for."""
        ...
