"""Choose the bar of `policies/demo.yaml`: fitted on these questions, none of which the demo asks.

The bar is the lowest mean log-probability, on a grid of 0.05, above which at least three quarters
of the drafts kept were right, with at least a fifth of all drafts kept.
"""

from __future__ import annotations

from common import conditions, parser, write
from confidence import Asked, ask_all, auroc

WANTED = 0.75
LEAST_KEPT = 0.20

CAPITALS = (
    "Belgium:brussels Morocco:rabat Colombia:bogot Croatia:zagreb Indonesia:jakarta "
    "Ukraine:kyiv|kiev Mexico:mexico Serbia:belgrade Iceland:reykjav Jordan:amman "
    "Lebanon:beirut Libya:tripoli Tunisia:tunis Algeria:algiers Ghana:accra Nigeria:abuja "
    "Ethiopia:addis Uganda:kampala Zambia:lusaka Zimbabwe:harare Malaysia:kuala "
    "Cambodia:phnom Laos:vientiane Bangladesh:dhaka Pakistan:islamabad Afghanistan:kabul "
    "Syria:damascus Georgia:tbilisi Armenia:yerevan Estonia:tallinn Latvia:riga "
    "Lithuania:vilnius Slovakia:bratislava Slovenia:ljubljana Uruguay:montevideo "
    "Paraguay:asunci Bolivia:la paz|sucre Ecuador:quito Venezuela:caracas Panama:panama "
    "Honduras:tegucigalpa Jamaica:kingston Haiti:port-au-prince"
)
OPPOSITES = (
    "big:small|little old:young|new early:late full:empty open:closed|shut|close rich:poor "
    "light:dark|heavy wet:dry strong:weak happy:sad|unhappy fast:slow long:short|brief "
    "loud:quiet|silent day:night inside:outside sharp:dull|blunt brave:coward|afraid "
    "deep:shallow"
)
PLURALS = (
    "child:children tooth:teeth foot:feet goose:geese man:men leaf:leaves knife:knives "
    "wolf:wolves city:cities box:boxes bus:buses ox:oxen cactus:cacti|cactuses "
    "analysis:analyses"
)
PASTS = (
    "eat:ate see:saw take:took come:came write:wrote run:ran buy:bought bring:brought "
    "think:thought teach:taught fly:flew know:knew swim:swam begin:began freeze:froze"
)
SUMS = ((4, 3), (8, 7), (15, 6), (23, 19), (31, 46), (58, 27), (64, 39), (12, 12), (9, 9), (70, 25))


def questions() -> list[tuple[str, list[str]]]:
    """The questions and the answers that count."""
    found: list[tuple[str, list[str]]] = []
    for words, form in (
        (CAPITALS, "What is the capital of {}?"),
        (OPPOSITES, "What is the opposite of {}?"),
        (PLURALS, "What is the plural of {}?"),
        (PASTS, "What is the past tense of {}?"),
    ):
        pairs = words.replace(" paz", "_paz").split()
        for word, _, answers in (p.partition(":") for p in pairs):
            found.append((form.format(word), answers.replace("_", " ").split("|")))
    found += [(f"What is {a} + {b}?", [str(a + b)]) for a, b in SUMS]
    found += [(f"What is {a} times {b}?", [str(a * b)]) for a, b in SUMS]
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--model", default="smollm2-135m", help="a model of the store, or a folder"
    )
    args = options.parse_args()
    said = conditions("onnxruntime-genai", "onnxruntime")
    asked = ask_all(args.model, questions())
    print(f"{len(asked)} questions, {sum(a.right for a in asked) / len(asked):.1%} right")
    print(f"AUROC {auroc([a.mean_logprob for a in asked], [a.right for a in asked]):.3f}\n")
    print("  bar   kept  right of the kept")
    chosen = None
    for step in range(40, -1, -1):
        bar = -0.05 * step
        kept, right = share_kept(asked, bar)
        print(f"{bar:5.2f}  {kept:5.1%}  {'' if right is None else f'{right:.1%}'}")
        if chosen is None and right is not None and right >= WANTED and kept >= LEAST_KEPT:
            chosen = (bar, kept, right)
    if chosen is None:
        raise SystemExit("no bar keeps enough drafts that are right often enough")
    bar, kept, right = chosen
    print(f"\nbar {bar:.2f}: keeps {kept:.1%}, of which {right:.1%} are right")
    write(args.json, said, {"bar": round(bar, 2), "kept": kept, "right_of_kept": right})


def share_kept(asked: list[Asked], bar: float) -> tuple[float, float | None]:
    """Share of drafts at or above the bar, and how many of those are right."""
    kept = [a for a in asked if a.mean_logprob >= bar]
    return len(kept) / len(asked), sum(a.right for a in kept) / len(kept) if kept else None


if __name__ == "__main__":
    main()
