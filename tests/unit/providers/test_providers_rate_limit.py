"""What services say of their limits, and what can't be believed of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.rate_limit import LONGEST_S, duration_s, rate_limit
from router.providers.retry_after import retry_after
from router.types import RateLimit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d2h", 93_600.0),
        ("59", 59.0),
        (" 7.66s ", 7.66),
        ("0s", 0.0),
        ("", None),
        ("soon", None),
        ("6m later", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1780000000", None),
    ],
)
def test_a_reset_is_a_duration_or_nothing(text: str, seconds: float | None) -> None:
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


def headers(**values: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in values.items()}


def test_what_is_left_and_when_it_comes_back() -> None:
    said = rate_limit(
        headers(
            limit_requests="60",
            remaining_requests="0",
            reset_requests="1s",
            limit_tokens="150000",
            remaining_tokens="149984",
            reset_tokens="6m0s",
        )
    )

    assert said == RateLimit(
        remaining_requests=0,
        remaining_tokens=149_984,
        reset_requests_s=1.0,
        reset_tokens_s=360.0,
    )
    assert said.empty_for_s == 1.0


def test_of_two_that_are_used_up_the_later_counts() -> None:
    said = rate_limit(
        headers(
            remaining_requests="0", reset_requests="1s", remaining_tokens="0", reset_tokens="6m0s"
        )
    )

    assert said is not None
    assert said.empty_for_s == 360.0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"limit_tokens": "0", "remaining_tokens": "0", "reset_tokens": "9s"},
        {"limit_tokens": "-1", "remaining_tokens": "5"},
        {"remaining_tokens": "-1", "reset_tokens": "9s"},
        {"remaining_requests": "many"},
        {"reset_requests": "9s"},
    ],
)
def test_what_can_not_be_true_is_not_known(values: dict[str, str]) -> None:
    assert rate_limit(headers(**values)) is None


def test_nothing_left_without_a_reset_is_no_wait() -> None:
    said = rate_limit(headers(remaining_requests="0"))

    assert said is not None
    assert said.empty_for_s is None


def test_a_refusal_without_a_wait_of_its_own_is_for_as_long_as_the_reset() -> None:
    used_up = headers(remaining_tokens="0", reset_tokens="20s")

    assert retry_after(used_up, "Too many.", 0.0) == 20.0
    assert retry_after(used_up, "Please wait 3 seconds.", 0.0) == 3.0
    assert retry_after({**used_up, "retry-after": "0"}, "", 0.0) == 0.0


@given(st.dictionaries(st.sampled_from(sorted(headers(
    limit_requests="", remaining_requests="", reset_requests="",
    limit_tokens="", remaining_tokens="", reset_tokens=""))), st.text(max_size=12)))  # fmt: skip
def test_no_header_is_too_odd(values: dict[str, str]) -> None:
    said = rate_limit(values)

    wait = None if said is None else said.empty_for_s
    assert wait is None or 0 <= wait <= LONGEST_S
