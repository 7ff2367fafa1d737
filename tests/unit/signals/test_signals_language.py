"""The language, the script and the name of a language are told, or said to be unknown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.catalogue.request import LANGUAGES, SCRIPTS
from router.signals.language import language_of
from router.signals.reading import MOST_READ, prose_of
from router.signals.script import script_of
from router.signals.tongues import names_language

QUESTIONS: dict[str, tuple[str, ...]] = {
    "ar": (
        "ما هي عاصمة أستراليا؟",
        "كيف أطبخ الأرز حتى لا يلتصق؟",
        "اكتب رسالة قصيرة أعتذر فيها لجاري عن الضوضاء.",
        "لماذا يكون البحر أزرق اللون؟",
        "أحتاج إلى خطة لتعلم السباحة في شهرين.",
    ),
    "cs": (
        "Jaké je hlavní město Austrálie?",
        "Jak uvařím rýži, aby se nelepila?",
        "Napiš krátký vzkaz, kterým se omluvím sousedovi za hluk.",
        "Proč je moře modré?",
        "Potřebuji plán, jak se za dva měsíce naučit plavat.",
    ),
    "da": (
        "Hvad er hovedstaden i Australien?",
        "Hvordan koger jeg ris, så de ikke klistrer?",
        "Skriv en kort besked, hvor jeg undskylder larmen over for min nabo.",
        "Hvorfor er havet blåt, når vand ikke har nogen farve?",
        "Jeg har brug for en plan, så jeg kan lære at svømme på to måneder.",
    ),
    "de": (
        "Was ist die Hauptstadt von Australien?",
        "Wie koche ich Reis, damit er nicht klebt?",
        "Schreib eine kurze Nachricht, in der ich mich beim Nachbarn für den Lärm entschuldige.",
        "Warum ist das Meer blau?",
        "Ich brauche einen Plan, um in zwei Monaten schwimmen zu lernen.",
    ),
    "en": (
        "What is the capital of Australia?",
        "How do I cook rice so that it doesn't stick?",
        "Write a short note to my neighbour to say sorry for the noise.",
        "Why is the sea blue?",
        "I need a plan to learn swimming in two months.",
    ),
    "es": (
        "¿Cuál es la capital de Australia?",
        "¿Cómo cocino el arroz para que no se pegue?",
        "Escribe una nota corta para pedir perdón a mi vecino por el ruido.",
        "¿Por qué el mar es azul?",
        "Necesito un plan para aprender a nadar en dos meses.",
    ),
    "fi": (
        "Mikä on Australian pääkaupunki?",
        "Miten keitän riisin niin, ettei se tartu kattilaan?",
        "Kirjoita lyhyt viesti, jossa pyydän naapurilta anteeksi melua.",
        "Miksi meri on sininen?",
        "Tarvitsen suunnitelman, jolla opin uimaan kahdessa kuukaudessa.",
    ),
    "fr": (
        "Quelle est la capitale de l'Australie ?",
        "Comment cuire le riz pour qu'il ne colle pas ?",
        "Écris un petit mot pour m'excuser du bruit auprès de mon voisin.",
        "Pourquoi la mer est-elle bleue ?",
        "J'ai besoin d'un plan pour apprendre à nager en deux mois.",
    ),
    "he": (
        "מהי עיר הבירה של אוסטרליה?",
        "איך מבשלים אורז בלי שיידבק?",
        "כתוב פתק קצר שבו אני מתנצל בפני השכן על הרעש.",
        "למה הים כחול?",
        "אני צריך תוכנית ללמוד לשחות בחודשיים.",
    ),
    "hu": (
        "Mi Ausztrália fővárosa?",
        "Hogyan főzzem a rizst, hogy ne ragadjon össze?",
        "Írj egy rövid üzenetet, amelyben bocsánatot kérek a szomszédtól a zajért.",
        "Miért kék a tenger?",
        "Szükségem van egy tervre, hogy két hónap alatt megtanuljak úszni.",
    ),
    "it": (
        "Qual è la capitale dell'Australia?",
        "Come cuocio il riso perché non si attacchi?",
        "Scrivi un breve biglietto per scusarmi con il vicino del rumore.",
        "Perché il mare è blu?",
        "Ho bisogno di un piano per imparare a nuotare in due mesi.",
    ),
    "ja": (
        "オーストラリアの首都はどこですか?",
        "ご飯がくっつかないように炊くにはどうすればいいですか?",
        "騒音について隣人に謝る短いメモを書いてください。",
        "なぜ海は青いのですか?",
        "二か月で泳げるようになるための計画が必要です。",
    ),
    "ko": (
        "호주의 수도는 어디인가요?",
        "밥이 달라붙지 않게 하려면 어떻게 지어야 하나요?",
        "시끄럽게 해서 미안하다고 이웃에게 짧은 쪽지를 써 줘.",
        "바다는 왜 파란가요?",
        "두 달 안에 수영을 배우는 계획이 필요해요.",
    ),
    "nl": (
        "Wat is de hoofdstad van Australië?",
        "Hoe kook ik rijst zonder dat hij plakt?",
        "Schrijf een kort briefje om mijn buurman excuses aan te bieden voor het lawaai.",
        "Waarom is de zee blauw?",
        "Ik heb een plan nodig om in twee maanden te leren zwemmen.",
    ),
    "no": (
        "Hva er hovedstaden i Australia?",
        "Hvordan koker jeg ris slik at den ikke klistrer seg?",
        "Skriv en kort beskjed der jeg ber naboen om unnskyldning for bråket.",
        "Hvorfor er havet blått når vann ikke har noen farge?",
        "Eg treng ein plan for å lære å symje på to månader.",
    ),
    "pl": (
        "Jaka jest stolica Australii?",
        "Jak ugotować ryż, żeby się nie kleił?",
        "Napisz krótką wiadomość, w której przepraszam sąsiada za hałas.",
        "Dlaczego morze jest niebieskie?",
        "Potrzebuję planu, żeby w dwa miesiące nauczyć się pływać.",
    ),
    "pt": (
        "Qual é a capital da Austrália?",
        "Como cozinho o arroz para que não grude?",
        "Escreva um bilhete curto pedindo desculpas ao meu vizinho pelo barulho.",
        "Por que o mar é azul?",
        "Preciso de um plano para aprender a nadar em dois meses.",
    ),
    "ru": (
        "Какая столица у Австралии?",
        "Как сварить рис, чтобы он не слипался?",
        "Напиши короткую записку, в которой я извиняюсь перед соседом за шум.",
        "Почему море синее?",
        "Мне нужен план, как за два месяца научиться плавать.",
    ),
    "sv": (
        "Vad heter Australiens huvudstad?",
        "Hur kokar jag ris så att det inte klibbar?",
        "Skriv ett kort meddelande där jag ber grannen om ursäkt för oväsendet.",
        "Varför är havet blått?",
        "Jag behöver en plan för att lära mig simma på två månader.",
    ),
    "th": (
        "เมืองหลวงของออสเตรเลียคืออะไร",
        "หุงข้าวอย่างไรไม่ให้ติดกัน",
        "ช่วยเขียนข้อความสั้น ๆ ขอโทษเพื่อนบ้านเรื่องเสียงดัง",
        "ทำไมทะเลถึงเป็นสีฟ้า",
        "ฉันต้องการแผนเพื่อเรียนว่ายน้ำภายในสองเดือน",
    ),
    "tr": (
        "Avustralya'nın başkenti neresidir?",
        "Pilavı yapışmayacak şekilde nasıl pişiririm?",
        "Gürültü için komşumdan özür dileyen kısa bir not yaz.",
        "Deniz neden mavidir?",
        "İki ayda yüzme öğrenmek için bir plana ihtiyacım var.",
    ),
    "uk": (
        "Яка столиця Австралії?",
        "Як зварити рис, щоб він не злипався?",
        "Напиши коротку записку, в якій я вибачаюся перед сусідом за шум.",
        "Чому море синє?",
        "Мені потрібен план, як за два місяці навчитися плавати.",
    ),
    "zh": (
        "澳大利亚的首都是哪里?",
        "怎么煮米饭才不会粘在一起?",
        "请写一张简短的便条,为噪音向邻居道歉。",
        "為什麼海是藍色的?",
        "我需要一個在兩個月內學會游泳的計劃。",
    ),
}
OTHERS = (
    "Care este capitala Australiei și câți oameni locuiesc acolo?",
    "Ποια είναι η πρωτεύουσα της Αυστραλίας;",
    "ऑस्ट्रेलिया की राजधानी क्या है?",
    "Mji mkuu wa Australia ni upi na una watu wangapi?",
    "অস্ট্রেলিয়ার রাজধানী কোথায়?",
    "Коя е столицата на Австралия и колко хора живеят там?",
    "Thủ đô của Úc là thành phố nào?",
    "Apa ibu kota Australia dan berapa banyak orang yang tinggal di sana?",
    "Quina és la capital d'Austràlia i quanta gent hi viu?",
)

SCRIPT_OF = {
    "ar": "arabic",
    "he": "hebrew",
    "ja": "kana",
    "ko": "hangul",
    "ru": "cyrillic",
    "th": "thai",
    "uk": "cyrillic",
    "zh": "han",
}


def test_there_are_questions_in_every_language_of_the_catalogue() -> None:
    assert set(QUESTIONS) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_short_questions_are_told_in_all_23_languages(language: str) -> None:
    found = [language_of(question) for question in QUESTIONS[language]]

    assert set(found) <= {language, None}, "unknown is allowed, wrong is not"
    assert found.count(language) >= 4


def test_nearly_every_short_question_is_told() -> None:
    found = [language_of(q) for questions in QUESTIONS.values() for q in questions]

    assert found.count(None) <= 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_paragraph_is_told_without_fail(language: str) -> None:
    assert language_of(" ".join(QUESTIONS[language])) == language


@pytest.mark.parametrize("text", OTHERS)
def test_a_language_outside_the_catalogue_is_other(text: str) -> None:
    assert language_of(text) == "other"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "3.14159 * 2 = 6.28318",
        "Canberra.",
        "OK",
        "No.",
        "Paris, France",
        "https://example.com/how/to/cook/rice?lang=en",
        "ada@example.com",
        "```python\nfor word in words:\n    print(word)\n```",
        "def f(x): return x + 1",
        "x = {'name': 'Ada', 'age': 36};",
        "\U0001f600\U0001f680",
        "\ud800",
    ],
)
def test_what_is_no_prose_or_too_short_is_unknown(text: str) -> None:
    assert language_of(text) is None


def test_code_around_a_question_does_not_hide_its_language() -> None:
    code = "```python\nfor the_word in all_words:\n    print(the_word)  # show them\n```"

    assert language_of(f"Warum gibt dieses Programm nichts aus?\n\n{code}\n") == "de"
    assert language_of(f"{code}\nなぜこのプログラムは何も表示しないのですか?") == "ja"


def test_a_number_in_a_sentence_without_spaces_does_not_take_the_sentence_with_it() -> None:
    assert language_of("入場料は大人が12ドル、子供が10ドルです。") == "ja"


def test_a_whole_text_of_code_leaves_no_prose() -> None:
    assert prose_of("~~~\nhello there\n~~~\n`let x = 1`", 100).strip() == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_is_told_in_every_language(language: str) -> None:
    assert script_of(" ".join(QUESTIONS[language])) == SCRIPT_OF.get(language, "latin")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ποια είναι η πρωτεύουσα;", "greek"),
        ("ऑस्ट्रेलिया की राजधानी", "devanagari"),
        ("অস্ট্রেলিয়ার রাজধানী", "other"),
        ("12 + 30 = 42", "none"),
        ("", "none"),
        ("Say привет", "cyrillic"),
    ],
)
def test_other_scripts_are_told_and_no_letters_are_none(text: str, script: str) -> None:
    assert script_of(text) == script


def test_a_language_is_known_by_its_names() -> None:
    assert names_language("Please answer in French.", "fr")
    assert names_language("Bitte antworte auf Französisch.", "fr")
    assert names_language("用英语回答", "en")
    assert not names_language("Please answer in French.", "de")
    assert not names_language("Answer in Swahili.", "other")


@given(st.text(st.characters(), max_size=400))
def test_every_text_has_a_language_of_the_catalogue_or_none(text: str) -> None:
    assert language_of(text) in (*LANGUAGES, "other", None)
    assert script_of(text) in SCRIPTS


@given(st.text(max_size=200), st.integers(1, 60))
def test_prose_is_never_longer_than_allowed(text: str, most: int) -> None:
    assert len(prose_of(text, most).replace("\n", "")) <= most


@pytest.mark.parametrize("piece", ["a", "a ", "`", "```\n", "~~~`", "{", "@ ", "\n", "語", "é1"])
def test_work_is_bounded_however_long_and_odd_the_text(piece: str) -> None:
    def seconds(text: str) -> float:
        begun = time.perf_counter()
        language_of(text)
        script_of(text)
        return time.perf_counter() - begun

    language_of("Load what has to be loaded first.")
    assert seconds(piece * (1_000_000 // len(piece))) < 0.25
    assert prose_of(piece * MOST_READ * 2, 100) == prose_of((piece * MOST_READ)[:MOST_READ], 100)
