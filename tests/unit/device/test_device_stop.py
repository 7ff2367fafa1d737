from __future__ import annotations

import pytest

from router.device.stop import StopStrings


def collect(strings: tuple[str, ...], pieces: list[str]) -> tuple[str, bool]:
    stops = StopStrings(strings)
    text = ""
    for piece in pieces:
        new, stopped = stops.feed(piece)
        text += new
        if stopped:
            return text, True
    return text + stops.flush(), False


def test_a_stop_string_over_three_tokens_never_shows():
    assert collect(("END.",), ["It is so. E", "N", "D", ". And more"]) == ("It is so. ", True)


def test_what_only_began_like_a_stop_string_is_given_back():
    assert collect(("END.",), ["the EN", "DING"]) == ("the ENDING", False)


def test_text_that_can_not_be_part_of_a_stop_string_is_not_held_back():
    stops = StopStrings(("###",))

    assert stops.feed("one two #") == ("one two ", False)
    assert stops.feed("three") == ("#three", False)


def test_an_answer_that_ends_inside_a_stop_string_keeps_what_there_is_of_it():
    stops = StopStrings(("###",))
    stops.feed("a ##")

    assert stops.flush() == "##"
    assert stops.flush() == ""


@pytest.mark.parametrize("pieces", [["abcd"], ["a", "b", "c", "d"], ["ab", "cd"], ["abc", "d"]])
def test_the_string_complete_first_ends_the_answer_however_the_text_is_cut(pieces):
    assert collect(("abcd", "bc"), pieces) == ("a", True)


def test_of_two_that_end_together_the_longer_counts():
    assert collect(("b", "ab"), ["xa", "b"]) == ("x", True)


def test_an_empty_stop_string_stops_nothing():
    assert collect(("",), ["all of it"]) == ("all of it", False)
