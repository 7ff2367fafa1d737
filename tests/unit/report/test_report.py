"""The report is whole by itself, can be read without seeing, and says this data's own figures."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router.confidence.guarantee import Certificate
from router.evaluation.compare import compare
from router.evaluation.findings import Findings, find
from router.evaluation.judged import Judged, Tier, numbered
from router.report.tables import mixture_at, ways
from router.report.words import bar_said, breaks_said, share, signals_said
from router.report.write import report, write_report

DRAW = np.random.default_rng(3)
N = 200
TRUTH = DRAW.random(N)
SET = Judged(
    name="set <&> 1",
    source="the truth",
    confidence=TRUTH,
    device=Tier(name="small", right=(DRAW.random(N) < TRUTH).astype(float), usd=np.zeros(N)),
    others=(
        Tier(name="cheap", right=(DRAW.random(N) < 0.85).astype(float), usd=np.full(N, 0.0006)),
        Tier(name="strong", right=(DRAW.random(N) < 0.95).astype(float), usd=np.full(N, 0.01)),
    ),
    tasks=tuple(f"task {at % 3}" for at in range(N)),
    languages=tuple(("en", "de")[at % 2] for at in range(N)),
    prompts=numbered([str(at) for at in range(N)]),
    raw=np.clip(TRUTH + 0.3, 0, 1),
    raw_name="raw (exp)",
    signals={"truth": TRUTH, "noise": DRAW.random(N)},
)
HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def found(judged: Judged = SET) -> Findings:
    noise = replace(SET, confidence=DRAW.random(N), source="noise")
    made = find(judged, times=20, notes=("A note.",))
    return replace(made, other="noise", changes=compare(SET, noise, times=20))


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


@pytest.fixture(scope="module")
def text() -> str:
    return report(found())


def test_it_is_well_formed_and_has_every_part(text: str) -> None:
    page = parsed(text)
    parts = [section.get("id") for section in page.iter(f"{HTML}section")]

    assert parts == [
        "figures", "changes", "cost", "breaks", "reliability", "coverage", "signals", "tasks",
        "languages",
    ]  # fmt: skip


def test_it_loads_nothing_and_runs_nothing(text: str) -> None:
    page = parsed(text)
    used = [
        value
        for element in page.iter()
        for name, value in element.attrib.items()
        if name in ("src", "href", LINK, "action", "data", "srcset")
    ]

    assert all(value.startswith("#") for value in used)
    assert not re.search(r"url\((?!#)|@import|javascript:|<script|<link|<iframe|\bon\w+=", text)


def test_ids_are_there_once_and_what_is_named_is_there(text: str) -> None:
    page = parsed(text)
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    named = {element.get(LINK) for element in page.iter() if element.get(LINK)}
    named |= {f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", text)}

    assert len(ids) == len(set(ids))
    assert {name.removeprefix("#") for name in named if name} <= set(ids)


def test_each_plot_has_a_name_words_for_who_cannot_see_it_and_a_table(text: str) -> None:
    page = parsed(text)
    sections = [s for s in page.iter(f"{HTML}section") if s.find(f".//{SVG}svg") is not None]

    assert len(sections) == 8
    for section in sections:
        svg = section.find(f".//{SVG}svg")
        assert svg is not None
        assert svg.get("role") == "img"
        words = (svg.get("aria-labelledby") or "").split()
        told = {child.get("id"): child.text for child in svg if child.tag != f"{SVG}g"}
        assert all(told.get(word) for word in words)
        assert len(told[words[1]] or "") > 60
        rows = section.findall(f".//{HTML}tbody/{HTML}tr")
        assert rows, section.get("id")


def test_text_in_a_plot_is_text_and_colours_are_the_pages(text: str) -> None:
    page = parsed(text)
    said = " ".join("".join(element.itertext()) for element in page.iter(f"{SVG}text"))

    for word in ("always strong", "always the device", "blind mix", "oracle", "the bar", "truth"):
        assert word in said
    drawn = "".join(ET.tostring(svg, encoding="unicode") for svg in page.iter(f"{SVG}svg"))
    assert not re.search(r"#0102\d\d", drawn)
    assert "var(--one)" in drawn


def test_sentences_have_the_figures_of_this_data(text: str) -> None:
    made = found()
    auroc = made.figure("AUROC")

    assert auroc is not None
    assert f"{auroc.value:.3f}" in text
    assert share(float(SET.strong.right.mean())) in text
    assert "A note." in text
    assert "set &lt;&amp;&gt; 1" in text


def test_a_set_of_the_device_alone_has_the_parts_that_can_be_told() -> None:
    alone = replace(SET, others=(), raw=None, languages=("",) * N, tasks=("one",) * N, signals={})
    page = parsed(report(find(alone, times=10)))

    assert [section.get("id") for section in page.iter(f"{HTML}section")] == [
        "figures",
        "reliability",
        "coverage",
    ]


def test_a_set_in_calls_says_so() -> None:
    bare = replace(SET, others=(replace(SET.strong, usd=None),))
    made = find(bare, times=10)

    assert "calls" in report(made)
    assert made.routing is not None
    assert "Counted in calls" in breaks_said(made, made.routing)


def test_a_draft_dearer_than_a_strong_call_saves_nothing() -> None:
    dear = replace(SET, device=replace(SET.device, usd=np.full(N, 0.02)))
    made = find(dear, times=10)

    assert made.routing is not None
    assert "no cascade saves anything" in breaks_said(made, made.routing)
    assert report(made)


def test_nothing_kept_and_nothing_right_is_drawn_all_the_same() -> None:
    none = replace(SET, device=replace(SET.device, right=np.zeros(N)), confidence=np.zeros(N))

    assert report(find(none, bar=0.5, times=10))


def test_a_promise_of_another_kind_is_said_in_its_own_words() -> None:
    certificate = Certificate(bar=0.7, kept=0.3, loss=0.1, most_loss=0.2, labels=100)
    told = find(SET, certificate=certificate, says="At most 20 % are escalated.", times=10)
    mine = find(SET, bar=0.7, times=10)

    assert bar_said(told).endswith("Certified: At most 20 % are escalated.")
    assert bar_said(mine).endswith("Not certified.")
    assert bar_said(find(SET, bar=float("inf"), times=10)).startswith("No bar keeps a draft")


def test_within_a_task_a_signal_may_tell_as_much() -> None:
    first = np.array([task == "task 0" for task in SET.tasks])
    easy = np.where(np.arange(N) % 10 == 0, ~first, first).astype(float)
    apart = replace(
        SET, device=replace(SET.device, right=easy), signals={"first": first.astype(float)}
    )
    same = replace(SET, signals={"truth": TRUTH})

    assert "Within a task the most telling is truth" in signals_said(find(same, times=10))
    assert "tells tasks apart, not right from wrong: within a task" in signals_said(
        find(apart, times=10)
    )


def test_without_matplotlib_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from router.errors import ConfigError\n"
        "from router.report.write import check_drawable\n"
        "try: check_drawable()\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert "pip install 'firsthop[report]'" in done.stdout


def test_the_blind_mix_is_asked_for_the_same_quality() -> None:
    made = found().routing

    assert made is not None
    low, high = made.always[0], made.always[1]
    middle = (low.quality + high.quality) / 2
    assert mixture_at(made, middle) == pytest.approx((low.spend + high.spend) / 2)
    assert mixture_at(made, low.quality - 0.1) == low.spend
    assert mixture_at(made, 1.1) is None
    assert any("none reaches it" in row for row in ways(made).rows)


def test_the_same_findings_make_the_same_file(tmp_path: Path) -> None:
    made = find(SET, times=10)
    write_report(tmp_path / "a.html", made)
    write_report(tmp_path / "b.html", made)

    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
