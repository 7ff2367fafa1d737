"""Policies that are wrong, each in its own way, and what the message about it has to name."""

from __future__ import annotations

from dataclasses import dataclass

from router.document import MAX_BYTES

GOOD = """\
policy: p
summary: s
tiers: [device, cloud-fast, cloud-strong]
guards:
  - id: home
    when: {request.label: {in: [pii, secret]}}
    forbid: [cloud-fast, cloud-strong]
route:
  - id: long
    when: {prompt.tokens: {gt: 3000}}
    start: cloud-fast
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
limits: {hops: 3, deadline_s: 20, cost_usd: "0.01", day_usd: "1"}
"""
WHEN = "{request.label: {in: [pii, secret]}}"
LONG = "{prompt.tokens: {gt: 3000}}"
SURE = "{draft.mean_logprob: {gte: -0.5}}"


@dataclass(frozen=True)
class Broken:
    """A document that is wrong.

    Attributes:
        text: The whole of it.
        line: What the message has to name. None: no line can be named.
        field: Likewise; None where there is no field to name.
        says: A piece of the message.
    """

    text: str | bytes
    line: int | None
    field: str | None
    says: str


def swap(old: str, new: str, line: int | None, field: str | None, says: str) -> Broken:
    assert old in GOOD, old
    return Broken(GOOD.replace(old, new, 1), line, field, says)


def more(text: str, line: int, field: str | None, says: str) -> Broken:
    """`line` counts from the first one after the good document."""
    return Broken(GOOD + text, GOOD.count("\n") + line, field, says)


def nested(depth: int) -> str:
    return "{not: " * depth + SURE + "}" * depth


