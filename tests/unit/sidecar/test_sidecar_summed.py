"""Metrics of several workers as if one had counted."""

from __future__ import annotations

from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from router.sidecar.exposition import Counter, Histogram, lines
from router.sidecar.summed import left_by, total


def text(*metrics: Counter | Histogram) -> str:
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def gauge(name: str, value: float) -> str:
    return "".join(f"{line}\n" for line in lines(name, "gauge", "A gauge.", (), [((), value)]))


def asked(**counts: int) -> Counter:
    counter = Counter("firsthop_requests_total", "Requests.", ("route",))
    for route, count in counts.items():
        counter.add((route,), count)
    return counter


def spent(*amounts: str) -> Counter:
    counter = Counter("firsthop_cost_usd_total", "Dollars.")
    for amount in amounts:
        counter.add((), Decimal(amount))
    return counter


def took(*seconds: float) -> Histogram:
    histogram = Histogram("firsthop_request_seconds", "Seconds.", ("policy",), (0.1, 1.0))
    for value in seconds:
        histogram.add(("a b",), value)
    return histogram


def test_what_was_counted_adds_up_label_by_label() -> None:
    said = total([text(asked(device=2, cloud=1)), text(asked(device=3, none=4)), ""])

    assert said == text(asked(device=5, cloud=1, none=4))


def test_dollars_stay_exact() -> None:
    said = total([text(spent("0.1")), text(spent("0.2"))])

    assert said == text(spent("0.3"))


def test_a_histogram_of_all_is_that_of_all_values() -> None:
    said = total([text(took(0.05, 0.5)), text(took(0.5, 7.0))])

    (found,) = text_string_to_metric_families(said)
    (wanted,) = text_string_to_metric_families(text(took(0.05, 0.5, 0.5, 7.0)))
    assert found.samples == wanted.samples


def test_what_says_how_bad_it_is_is_the_worst_and_what_is_one_for_all_counts_once() -> None:
    stale, key = "firsthop_policy_stale", "firsthop_key_day_usd"
    one = gauge(stale, 0) + gauge(key, 2.5) + gauge("firsthop_device_up", 1)
    two = gauge(stale, 1) + gauge(key, 2.5)

    assert total([one, two]) == gauge(stale, 1) + gauge(key, 2.5) + gauge("firsthop_device_up", 1)
    assert "firsthop_device_up" not in total([two, one])


def test_the_dead_leave_what_they_counted_and_not_how_they_were() -> None:
    worker = text(asked(device=2), took(0.5)) + gauge("firsthop_requests_active", 3)
    dead = left_by(left_by("", worker), worker)

    assert dead == text(asked(device=4)) + total([text(took(0.5)), text(took(0.5))])


def test_numbers_of_any_size_are_read_and_written() -> None:
    said = total([gauge("x", 1e-07), gauge("x", 123456789012345680.0)])

    (found,) = text_string_to_metric_families(said)
    assert found.samples[0].value == 123456789012345680.0


def test_names_may_hold_what_else_ends_a_line() -> None:
    odd = "a\u2028b\u0085c\x0bd"
    one = text(asked(**{odd: 2}))

    assert total([one, one]) == text(asked(**{odd: 4}))
