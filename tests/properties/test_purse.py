"""The day's dollars are exact whatever is reserved, settled, settled again, and whenever."""

from __future__ import annotations

import time
from decimal import Context, Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from router.clock import ManualClock
from router.drive.purse import Purse, Reservation

USD = st.decimals(0, 1_000_000, places=9)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "wait"]),
        st.integers(0, 12),
        USD,
        st.floats(0, 30 * 3600),
    ),
    max_size=60,
)


def day(clock: ManualClock) -> tuple[int, int, int]:
    now = time.localtime(clock.wall())
    return now.tm_year, now.tm_mon, now.tm_mday


@given(STEPS, st.integers(1, 28))
def test_spent_is_what_was_settled_today_and_what_is_open(
    steps: list[tuple[str, int, Decimal, float]], digits: int
) -> None:
    clock = ManualClock()
    purse = Purse(clock)
    made: list[Reservation] = []
    open_: dict[int, Fraction] = {}
    settled: list[tuple[tuple[int, int, int], Fraction]] = []
    with localcontext(Context(prec=digits)):
        for word, index, usd, seconds in steps:
            if word == "reserve":
                open_[len(made)] = Fraction(usd)
                made.append(purse.reserve(usd))
            elif word == "wait":
                clock.advance(seconds)
            elif index < len(made):
                purse.settle(made[index], usd)
                if open_.pop(index, None) is not None:
                    settled.append((day(clock), Fraction(usd)))
            today = sum((cost for at, cost in settled if at == day(clock)), Fraction(0))
            spent = purse.spent_usd()
            assert spent >= 0
            assert Fraction(spent) == today + sum(open_.values(), Fraction(0))
