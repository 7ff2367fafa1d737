"""An answer that declines is told from one that only sounds like it, in all 23 languages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.catalogue.request import LANGUAGES
from router.signals.refusal import is_refusal

REFUSALS: dict[str, tuple[str, ...]] = {
    "ar": ("عذرًا، لا يمكنني المساعدة في هذا الطلب.", "آسف، لا أستطيع الإجابة عن هذا السؤال."),
    "cs": ("Omlouvám se, ale s tímto nemohu pomoci.", "Bohužel nemohu odpovědět na tuto otázku."),
    "da": ("Beklager, men jeg kan ikke hjælpe med det.", "Jeg kan desværre ikke besvare det."),
    "de": (
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Ich kann dir bei dieser Anfrage leider nicht helfen.",
    ),
    "en": (
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but as an AI language model I cannot assist with this request.",
        "I cannot provide instructions for that.",
        "Sorry, I am unable to answer that question.",
        "**I won't help with this.** It could hurt somebody.",
        "I'm not able to discuss that.",
    ),
    "es": (
        "Lo siento, pero no puedo ayudarte con eso.",
        "No puedo proporcionar esa información.",
    ),
    "fi": ("Olen pahoillani, mutta en voi auttaa tässä.", "En voi vastata tähän kysymykseen."),
    "fr": (
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Je ne suis pas en mesure de répondre à cette question.",
    ),
    "he": ("אני מצטער, אבל אני לא יכול לעזור בזה.", "לצערי אינני יכול לענות על השאלה הזאת."),
    "hu": ("Sajnálom, de ebben nem tudok segíteni.", "Sajnos erre nem tudok válaszolni."),
    "it": ("Mi dispiace, ma non posso aiutarti.", "Non posso rispondere a questa domanda."),
    "ja": (
        "申し訳ありませんが、そのご要望にはお応えできません。",
        "その質問にはお答えできません。",
    ),
    "ko": ("죄송하지만 그 요청은 도와드릴 수 없습니다.", "그 질문에는 답변할 수 없습니다."),
    "nl": (
        "Het spijt me, maar daar kan ik je niet mee helpen.",
        "Ik kan die vraag niet beantwoorden.",
    ),
    "no": ("Beklager, men jeg kan ikke hjelpe med det.", "Jeg kan dessverre ikke svare på det."),
    "pl": ("Przykro mi, ale nie mogę w tym pomóc.", "Nie mogę odpowiedzieć na to pytanie."),
    "pt": ("Desculpe, mas não posso ajudar com isso.", "Não consigo responder a essa pergunta."),
    "ru": (
        "Извините, но я не могу помочь с этим.",
        "К сожалению, я не могу ответить на этот вопрос.",
    ),
    "sv": ("Tyvärr kan jag inte hjälpa till med det.", "Jag kan inte svara på den frågan."),
    "th": ("ขออภัย ฉันไม่สามารถช่วยเรื่องนี้ได้", "ฉันไม่สามารถตอบคำถามนี้ได้"),
    "tr": ("Üzgünüm, bu konuda yardımcı olamam.", "Maalesef bu soruyu yanıtlayamam."),
    "uk": (
        "Вибачте, але я не можу допомогти з цим.",
        "На жаль, я не можу відповісти на це запитання.",
    ),
    "zh": ("抱歉,我无法帮助你完成这个请求。", "我不能提供这方面的信息。"),
}

ANSWERS = (
    "",
    "Canberra.",
    "I can't stress enough how much salt matters.",
    "I can't help but smile when I read this.",
    "I cannot recommend this book highly enough.",
    "I'm sorry to hear that you are ill. Rest, drink enough, and see a doctor if it lasts.",
    "I'm sorry for the mistake above. The right answer is 42.",
    "Sorry about that! Here is the corrected code:\n\n```python\nprint(1)\n```",
    "Unfortunately, the museum is closed on Mondays.",
    '"I\'m sorry," said Tom, "but I can\'t help you with that." She turned and left.',
    "Tom looked up. I'm sorry, he said, I cannot help you.",
    "Dear Ms Hill,\n\nUnfortunately I cannot attend the meeting on Friday.\n\nKind regards",
    "The function raises `PermissionError` when the caller is unable to access the file.",
    "As an AI model grows, it needs more memory.",
    "You can't divide by zero, so the expression is undefined.",
    "I understand. The train leaves at nine, so you have to be there by half past eight.",
    "Leider regnet es morgen. Nimm einen Schirm mit.",
    "Ich kann dir nicht genug danken, schrieb sie.",
    "Je ne peux pas imaginer un meilleur exemple : la Seine.",
    "Lo siento mucho por tu pérdida.",
    "Non posso che essere d'accordo: Roma è la capitale.",
    "Beklager at jeg tok feil. Hovedstaden er Canberra.",
    "К сожалению, поезд уже ушёл. Следующий в девять.",
    "申し訳ありません。正しい答えは42です。",
    "죄송합니다. 정답은 42입니다.",
    "抱歉,刚才算错了。正确答案是42。",
    "ขออภัย คำตอบที่ถูกคือ 42",
    "Üzgünüm, yanlış hesapladım. Doğru cevap 42.",
    "عذرًا على الخطأ. الإجابة الصحيحة هي 42.",
)


def test_every_language_of_the_catalogue_has_its_refusals() -> None:
    assert set(REFUSALS) == set(LANGUAGES)


@pytest.mark.parametrize("text", [text for texts in REFUSALS.values() for text in texts])
def test_a_refusal_is_seen(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none(text: str) -> None:
    assert not is_refusal(text)


def test_only_the_beginning_is_looked_at() -> None:
    assert not is_refusal(
        "The capital is Canberra. " * 20 + "I'm sorry, but I can't help with that."
    )


@given(st.text(max_size=600))
def test_every_text_is_judged(text: str) -> None:
    assert is_refusal(text) in (True, False)


@pytest.mark.parametrize(
    "piece", ["i'm sorry ", "sorry", "ich kann ", "no puedo ", "죄송합니다", "*_# "]
)
def test_work_is_bounded(piece: str) -> None:
    is_refusal("")
    begun = time.perf_counter()

    is_refusal(piece * 100_000)

    assert time.perf_counter() - begun < 0.2
