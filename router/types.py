"""What is asked and what is answered: values that are said in every room."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, get_args

from .layerstate import LayerState
from .quick import copier, quick

Role = Literal["system", "user", "assistant", "tool"]
Label = Literal["public", "internal", "pii", "secret"]
Finish = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]
Ability = Literal["images", "tools", "json"]
"""What a config may say that a target takes beside text."""
Need = Literal["images", "tools", "forced_tools", "json", "grammar"]
"""What a request may need of a target beside text. See `Request.needs`."""

ROLES: tuple[Role, ...] = get_args(Role)
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture in a message.

    Attributes:
        url: ``https:`` or ``data:`` with the picture in base64.
        frames: Still pictures in it; more than one for an animation. None: not known.
    """

    url: str
    frames: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may ask the caller to call.

    Attributes:
        parameters: JSON Schema of its arguments. None: it takes none.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's wish to call a tool.

    Attributes:
        id: The target's own; the tool's result names it.
        arguments: JSON text as the model wrote it, which may be anything.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Attributes:
        images: Pictures that go with the text; of the user only.
        tool_calls: What the assistant asked to be called.
        tool_call_id: The call that this is the result of; of the role ``tool`` only.
    """

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a model, and how it is to answer; the same for a caller and for a target.

    Attributes:
        messages: The conversation, oldest first; at least one.
        temperature: None: the target's default. On the device that is greedy.
        seed: For targets that sample with one.
        stop: Strings that end the answer; they are not part of it.
        tools: What the model may ask to be called.
        json: The answer has to be a JSON object.
        json_schema: The answer has to be JSON that fits this schema. None: none is asked for.
        top_p: Tokens are drawn from the likeliest that have this much probability together.
        top_k: Tokens are drawn from the likeliest so many.
        min_p: Tokens are drawn from those at least this likely, as a share of the likeliest.
        frequency_penalty: Taken off a token's logit for each time the answer has it, OpenAI's way.
        presence_penalty: Taken off a token's logit once the answer has it.
        logit_bias: Added to the logits of these token ids, which are one model's own.
        logprobs: How many likeliest tokens are told in each place; 0: the chosen one. None: none.
        tool_choice: ``"required"``: a tool has to be called; ``"none"``: none may be; another word:
            the tool of that name has to be called. None: as the model likes.
        parallel_tool_calls: False: one tool may be called at a time. None: as the model likes.
        regex, grammar: The answer has to match this, or be of this grammar (Lark's notation).
    """

    messages: tuple[Message, ...]
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    json: bool = False
    json_schema: Mapping[str, Any] | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    tool_choice: str | None = None
    parallel_tool_calls: Literal[False] | None = None
    regex: str | None = None
    grammar: str | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """What a target has to be able to do for this request, beside text."""
        found: set[Need] = set()
        for message in self.messages:
            if message.images:
                found.add("images")
            if message.tool_calls or message.role == "tool":
                found.add("tools")
        if self.tools and "tools" not in found:
            found.add("tools" if self.tool_choice in (None, "none") else "forced_tools")
        if self.json or self.json_schema is not None:
            found.add("json")
        if self.regex is not None or self.grammar is not None:
            found.add("grammar")
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Asked):
    """What a caller asks: `Asked`, and what only the walk needs.

    Attributes:
        max_output_tokens: Most tokens the answer may have. None: the target's own cap.
        label: How private the text is, as the caller says. None: as the policy's `default_label`.
        tenant: Whose request it is, where an app serves several. Empty: nobody was named.
        tags: The caller's own words for the ledger and the policy, such as ``{"team": "x"}``.
        deadline_s: Seconds from arrival until an answer is worth nothing. None: the policy's.
        cost_usd: Most this request may cost. None: the policy's.
        target: Ask this target and no other; guards still hold. None: the policy decides.
        whole: The caller sees only a whole answer: one that breaks off is none yet, and another
            call or target may still give one.
    """

    max_output_tokens: int | None = None
    label: Label | None = None
    tenant: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    cost_usd: Decimal | None = None
    target: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Asked):
    """What one provider is given: the request as it goes to one target, once.

    Attributes:
        attempt_id: Unique for this call on the wire; sent along where a target takes such an id.
        max_output_tokens: Cap for this target, already resolved: never absent.
        tenant: Whose request it is; nothing kept of one is ever used for another.
        timeout_s: Seconds left. A provider may use it to refuse at once.
        timed: Whoever asks ends the call when `timeout_s` is over, so a provider need not.
        states: Whether `Chunk.state` is wanted. Targets that have none to show give none.
    """

    attempt_id: str
    max_output_tokens: int
    tenant: str = ""
    timeout_s: float | None = None
    timed: bool = False
    states: bool = False

    def once(self, attempt_id: str, timeout_s: float) -> Ask:
        """The same for one call on the wire, which the caller ends after `timeout_s`."""
        return _once(self, attempt_id, timeout_s, True)


