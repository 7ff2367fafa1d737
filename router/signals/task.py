"""What a request asks for, guessed from marks in its text."""

from __future__ import annotations

import re

_HEAD = 3_000
_TAIL = 1_000


def _marks(words: str) -> tuple[str, ...]:
    """Marks out of a list, parted by commas; ``_`` is where a word begins or ends."""
    return tuple(mark.strip().replace("_", " ") for mark in words.split(",") if mark.strip())


# Searched as plain substrings of the text's lower-case words: a regular expression of so many
# alternatives takes twenty times as long.
_TRANSLATION = _marks("""
_translate_, _translation of_, übersetz, _tradui, _traduc, _traduz, _tradurre_,
_vertaal, _oversett, _oversæt, _översätt, _käännä_, _přelož, _przetłumacz, _перевед, _переклад,
_çevir, _fordíts, תרגם, תרגמ, ترجم, 翻译, 翻譯, 訳して, 翻訳, 번역, แปลเป็น, แปลข้อ, แปลประโยค, แปลว่า
""")
_SUMMARY = _marks("""
_summarize, _summarise, _summary of_, _tl dr_, _tldr_, zusammenfass, zusammen gefasst, _fasse_,
_résum, _resumen_, _resumir, _resúm, _resume el_, _resume la_, _resume este_, _resume esta_,
_resuma_, _riassum, _riassunt, _samenvat, _sammanfatt, _sammenfatt, _opsummer,
_oppsummer, _tiivistä, _yhteenveto, _shrň, _shrnut, _streść_, _streszcz, _podsumuj, _перескаж,
_кратко излож, _резюмируй, _підсумуй, _стисло перекаж, _özetle, _foglald össze_, _összefoglal,
لخص, تلخيص, סכם, תקציר, 要約, 요약, 总结, 總結, 概括, 摘要, สรุป
""")
_EXTRACTION = _marks("""
_extract_, _extrahier, _extrais_, _extraire_, _extrayez_, _extrae_, _extraer_, _extraiga_, _estrai_,
_estrarre_, _extraia_, _extrair_, _extraheer, _extrahera_, _trekk ut_, _udtræk, _poimi_, _extrahuj,
_wyodrębnij, _извлеки, _витягни, _nyerd ki_, _gyűjtsd ki_, _ayıkla, استخرج, חלץ, 抽出, 추출, 提取,
抽取, ดึงข้อมูล
""")
_CLASSIFICATION = _marks("""
_classify_, _categorize_, _categorise_, _sentiment of_, _spam or not_, _klassifizier, _kategorisier,
_classifie_, _classifier_, _classifiez_, _clasifica_, _clasificar_, _classifica_, _classificare_,
_classificar_, _classifique_, _classificeer, _klassificer, _klassifiser, _luokittele, _klasifikuj,
_sklasyfikuj, _классифицируй, _класифікуй, _osztályozd, _sınıflandır, صنف, סווג, 分類して, 分类,
分類, 분류, จำแนก, จัดประเภท
""")
_CODE = _marks("""
_python_, _javascript_, _typescript_, _java_, _sql_, _golang_, _kotlin_, _haskell_, _bash_, _html_,
_css_, _regex_, _dockerfile_, _kubernetes_, _numpy_, _pandas dataframe_, _stack trace_, _traceback_,
_unit test, _refactor, _source code_, _pull request_, _compiler error_, _write code_, _rust code_,
_write a program_, _write a script_, _write a function_
""")
_MATHEMATICS = _marks("""
_solve for_, _equation, _integral of_, _derivative, _prove that_, _theorem_,
_calculate_, _factorize, _probability that_, _polynomial, _berechne, _gleichung,
_calcule_, _calculer_, _calcula_, _calcular_, _ecuaci, _équation, _equazione, _equaç,
_calcola, _уравнени, _вычисл, _обчисл, _рівнянн, _hesapla, _denklem, _számítsd,
_egyenlet, _laske_, _yhtälö, _beräkna, _ekvation, _beregn, _ligning, _oblicz, _równani,
_vypočít, _rovnic, _bereken, احسب, معادلة, משוואה, 計算, 方程, 積分, 计算, 계산, 방정식, คำนวณ,
สมการ
""")
_HOW_MANY = _marks("""
_how many_, _how much_, _how old_, _how long_, _how far_, _wie viel, _wieviel, _combien_, _cuánt,
_quanti_, _quante_, _quanto_, _quanta_, _quantos_, _quantas_, _hoeveel_, _hur må, _hur my, _hvor m,
_kuinka, _montako_, _kolik_, _ile_, _сколько_, _скільки_, _hány, _mennyi, _kaç_, _ne kadar_, _كم_,
_כמה_, いくら, いくつ, 何個, 何本, 何人, 何枚, 何円, 何時間, 何ドル, 何匹, 何歳,
何回, 何台, 몇, 얼마, 多少, 几个, 几, 幾, เท่าไ, เท่าใด, กี่
""")

_CODE_SIGNS = ("```", "#include", "console.log", "public static", "</div>", "c++", "c#", " => {")
_CODE_FORM = re.compile(
    r"def \w+\(|function \w*\(|select [^.\n]{1,80} from \w|from [\w.]+ import |"
    r"\w\.(?:py|js|ts|java|cpp|rs|sql|html|css|sh)(?!\w)"
)
_FORMULA = re.compile(r"\d\s*[-+*×÷^=]\s*\d|\\(?:frac|int|sum|sqrt|le|ge|cdot)\b|[xyn]\s?[\^²=]")
_NUMBER = re.compile(r"\d+")
_NO_WORD = dict.fromkeys(
    map(ord, "\n\t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¿¡«»“”„’…–—。、，？！：；"), " "
)
"""Not `\\W`, which cuts Thai words at their vowels."""


def task_of(text: str) -> str:
    """A guess at what is asked for, by marks: words of asking, fences, formulas.

    The first 3,000 and the last 1,000 characters are read, where instructions stand. The words
    of the catalogue's languages are known in part; a mark that is not known is not seen.

    Returns: One of the catalogue's tasks; ``chat`` when no mark is found, which is the weakest
        guess of all.
    """
    read = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    read = read.lower()
    words = f" {read.translate(_NO_WORD)} "
    code = _any(_CODE, words) or _any(_CODE_SIGNS, read) or _CODE_FORM.search(read) is not None
    if not code and _any(_TRANSLATION, words):
        return "translation"
    for task, marks in _ASKED:
        if _any(marks, words):
            return task
    if code:
        return "code"
    if _any(_MATHEMATICS, words) or _FORMULA.search(read):
        return "mathematics"
    if _any(_HOW_MANY, words) and len(_NUMBER.findall(read)) >= 2:
        return "mathematics"
    return "chat"


_ASKED = (
    ("summary", _SUMMARY),
    ("extraction", _EXTRACTION),
    ("classification", _CLASSIFICATION),
)


def _any(marks: tuple[str, ...], text: str) -> bool:
    return any(mark in text for mark in marks)
