"""Forty short questions whose answers a program can check. Nothing is fitted on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

SYSTEM = "Answer in a few words."


@dataclass(frozen=True, slots=True)
class Checkable:
    """A question and the answers that count, lower case, any of them as a whole word."""

    question: str
    accepted: tuple[str, ...]

    def right(self, answer: str) -> bool:
        """Whether an accepted answer stands in `answer`, not inside a longer word or number."""
        text = answer.lower()
        return any(
            re.search(rf"(?<![\w.]){re.escape(word)}(?![\w]|\.\d)", text) for word in self.accepted
        )


PROMPTS = tuple(
    Checkable(question, tuple(answers.split("|")))
    for question, answers in (
        ("Which city is the capital of Belgium?", "brussels"),
        ("Which city is the capital of Morocco?", "rabat"),
        ("Which city is the capital of Colombia?", "bogota|bogotá"),
        ("Which city is the capital of Croatia?", "zagreb"),
        ("Which city is the capital of Indonesia?", "jakarta|nusantara"),
        ("Which city is the capital of Ukraine?", "kyiv|kiev"),
        ("Which city is the capital of Mexico?", "mexico city"),
        ("Which city is the capital of the Czech Republic?", "prague"),
        ("On which continent is Ghana?", "africa"),
        ("On which continent is Laos?", "asia"),
        ("Which language do most people in Austria speak?", "german"),
        ("Which ocean lies between Europe and North America?", "atlantic"),
        ("Which river flows through London?", "thames"),
        ("Which metal has the symbol Cu?", "copper"),
        ("Which gas has the symbol N?", "nitrogen"),
        ("Which element has the symbol He?", "helium"),
        ("Which planet is known for its rings?", "saturn"),
        ("Which star does the Earth go around?", "sun"),
        ("What do bees make?", "honey"),
        ("What is frozen water called?", "ice"),
        ("Which animal is the young of a cat?", "kitten|kittens"),
        ("Which animal barks?", "dog|dogs"),
        ("How many wheels does a bicycle have?", "2|two"),
        ("How many hours are there in a day?", "24|twenty-four"),
        ("How many months are there in a year?", "12|twelve"),
        ("How many letters does the English alphabet have?", "26|twenty-six"),
        ("How many sides does a triangle have?", "3|three"),
        ("How much is 2 plus 3?", "5|five"),
        ("How much is 9 minus 4?", "5|five"),
        ("How much is 6 times 7?", "42|forty-two"),
        ("How much is 100 divided by 4?", "25|twenty-five"),
        ("What is the opposite of big?", "small|little|tiny"),
        ("What is the opposite of early?", "late"),
        ("What is the opposite of full?", "empty"),
        ("What is the plural of child?", "children"),
        ("What is the past tense of eat?", "ate"),
        ("Which day comes after Monday?", "tuesday"),
        ("Which month comes after March?", "april"),
        ("Which colour is a ripe banana?", "yellow"),
        ("Who wrote Hamlet?", "shakespeare"),
    )
)