BROKEN: dict[str, Broken] = {
    # What is no YAML, or a part of it that is not allowed
    "empty": Broken("", None, None, "empty"),
    "only a comment": Broken("# nothing yet\n", None, None, "empty"),
    "a list": Broken("- policy: p\n", 1, None, "has to be a mapping"),
    "a word": Broken("balanced\n", 1, None, "has to be a mapping"),
    "not UTF-8": Broken(GOOD.encode() + b"# caf\xe9\n", 17, None, "not UTF-8: byte 0xe9"),
    "UTF-16": Broken(GOOD.encode("utf-16"), 1, None, "this looks like UTF-16"),
    "a picture": Broken(b"\x89PNG\r\n\x1a\n" + bytes(64), 1, None, "not UTF-8"),
    "a zero byte": Broken(GOOD + "x: \x00\n", 17, None, "U+0000 is not allowed"),
    "over 256 KB": Broken("#" * (MAX_BYTES + 1), None, None, "larger than 256 KB; not read"),
    "tabs": swap("    when: " + WHEN, "\twhen: " + WHEN, 6, "guards[0].id", "indent with spaces"),
    "a cut in the middle of a list": Broken(
        GOOD[: GOOD.index("strong]\nguards")], 3, "tiers[2]", "is not closed"
    ),
    "a cut in the middle of a rule": Broken(
        GOOD[: GOOD.index(": {gte")], 15, "accept[0].require.draft.mean_logprob", "is not closed"
    ),
    "a cut in the middle of a quotation": Broken(
        GOOD[: GOOD.index('1", day_usd')], 16, "limits.cost_usd", "quoted text"
    ),
    "an anchor": swap(WHEN, f"&w {WHEN}", 6, "guards[0].when", "anchors and aliases"),
    "an alias": swap(LONG, "*w", 10, "route[0].when", "anchors and aliases"),
    "a bomb of aliases": Broken(
        "policy: &a [x, x]\nsummary: &b [*a, *a]\ntiers: [*b, *b, *b]\n", 1, "policy", "anchors"
    ),
    "a bomb of brackets": Broken("policy: " + "[" * 5_000, 1, "policy[0][0]", "deeper than 32"),
    "more words than anybody writes": swap(
        "[pii, secret]", f"[{'x, ' * 20_000}x]", 6, None, "more than 10000"
    ),
    "deep nesting": swap(SURE, nested(40), 15, "accept[0].require", "deeper than 32"),
    "a tag": swap("summary: s", "summary: !!python/name:os.system x", 2, "summary", "not allowed"),
    "two documents": more("---\n" + GOOD, 1, None, "a second document begins here"),
    "a field written twice": more("summary: again\n", 1, "summary", "the first is in line 2"),
    "a field that is a list": more("[a, b]: c\n", 1, None, "field's name has to be a word"),
    "a colon too many": swap("summary: s", "summary: what: this", 2, "summary", "quote text that"),
    "wrong indentation": swap("    forbid: [", "   forbid: [", 7, None, "indentation"),
    "a bracket too many": swap("[device]\n", "[device]]\n", 14, None, "too many"),
    "a merge key": swap("summary: s", "summary: s\n<<: {policy: q}", 3, "<<", "unknown field"),
    # Fields and their types
    "no name": swap("policy: p\n", "", 1, "policy", "is missing"),
    "no tiers": swap("tiers: [device, cloud-fast, cloud-strong]\n", "", 1, "tiers", "is missing"),
    "no tier in the list": swap(
        "[device, cloud-fast, cloud-strong]", "[]", 3, "tiers", "at least 1"
    ),
    "an unknown field": more("acept: []\n", 1, "acept", "did you mean 'accept'?"),
    "an unknown field of a rule": swap("    on:", "    in:", 14, "accept[0].in", "unknown field"),
    "a name with a space": swap("policy: p", "policy: my policy", 1, "policy", "is no name"),
    "a name that is a number": swap("policy: p", "policy: 7", 1, "policy", "text"),
    "`no` as a word": swap(
        "summary: s", "summary: s\nattach_draft: no", 3, "attach_draft", "true or"
    ),
    "a tier twice": swap("cloud-fast, cloud-strong]\ng", "device]\ng", 3, "tiers[1]", "used twice"),
    "an id of requirements twice": swap(
        SURE, f"{SURE}\n  - {{id: sure, on: [device], require: {SURE}}}", 16, "accept[1].id",
        "is used twice",
    ),
    "an id of guards twice": swap(
        "route:", f"  - {{id: home, when: {WHEN}, forbid: request}}\nroute:", 8, "guards[1].id",
        "is used twice",
    ),
    "guards that are a mapping": swap(
        "guards:\n  - id: home", "guards:\n    id: home", 4, "guards", "has to be a list"
    ),
    "a list for one tier": swap(
        "start: cloud-fast", "start: [cloud-fast]", 11, "route[0].start", "text"
    ),
    "a word for a list of tiers": swap("on: [device]", "on: device", 14, "accept[0].on", "a list"),
    # Tiers
    "a tier misspelt in a guard": swap(
        "forbid: [cloud-fast", "forbid: [cloud-fsat", 7, "guards[0].forbid[0]", "mean 'cloud-fast'?"
    ),
    "a tier misspelt in a route": swap(
        "start: cloud-fast", "start: cloud-fats", 11, "route[0].start", "mean 'cloud-fast'?"
    ),
    "a tier misspelt in accept": swap(
        "on: [device]", "on: [devise]", 14, "accept[0].on[0]", "'device'"
    ),
    "a guard that forbids nothing": swap(
        "forbid: [cloud-fast, cloud-strong]", "forbid: []", 7, "guards[0].forbid", "at least 1"
    ),
    "a requirement on no tier": swap("on: [device]", "on: []", 14, "accept[0].on", "at least 1"),
    # Signals and comparisons
    "an unknown signal": swap(
        "draft.mean_logprob", "draft.mean_logprop", 15, "accept[0].require.draft.mean_logprop",
        "did you mean 'draft.mean_logprob'?",
    ),
    "a draft's signal in a guard": swap(
        WHEN, SURE, 6, "guards[0].when.draft.mean_logprob", "only once there is a draft"
    ),
    "a draft's signal in a route": swap(
        LONG, SURE, 10, "route[0].when.draft.mean_logprob", "use it under accept"
    ),
    "a signal of a tier that is none": swap(
        LONG, "{tier.clod-fast.end_s: {gt: 3}}", 10, "route[0].when.tier.clod-fast.end_s",
        "did you mean 'cloud-fast'?",
    ),
    "an unknown comparison": swap(
        "{gt: 3000}", "{gtt: 3000}", 10, "route[0].when.prompt.tokens.gtt", "did you mean 'gt'?"
    ),
    "a comparison that words have not": swap(
        "{in: [pii, secret]}", "{gt: pii}", 6, "guards[0].when.request.label.gt", "is a word"
    ),
    "no comparison": swap("{gt: 3000}", "3000", 10, "route[0].when.prompt.tokens", "needs a"),
    "an empty condition": swap(LONG, "{}", 10, "route[0].when", "has to be a mapping of signal"),
    "an empty `all`": swap(LONG, "{all: []}", 10, "route[0].when.all", "list of predicates"),
    "an `any` that is a mapping": swap(
        LONG, f"{{any: {LONG}}}", 10, "route[0].when.any", "list of predicates"
    ),
    "a bound that is text": swap(
        "gte: -0.5", 'gte: "-0.5"', 15, "accept[0].require.draft.mean_logprob.gte", "a number"
    ),
    "a bound that is true": swap(
        "gt: 3000", "gt: true", 10, "route[0].when.prompt.tokens.gt", "has to be a number"
    ),
    "a bound that is no number": swap(
        "gte: -0.5", "gte: .nan", 15, "accept[0].require.draft.mean_logprob.gte", "finite"
    ),
    "a bound without end": swap(
        "gte: -0.5", "gte: -.inf", 15, "accept[0].require.draft.mean_logprob.gte", "finite"
    ),
    "a word that is none": swap(
        "[pii, secret]", "[pii, secert]", 6, "guards[0].when.request.label.in[1]", "'secret'"
    ),
    "one word where a list belongs": swap(
        "[pii, secret]", "pii", 6, "guards[0].when.request.label.in", "list of words"
    ),
    "`no` where a flag belongs": swap(
        SURE, "{draft.refusal: {is: no}}", 15, "accept[0].require.draft.refusal.is", "true or false"
    ),
    "a tag's name with a space": swap(
        LONG, '{"request.tags.my team": {is: a}}', 10, None, "unknown signal"
    ),
    # Limits and dollars
    "float dollars": swap('cost_usd: "0.01"', "cost_usd: 0.01", 16, "limits.cost_usd", "in quotes"),
    "dollars that are words": swap('"0.01"', '"a cent"', 16, "limits.cost_usd", "no amount of"),
    "dollars below nothing": swap('"0.01"', '"-1"', 16, "limits.cost_usd", "between 0 and"),
    "more dollars than there are": swap('"0.01"', '"1e99"', 16, "limits.cost_usd", "no amount of"),
    "a negative deadline": swap(
        "deadline_s: 20", "deadline_s: -1", 16, "limits.deadline_s", "than 0"
    ),
    "a deadline that is text": swap(
        "deadline_s: 20", "deadline_s: 20s", 16, "limits.deadline_s", "has to be a number"
    ),
    "no hop": swap("hops: 3", "hops: 0", 16, "limits.hops", "at least 1"),
    "half a hop": swap("hops: 3", "hops: 1.5", 16, "limits.hops", "a whole number"),
    "an unknown limit": swap("hops: 3", "hop: 3", 16, "limits.hop", "did you mean 'hops'?"),
    "a limit that ends in a word nobody knows": swap(
        "hops: 3", "at_limit: refuze", 16, "limits.at_limit", "did you mean 'refuse'?"
    ),
    # Parts that contradict each other
    "best_gain without gain": more("escalate: best_gain\n", 1, "escalate", "what each stronger"),
    "gain without best_gain": more(
        "gain: {share: {cloud-fast: 0.5}}\n", 1, "gain", "best_gain only"
    ),
    "gain without one of the tiers": more(
        "escalate: best_gain\ngain: {share: {cloud-fast: 0.5}}\n", 2, "gain.share", "cloud-strong"
    ),
    "a share of more than all": more(
        "sample: {share: 1.5, tier: cloud-fast, day_usd: '1'}\n", 1, "sample.share", "at most 1"
    ),
    "a sample of the first tier": more(
        "sample: {share: 0.1, tier: device, day_usd: '1'}\n", 1, "sample.tier", "stronger than"
    ),
    "a race without a second tier": Broken(
        "policy: p\nsummary: s\ntiers: [device]\nrace: {over_s: 2, cost_usd: '0.01'}\n",
        4, "race", "needs a second tier",
    ),
    "a race without dollars": more("race: {over_s: 2}\n", 1, "race.cost_usd", "is missing"),
    "early with a signal of the whole draft": more(
        "early: [{on: [device], tokens: 8, require: {draft.finish: {is: stop}}}]\n",
        1, "early[0].require", "known only of a whole draft",
    ),
    "two early commits of a tier": more(
        f"early:\n  - {{on: [device], tokens: 8, require: {SURE}}}\n"
        f"  - {{on: [device], tokens: 9, require: {SURE}}}\n",
        3, "early[1].on[0]", "has an early commit already",
    ),
    "early without a token": more(
        f"early: [{{on: [device], tokens: 0, require: {SURE}}}]\n",
        1, "early[0].tokens", "at least 1",
    ),
    "near_budget that is stricter": swap(
        SURE, SURE + "\n    near_budget: {draft.mean_logprob: {gte: -0.1}}", 16,
        "accept[0].near_budget", "stricter",
    ),
    "near_budget of another shape": swap(
        SURE, SURE + "\n    near_budget: {draft.min_logprob: {gte: -1}}", 16,
        "accept[0].near_budget", "built like require",
    ),
    "near_budget without a budget": Broken(
        GOOD.replace(', day_usd: "1"', "").replace(
            SURE, SURE + "\n    near_budget: {draft.mean_logprob: {gte: -1}}"
        ),
        16, "accept[0].near_budget", "set limits.day_usd",
    ),
    "near_budget of a word": swap(
        SURE, "{draft.finish: {is: stop}}\n    near_budget: {draft.finish: {is: length}}", 16,
        "accept[0].near_budget", "by degrees",
    ),
    "a label that is none": more(
        "default_label: private\n", 1, "default_label", "not a valid word"
    ),
    "an unknown way to record": more("record_signals: some\n", 1, "record_signals", "one of"),
    "an unknown way to escalate": more("escalate: nxt\n", 1, "escalate", "did you mean 'next'?"),
}  # fmt: skip
