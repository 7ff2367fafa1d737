"""What is asked for is guessed by marks; how involved it looks is a number made of parts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.catalogue import CATALOGUE
from router.signals.catalogue.request import TASKS
from router.signals.complexity import Complexity, complexity
from router.signals.task import task_of

ASKED = {
    "translation": (
        "Translate this letter into German.",
        "Übersetze den Satz ins Englische.",
        "Traduis cette phrase en anglais.",
        "Traduce esta frase al inglés.",
        "Переведи это предложение на английский.",
        "次の文を英語に訳してください。",
        "把这句话翻译成英文。",
        "ช่วยแปลเป็นภาษาอังกฤษ",
    ),
    "summary": (
        "Summarize the report below in three lines.",
        "Gib mir eine Zusammenfassung des Textes.",
        "Résume ce texte.",
        "この記事を要約してください。",
        "请总结这篇文章。",
        "ช่วยสรุปบทความนี้",
    ),
    "extraction": (
        "Extract every name and date from the text.",
        "Extrahiere alle Namen aus dem Text.",
        "从下面的文字中提取人名。",
    ),
    "classification": (
        "Classify this review as positive or negative.",
        "Klassifiziere die folgende E-Mail.",
        "Clasifica este comentario.",
    ),
    "code": (
        "Why does this fail?\n```\nfoo(1)\n```",
        "Write a function that reverses a list in Python.",
        "def f(x): return x + 1  # what does it do?",
        "Schreibe eine SQL-Abfrage, die alle Kunden zählt.",
        "Translate this Python script to Java.",
        "Fix main.rs, it doesn't build.",
    ),
    "mathematics": (
        "What is 12 * 7?",
        "Solve for x: 2x = 10",
        "Evaluate $\\frac{1}{2} + x$.",
        "Tom has 12 apples and eats 5. How many are left?",
        "Tom hat 12 Äpfel und isst 5. Wie viele bleiben übrig?",
        "トムはりんごを12個持っていて5個食べました。残りはいくつですか?",
    ),
    "chat": (
        "",
        "What is the capital of Australia?",
        "Write my resume for a job as a cook.",
        "How many people live there?",
        "Who invented the theory of colours?",
        "\ud800",
    ),
}


def test_every_task_of_the_catalogue_is_guessed_at() -> None:
    assert tuple(sorted(ASKED)) == tuple(sorted(TASKS))


@pytest.mark.parametrize(("task", "text"), [(t, text) for t in ASKED for text in ASKED[t]])
def test_a_task_is_known_by_its_marks(task: str, text: str) -> None:
    assert task_of(text) == task


def test_an_instruction_behind_a_long_text_is_read() -> None:
    assert task_of("The train was late again. " * 2_000 + "\nSummarize this.") == "summary"


@given(st.text(max_size=300))
def test_every_text_has_a_task(text: str) -> None:
    assert task_of(text) in TASKS


# Complexity

ONE_TEXT = (
    "Tom has 12 apples. He gives 3 to Ann and eats 2 himself. How many are left?",
    "Tom hat 12 Äpfel. Er gibt Ann 3 davon und isst selbst 2. Wie viele sind übrig?",
    "У Тома 12 яблок. Он даёт Анне 3 и сам съедает 2. Сколько осталось?",
    "トムはりんごを12個持っています。アンに3個あげ、自分で2個食べました。残りは何個ですか?",
    "汤姆有12个苹果。他给了安3个,自己吃了2个。还剩多少个?",
    "لدى توم 12 تفاحة. أعطى آن 3 منها وأكل 2 بنفسه. كم تفاحة بقيت؟",
    "톰은 사과 12개를 가지고 있습니다. 앤에게 3개를 주고 자기가 2개를 먹었습니다. 몇 개 남았나요?",
)


def test_translations_of_one_text_are_about_as_complex() -> None:
    scores = [complexity(text, 1).score for text in ONE_TEXT]

    assert max(scores) - min(scores) < 0.06


def test_the_score_is_the_mean_of_the_parts() -> None:
    found = complexity(ONE_TEXT[0], 3)

    assert found.score == pytest.approx(sum(found) / 6)


def test_each_part_rises_with_what_it_measures() -> None:
    plain = complexity("Why is the sea blue?", 1)

    assert (
        complexity("Why is the sea blue, and the sky, and the evening red? " * 9, 1)[0] > plain[0]
    )
    assert complexity("Is 12 * 7 + 3 = 87?", 1).numbers > plain.numbers == 0
    assert complexity("1. a\n2. b\n| c | d |\n```\ne\n```", 1).structure > plain.structure == 0
    assert complexity("Do this. Then that. Then stop.", 1).steps > plain.steps == 0
    assert complexity("Why is the sea blue?" * 50, 1).variety < plain.variety
    assert complexity("Why is the sea blue?", 9).history > plain.history == 0


def test_nothing_asked_has_no_complexity() -> None:
    assert complexity("", 1) == Complexity(0, 0, 0, 0, 0, 0)


def test_the_catalogue_has_every_part_and_no_other() -> None:
    names = {name.partition(".")[2] for name in CATALOGUE if name.startswith("complexity.")}

    assert names == {"score", *Complexity._fields}


@given(st.text(max_size=300), st.integers(0, 10_000))
def test_each_part_is_a_share(text: str, turns: int) -> None:
    found = complexity(text, turns)

    assert all(0.0 <= part <= 1.0 for part in (*found, found.score))


@pytest.mark.parametrize(
    "piece", ["a", "\n", "1.", " ", "```", "def a", "from a", "select a", "1 ", "語", "| ", ". "]
)
def test_work_is_bounded_for_a_long_and_odd_prompt(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    begun = time.perf_counter()

    task_of(text)
    complexity(text, 1)

    assert time.perf_counter() - begun < 0.25
