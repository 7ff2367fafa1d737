"""What languages are called, so that "answer in French" is not held against a French answer."""

from __future__ import annotations

import re
from functools import cache

from .reading import MOST_READ

_CALLED: dict[str, str] = {
    "ar": r"arab|عرب|араб|ערבית|アラビア|阿拉伯|아랍",
    "cs": r"czech|tschech|česk|češtin|tchèque|checo|ceco|чеш|tjeck|捷克|チェコ|체코",
    "da": r"danish|dänisch|dansk|danois|danés|danese|датськ|датск|丹麦|デンマーク|덴마크",
    "de": r"german|deutsch|allemand|alemán|alemão|tedesc|duits|niemieck|немец|німец|tysk|"
    r"almanca|német|saksa|německ|ألماني|גרמנית|ドイツ|德语|德語|독일|เยอรมัน",
    "en": r"english|englisch|anglais|inglés|inglês|inglese|engels|angielsk|английск|англійськ|"
    r"engelsk|ingilizce|angol|englanni|anglick|angličtin|إنجليزي|انجليزي|אנגלית|英語|英语|英文|"
    r"영어|อังกฤษ",
    "es": r"spanish|spanisch|español|espagnol|espanhol|spagnol|spaans|hiszpańsk|испанск|іспанськ|"
    r"spansk|ispanyolca|spanyol|espanja|španěl|إسباني|ספרדית|スペイン|西班牙|스페인|สเปน",
    "fi": r"finnish|finnisch|suome|finnois|finland[eé]s|финск|фінськ|finsk|芬兰|핀란드",
    "fr": r"french|französisch|français|francés|francês|frances|frans\b|francusk|французск|"
    r"французьк|fransk|fransızca|francia|ranska|francouz|فرنسي|צרפתית|フランス|法语|法語|프랑스|"
    r"ฝรั่งเศส",
    "he": r"hebrew|hebräisch|hébreu|hebreo|иврит|עברית|ヘブライ|希伯来|히브리",
    "hu": r"hungarian|ungarisch|magyar|hongrois|húngaro|ungherese|венгерск|угорськ|匈牙利|헝가리",
    "it": r"italian|italienisch|italien|italiaans|włosk|итальянск|італійськ|olasz|italsk|italialai|"
    r"إيطالي|איטלקית|イタリア|意大利|이탈리아|อิตาลี",
    "ja": r"japan|japon|giappon|японск|японськ|日本語|日语|日文|일본어|ญี่ปุ่น",
    "ko": r"korean|koreanisch|coréen|coreano|корейск|корейськ|한국어|韓国|韩语|韓語|เกาหลี",
    "nl": r"dutch|niederländisch|nederlands|néerlandais|neerland|olandes|голландск|нидерланд|荷兰",
    "no": r"norwegian|norwegisch|norsk|norvégien|noruego|норвежск|норвезьк|挪威|ノルウェー",
    "pl": r"polish|polnisch|polsk|polonais|polaco|polacc|польск|польськ|波兰|ポーランド|폴란드",
    "pt": r"portug|португальск|португальськ|葡萄牙|ポルトガル|포르투갈|برتغالي",
    "ru": r"russ|rus[ao]\b|rusça|русск|російськ|rosyjsk|orosz|venäjä|روسي|רוסית|ロシア|俄语|"
    r"俄語|러시아|รัสเซีย",
    "sv": r"swedish|schwedisch|svensk|suédois|sueco|svedese|шведск|шведськ|瑞典|스웨덴",
    "th": r"\bthai|thaï|tailand|тайск|тайськ|ภาษาไทย|タイ語|泰语|泰語|태국",
    "tr": r"turkish|türk|\bturc|turco|турецк|турецьк|トルコ|土耳其|터키|تركي",
    "uk": r"ukrain|украинск|українськ|ucrain|ucranian|乌克兰|ウクライナ|우크라이나",
    "zh": r"chinese|chinesisch|chinois|chino\b|chinês|cinese|китайск|китайськ|mandarin|中文|汉语|"
    r"漢語|中国語|중국어|صيني|סינית|ภาษาจีน",
}


def names_language(text: str, language: str) -> bool:
    """Whether a text speaks of a language by name, in one of the more common languages.

    Args:
        language: ISO 639-1, of the catalogue. For ``other`` no names are known.
    """
    return language in _CALLED and _pattern(language).search(text[:MOST_READ].lower()) is not None


@cache
def _pattern(language: str) -> re.Pattern[str]:
    return re.compile(_CALLED[language])
