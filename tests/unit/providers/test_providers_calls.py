"""Tool calls are put together from pieces, also from those that break the wire's rule."""

from __future__ import annotations

import pytest

from router.errors import BadWire
from router.providers.openai_calls import MAX_CALLS, CallPiece, Calls, Function


def piece(
    index: int | None = None,
    name: str | None = None,
    arguments: str | None = None,
    call_id: str | None = None,
) -> CallPiece:
    return CallPiece(index=index, id=call_id, function=Function(name=name, arguments=arguments))


def put_together(*pieces: CallPiece) -> list[tuple[str, str]]:
    calls = Calls()
    for each in pieces:
        calls.add(each)
    return [(call.name, call.arguments) for call in calls.complete()]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [piece(1, "b", "{}", "i2"), piece(0, "a", "{", "i1"), piece(0, arguments="}")],
            [("a", "{}"), ("b", "{}")],
            id="the-second-before-the-first",
        ),
        pytest.param(
            [piece(7, "a", "{}", "i1"), piece(3, "b", "{}", "i2")],
            [("b", "{}"), ("a", "{}")],
            id="indexes-with-gaps",
        ),
        pytest.param([piece(0, "a", "", "i1")], [("a", "")], id="no-arguments"),
        pytest.param(
            [piece(0, call_id="i1"), piece(0, "a"), piece(0, arguments="{}")],
            [("a", "{}")],
            id="id-then-name-then-arguments",
        ),
        pytest.param(
            [piece(0, "a", '{"x":', "i1"), piece(0, None, "1}", "i2")],
            [("a", '{"x":1}')],
            id="another-id-on-every-piece",
        ),
        pytest.param(
            [piece(None, "a", '{"x":', "i1"), piece(None, None, "1}", "i2")],
            [("a", '{"x":1}')],
            id="another-id-on-every-piece-and-no-index",
        ),
        pytest.param(
            [piece(None, "a", '{"x":'), piece(None, "a", '{"y":1}'), piece(None, "a", "}")],
            [("a", '{"x":{"y":1}}')],
            id="name-repeated-without-index-and-id",
        ),
        pytest.param(
            [piece(None, "a", "{}"), piece(None, "a", ""), piece(None, "b", "{}")],
            [("a", "{}"), ("b", "{}")],
            id="an-empty-piece-at-the-end-of-a-call",
        ),
        pytest.param(
            [
                piece(None, "a", '{"x":', "i1"),
                piece(None, "b", '{"y":', "i2"),
                piece(None, None, "1}", "i1"),
                piece(None, None, "2}", "i2"),
            ],
            [("a", '{"x":1}'), ("b", '{"y":2}')],
            id="an-id-on-every-piece-and-no-index",
        ),
        pytest.param(
            [piece(0, "a", "", "i1"), piece(0, "a", "", "i2")],
            [("a", ""), ("a", "")],
            id="the-same-tool-twice-at-index-0",
        ),
        pytest.param(
            [piece(0, "a", "{}", "i1"), piece(0, "a", "{", "i2"), piece(0, None, "}")],
            [("a", "{}"), ("a", "{}")],
            id="pieces-of-the-second-call-at-index-0",
        ),
        pytest.param(
            [piece(None, "a", ""), piece(None, "b", "")],
            [("a", ""), ("b", "")],
            id="two-tools-without-index-id-and-arguments",
        ),
        pytest.param(
            [piece(0, "a", "{", "i1"), piece(0, "b", "}", "i1")],
            [("a", "{}")],
            id="the-first-name-stays",
        ),
        pytest.param([piece(0), piece(1, "", "", ""), CallPiece()], [], id="pieces-of-nothing"),
    ],
)
def test_pieces_find_their_call(pieces: list[CallPiece], calls: list[tuple[str, str]]) -> None:
    assert put_together(*pieces) == calls


def test_the_first_id_of_a_call_stays() -> None:
    calls = Calls()
    calls.add(piece(0, "a", "{", "i1"))
    calls.add(piece(0, None, "}", "i2"))

    assert [call.id for call in calls.complete()] == ["i1"]


def test_a_call_without_an_id_is_given_one_that_no_other_has() -> None:
    def ids() -> list[str]:
        calls = Calls()
        calls.add(piece(0, "a", "{}"))
        calls.add(piece(1, "a", "{}"))
        return [call.id for call in calls.complete()]

    given = [*ids(), *ids()]

    assert len(set(given)) == 4
    assert all(given)


def test_a_call_without_a_name_is_no_call() -> None:
    with pytest.raises(BadWire, match="does not say which"):
        put_together(piece(0, "a", "{}", "i1"), piece(1, None, "{}", "i2"))


def test_the_number_of_calls_has_a_limit() -> None:
    most = [piece(index, "a", "{}") for index in range(MAX_CALLS)]

    assert len(put_together(*most)) == MAX_CALLS
    with pytest.raises(BadWire, match="more than 128 tools"):
        put_together(*most, piece(MAX_CALLS, "a", "{}"))
