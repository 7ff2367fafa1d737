"""Signals of a draft."""

from __future__ import annotations

from .request import LANGUAGES
from .signal import Signal

_LOGPROBS = "the probabilities the model itself gave the tokens it chose"
_CALIBRATION = (
    "the calibration file that the config names under `confidence`; unknown without one, when it "
    "is refused, and for a target it was not made for"
)

_OPINION = (
    "; asked for where the policy's `opinions` say so and it could decide whether the draft is "
    "kept; unknown where none came in time. Further work of the device"
)

OPINION_US = 1_200_000
SECOND_US = 500_000
P_TRUE_US = 200_000
"""What three samples, one more answer and a self-check took SmolLM2-135M; see docs/confidence.md. A
larger model takes as many times longer as it does for a draft."""

DRAFT = (
    Signal(
        name="draft.mean_logprob",
        type="number",
        unit="nats per token",
        high=0,
        known="draft",
        may_be_unknown=True,
        cost_us=20,
        source=_LOGPROBS,
        summary="Mean log-probability of the draft's tokens.",
    ),
    Signal(
        name="draft.min_logprob",
        type="number",
        unit="nats",
        high=0,
        known="draft",
        may_be_unknown=True,
        cost_us=20,
        source=_LOGPROBS,
        summary="Log-probability of the draft's least likely token.",
    ),
    Signal(
        name="draft.q10_logprob",
        type="number",
        unit="nats",
        high=0,
        known="draft",
        may_be_unknown=True,
        cost_us=20,
        source=_LOGPROBS,
        summary="10 % quantile of the tokens' log-probabilities.",
    ),
    Signal(
        name="draft.first_entropy",
        type="number",
        unit="nats",
        low=0,
        known="draft",
        may_be_unknown=True,
        source="the model's whole distribution before its first token",
        summary="Entropy of the first token's distribution.",
    ),
    Signal(
        name="draft.first_margin",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        source="the model's whole distribution before its first token",
        summary="Probability of the first token less that of its nearest rival.",
    ),
    Signal(
        name="draft.min_margin",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        cost_us=20,
        source="the model's distributions",
        summary="Smallest margin between a token and its nearest rival.",
    ),
    Signal(
        name="draft.confidence",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source=_CALIBRATION,
        summary="How likely the draft is good enough, as a calibrated probability.",
    ),
    Signal(
        name="draft.confidence_low",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source=_CALIBRATION,
        summary="Lower end of that probability's 90 % interval: what a bar is held against.",
    ),
    Signal(
        name="draft.certified",
        type="flag",
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source=f"`draft.confidence_low` against the bar that is certified in {_CALIBRATION}; "
        "unknown, too, for a kind of question that it has no labels of",
        summary="Whether the draft reaches the certified bar.",
    ),
    Signal(
        name="draft.gain",
        type="number",
        low=-1,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source=f"`draft.confidence`, and how often the strong tier was right where drafts of the "
        f"task were wrong, and wrong where they were right, in {_CALIBRATION}; unknown, too, where "
        "too few labels tell of that tier",
        summary="Share of right answers that asking the strong tier is expected to add; below 0 "
        "it spoils.",
    ),
    Signal(
        name="draft.gain.*",
        type="number",
        low=-1,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source=f"`draft.confidence`, and how often that tier was right where drafts of the task "
        f"were wrong, and wrong where they were right, in {_CALIBRATION}; but of the answer of a "
        "tier above, what was said of the draft before it, less the same of that tier; unknown, "
        "too, where too few labels tell of the tier",
        summary="Share of right answers that asking that tier is expected to add; below 0 it "
        "spoils.",
    ),
    Signal(
        name="draft.tier_good.*",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=700,
        source="the same as `draft.gain.*`; unknown of a draft that the file was not made for",
        summary="How likely that tier's answer would be good enough.",
    ),
    Signal(
        name="draft.tokens",
        type="number",
        unit="tokens",
        low=0,
        whole=True,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        source="the target's own count, which comes with its end",
        summary="Length of the draft.",
    ),
    Signal(
        name="draft.finish",
        type="word",
        words=("stop", "length", "tool_calls", "content_filter", "cancelled"),
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        source="the target",
        summary="Why the draft ended.",
    ),
    Signal(
        name="draft.refusal",
        type="flag",
        known="draft",
        may_be_unknown=False,
        whole_draft=True,
        cost_us=10,
        source="ways of refusing in the languages of `prompt.language`, at the draft's beginning",
        summary="Whether the draft declines to answer.",
    ),
    Signal(
        name="draft.repetition",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=False,
        whole_draft=True,
        cost_us=170,
        source="the draft's last 8,000 characters: share that says again what stands before",
        summary="How much it goes in circles; near 1 is a model gone astray.",
    ),
    Signal(
        name="draft.language",
        type="word",
        words=(*LANGUAGES, "other"),
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=500,
        source="a language detector on the draft's prose; unknown when it is too short to tell",
        summary="The language answered in, ISO 639-1.",
    ),
    Signal(
        name="draft.same_language",
        type="flag",
        known="draft",
        may_be_unknown=True,
        absent=True,
        whole_draft=True,
        cost_us=700,
        source="`draft.language` against `prompt.language`; true where either has too little "
        "prose to tell by, where JSON or a translation is asked for, or the last user's message "
        "names the draft's language; unknown when both are other languages",
        summary="Whether it answers in the language asked in.",
    ),
    Signal(
        name="draft.json_valid",
        type="flag",
        known="draft",
        may_be_unknown=False,
        absent=True,
        whole_draft=True,
        cost_us=400,
        source="the asked JSON Schema, strictly: a code fence around it fails; true when no JSON "
        "is asked for",
        summary="Whether it is the JSON that was asked for.",
    ),
    Signal(
        name="draft.tool_calls_valid",
        type="flag",
        known="draft",
        may_be_unknown=False,
        absent=True,
        whole_draft=True,
        cost_us=400,
        source="the called tools' own schemas; true when no tool is called",
        summary="Whether every tool it calls exists and its arguments fit.",
    ),
    Signal(
        name="draft.same_as_before",
        type="flag",
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=200,
        source="its answer against that of the strongest weaker tier which gave a whole one "
        "before, compared by kind as opinions are; unknown where none did, as after a race that "
        "only a stronger tier had ended",
        summary="Whether it says the same as the weaker tier's answer before it.",
    ),
    Signal(
        name="draft.agreement",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=OPINION_US,
        source="the final answers of samples and of a second model against the draft's, each "
        f"compared by its kind{_OPINION}",
        summary="Share of other answers to the question that say the same as the draft.",
    ),
    Signal(
        name="draft.samples_agree",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=OPINION_US,
        source=f"more answers of the draft's own model, at a temperature{_OPINION}",
        summary="The same share over samples of the draft's own model.",
    ),
    Signal(
        name="draft.second_agrees",
        type="flag",
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=SECOND_US,
        source=f"the answer of another target of the tier{_OPINION}",
        summary="Whether a second model answers the same.",
    ),
    Signal(
        name="draft.p_true",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        whole_draft=True,
        cost_us=P_TRUE_US,
        source='the probability of "yes" when the draft\'s own model is asked, in English, whether '
        "the draft is right; below 3 billion parameters it is not asked unless the policy "
        f"says `always`{_OPINION}",
        summary="How likely the model itself calls its draft right.",
    ),
)