_once = copier(Ask, Ask, "attempt_id", "timeout_s", "timed")


def served_by(abilities: Set[Need]) -> frozenset[Need]:
    """Every need that a target with these abilities serves: who may call tools can be made to."""
    return frozenset(abilities | {"forced_tools"} if "tools" in abilities else abilities)


@dataclass(frozen=True, slots=True)
class TokenStat:
    """What the model's own probabilities said when it chose one token.

    Attributes:
        logprob: Natural log of the chosen token's probability, <= 0.
        entropy: Shannon entropy of the whole distribution, nats, >= 0.
            None: the target shows only a few alternatives.
        margin: Probability of the first choice less that of the second, 0 to 1. None: not shown.
    """

    logprob: float
    entropy: float | None = None
    margin: float | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """One token of an answer, spelled out, as OpenAI's `logprobs` have it.

    Attributes:
        token: Its text. Bytes that are no whole character show as U+FFFD.
        logprob: Natural log of its probability, <= 0, before temperature, penalties and guidance.
        raw: Its bytes. None: not known.
        top: The likeliest tokens in its place, likeliest first, with or without the chosen one.
    """

    token: str
    logprob: float
    raw: bytes | None = None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the target counted them. None means it did not say; never zero for unknown.

    Attributes:
        input_tokens: Prompt tokens, cached ones included.
        output_tokens: Answer tokens, reasoning ones included.
        cached_input_tokens: The part of `input_tokens` read from a prompt cache.
        reasoning_tokens: The part of `output_tokens` that was not shown.
        cache_write_tokens: The part of `input_tokens` written into a prompt cache.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What a target said of its limits with an answer. None: it did not say.

    Attributes:
        remaining_requests: Requests it would still take.
        remaining_tokens: Tokens, likewise.
        reset_requests_s: Seconds until the requests are as many as at first.
        reset_tokens_s: Seconds, likewise for tokens.
    """

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests_s: float | None = None
    reset_tokens_s: float | None = None

    @property
    def empty_for_s(self) -> float | None:
        """Seconds for which there is nothing left. None: there is, or it did not say."""
        pairs = (
            (self.remaining_requests, self.reset_requests_s),
            (self.remaining_tokens, self.reset_tokens_s),
        )
        waits = [reset_s for left, reset_s in pairs if left == 0 and reset_s is not None]
        return max(waits, default=None)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Transit:
    """What a transport can tell of one call once the answer's head has come.

    Attributes:
        connect_s: Seconds for name, TCP and TLS; 0 on an open connection. None: it can't tell.
        limit: What the head said of the target's limits. None: nothing.
    """

    connect_s: float | None = None
    limit: RateLimit | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer as it comes.

    Attributes:
        text: Whole characters only; may be empty.
        tokens: Statistics of the tokens behind `text`; empty where a target gives none.
        logprobs: The tokens spelled out, if the ask wanted them.
        tool_calls: Calls that are complete with this chunk.
        finish: Set once, on the chunk that ends the answer.
        filtered: What a content filter cut it for, as the target says; with or after `finish`.
        usage: Set at most once, on the last chunk or after it.
        model: The model that answered, as it calls itself.
        request_id: The target's own id for this call.
        transit: How the call travelled; set at most once, on the first chunk.
        state: On the last chunk, if the ask wanted it and the target shows it. None: unknown.
    """

    text: str = ""
    tokens: tuple[TokenStat, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    filtered: tuple[str, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    transit: Transit | None = None
    state: LayerState | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A collected stream.

    Attributes:
        finish: None: the stream ended without saying why.
        filtered: What a content filter cut it for; empty where nobody said.
        state: As in `Chunk`.
    """

    text: str
    tokens: tuple[TokenStat, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    filtered: tuple[str, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    request_id: str | None = None
    state: LayerState | None = None
