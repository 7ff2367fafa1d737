"""Questions about English words: opposites, forms, kinds of things, meanings, letters."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from device_set import How

Said = tuple[str, str, How, Iterable[str], Iterable[str]]
"""Subject, question, how it is checked, what counts, rivals."""

_GROUPS = {"05": "an animal", "13": "a food", "20": "a plant", "08": "a part of the body",
           "18": "a person", "15": "a place"}  # fmt: skip
"""WordNet's lexicographer files of nouns whose members a choice can be made among."""
_ANTONYM, _SIMILAR, _ALSO = "!", "&", "^"
_PLAIN = re.compile(r"[a-z]{3,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Synset:
    """One meaning: the words that have it, its lexicographer file, its pointers, its gloss."""

    words: tuple[str, ...]
    file: str
    pointers: tuple[tuple[str, str, str, int, int], ...]
    gloss: str


@dataclass(slots=True)
class Wordnet:
    """WordNet's files of one folder, as far as the questions need them.

    Attributes:
        synsets: By part of speech and offset.
        senses: Of each word and part of speech, its meanings' offsets, the commonest first.
        often: How many times each word's senses were met in the tagged texts.
    """

    synsets: dict[tuple[str, str], Synset] = field(default_factory=dict)
    senses: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    often: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


def word_kinds(folder: Path) -> dict[str, list[Said]]:
    """Every kind about words."""
    net = load(folder)
    nouns, verbs = _common(net, "n", 700), _common(net, "v", 400)
    return {
        "opposite": _opposites(net),
        "plural": list(_plurals(nouns)),
        "past tense": list(_pasts(verbs)),
        "group": list(_groups(net, _common(net, "n", 4000))),
        "meaning": list(_meanings(net, nouns)),
    }


def load(folder: Path) -> Wordnet:
    """Read the data and index files (format: wndb(5WN))."""
    net = Wordnet()
    for kind, name in (("n", "noun"), ("v", "verb"), ("a", "adj"), ("r", "adv")):
        for line in _lines(folder / f"data.{name}"):
            net.synsets[kind, line[:8]] = _synset(line)
        for line in _lines(folder / f"index.{name}"):
            part = line.split()
            net.senses[part[0], kind] = part[6 + int(part[3]) :]
    for line in _lines(folder / "index.sense"):
        key, _, _, times = line.split()
        word, _, rest = key.partition("%")
        net.often[word, {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}[rest[0]]] += int(times)
    return net


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("  "):
            yield line


def _synset(line: str) -> Synset:
    plain, _, gloss = line.partition(" | ")
    part = plain.split()
    count = int(part[3], 16)
    words = tuple(part[4 + 2 * at].partition("(")[0] for at in range(count))
    at = 4 + 2 * count
    pointers = []
    for place in range(int(part[at])):
        sign, offset, kind, ends = part[at + 1 + 4 * place : at + 5 + 4 * place]
        pointers.append((sign, offset, kind, int(ends[:2], 16), int(ends[2:], 16)))
    return Synset(words=words, file=part[1], pointers=tuple(pointers), gloss=gloss)


def _common(net: Wordnet, kind: str, most: int) -> list[str]:
    """The words of a kind that texts use most, of letters alone, and no names."""
    words = [
        word
        for (word, of), offsets in net.senses.items()
        if of == kind
        and _PLAIN.fullmatch(word)
        and all(word in net.synsets[kind, offset].words for offset in offsets)
    ]
    return sorted(words, key=lambda word: (-net.often[word, kind], word))[:most]


def _opposites(net: Wordnet) -> list[Said]:
    """Adjectives, and what WordNet counts as their opposite in any sense, or as near to that."""
    found: list[Said] = []
    for word in _common(net, "a", 1500):
        counts: set[str] = set()
        for offset in net.senses[word, "a"]:
            synset = net.synsets["a", offset]
            for sign, other, kind, source, _ in synset.pointers:
                if sign == _ANTONYM and synset.words[source - 1] == word:
                    counts |= _about(net, kind, other)
        counts = {said.replace("_", " ") for said in counts} - {word}
        if counts:
            asked = f"What is the opposite of {word}?"
            found.append((f"word {word}", asked, "words", counts, ()))
    return found[:240]


def _about(net: Wordnet, kind: str, offset: str) -> set[str]:
    """The words of a meaning, and of those that WordNet calls similar or says to see also."""
    synset = net.synsets["a" if kind == "s" else kind, offset]
    found = set(synset.words)
    for sign, other, of, _, _ in synset.pointers:
        if sign in (_SIMILAR, _ALSO):
            found |= set(net.synsets["a" if of == "s" else of, other].words)
    return found


def _forms(word: str, tag: str, kind: str) -> set[str]:
    from lemminflect import getAllInflections

    found = set(getAllInflections(word, upos=kind).get(tag, ()))
    return found - {word} or found


def _plurals(nouns: list[str]) -> Iterator[Said]:
    """Nouns whose plural is not the noun with an s, and as many others."""
    plain: list[Said] = []
    for noun in nouns:
        forms = _forms(noun, "NNS", "NOUN")
        said = (f"word {noun}", f"What is the plural of {noun}?", "words", forms, ())
        if not forms:
            continue
        if forms == {noun + "s"}:
            plain.append(said)
        else:
            yield said
    yield from plain[:25]


def _pasts(verbs: list[str]) -> Iterator[Said]:
    """Verbs, the past tense of most of which is not the verb with ed."""
    plain: list[Said] = []
    for verb in verbs:
        forms = _forms(verb, "VBD", "VERB")
        said = (f"word {verb}", f"What is the past tense of the verb {verb}?", "words", forms, ())
        if not forms:
            continue
        if forms <= {verb + "ed", verb + "d"}:
            plain.append(said)
        else:
            yield said
    yield from plain[:25]


def _groups(net: Wordnet, nouns: list[str]) -> Iterator[Said]:
    """Nouns all of whose common meanings are of one group, and three other groups to choose."""
    draw = random.Random("groups")
    for noun in nouns:
        files = {net.synsets["n", offset].file for offset in net.senses[noun, "n"]}
        if len(files) != 1 or (group := files.pop()) not in _GROUPS:
            continue
        others = draw.sample(sorted(set(_GROUPS) - {group}), 2)
        options = [_GROUPS[name] for name in (group, *others)]
        draw.shuffle(options)
        article = "an" if noun[0] in "aeiou" else "a"
        asked = f"What is {article} {noun}: {options[0]}, {options[1]} or {options[2]}?"
        right = _GROUPS[group].split(maxsplit=1)[1]
        rivals = [_GROUPS[name].split(maxsplit=1)[1] for name in others]
        yield f"word {noun}", asked, "choice", [right], rivals


def _meanings(net: Wordnet, nouns: list[str]) -> Iterator[Said]:
    """A meaning, and three nouns of which one has it."""
    draw = random.Random("meanings")
    for noun in nouns:
        gloss = net.synsets["n", net.senses[noun, "n"][0]].gloss
        means = gloss.partition(";")[0].partition('"')[0].strip(" ()")
        others = draw.sample([other for other in nouns if other[:4] != noun[:4]], 2)
        if noun in means or not 20 <= len(means) <= 80 or any(word in means for word in others):
            continue
        options = [noun, *others]
        draw.shuffle(options)
        asked = f"Which word means \u201c{means}\u201d: {options[0]}, {options[1]} or {options[2]}?"
        yield f"word {noun}", asked, "choice", [noun], others
