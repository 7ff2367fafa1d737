"""Who gets which generator: the most is saved, nothing crosses tenants, memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from router.device.engine import Guide
from router.device.kept import AGAIN, BUCKET, KeptGenerators


class Fake:
    """A generator that only knows how far it was rewound."""

    def __init__(self, length):
        self.length = length
        self.rewound = []

    def rewind_to(self, to):
        self.rewound.append(to)


@pytest.fixture
def kept():
    return KeptGenerators(lambda n, _: Fake(n), most_bytes=4096, token_bytes=1, limit=3000)


def tokens(*parts):
    return np.concatenate([np.full(count, value, np.int32) for value, count in parts])


def use(kept, prompt, tenant=None, guide=None, more=50):
    """One job from beginning to end; what it was lent, and what was reused."""
    held, common = kept.take(tenant, guide, prompt, len(prompt) + more)
    held.read = prompt
    kept.give_back(held)
    return held, common


def test_a_prompt_seen_before_is_read_from_where_it_differs(kept):
    first, none = use(kept, tokens((1, 100), (2, 20)))
    again, common = use(kept, tokens((1, 100), (3, 30)))

    assert (none, common) == (0, 100)
    assert again is first
    assert first.generator.rewound == [100]


def test_the_last_tokens_are_always_read_again(kept):
    use(kept, tokens((1, 100)))

    assert use(kept, tokens((1, 100)))[1] == 100 - AGAIN


def test_no_tenant_gets_what_another_has_read(kept):
    ours, _ = use(kept, tokens((1, 100)), tenant="ours")

    for tenant in ("theirs", None, ""):
        held, common = use(kept, tokens((1, 100)), tenant=tenant)
        assert held is not ours
        assert common == 0


def test_a_guide_is_part_of_a_generator(kept):
    guide = Guide(kind="regex", text="a+")
    free, _ = use(kept, tokens((1, 100)))

    assert use(kept, tokens((1, 100)), guide=guide)[1] == 0
    assert use(kept, tokens((1, 100)), guide=guide)[1] == 98
    assert use(kept, tokens((1, 100)))[0] is free


def test_one_that_is_in_use_is_not_lent_again(kept):
    prompt = tokens((1, 100))
    one, _ = kept.take(None, None, prompt, 150)
    one.read = prompt
    other, common = kept.take(None, None, prompt, 150)

    assert other is not one
    assert common == 0


def test_a_long_conversation_is_not_given_up_for_a_short_beginning(kept):
    long, _ = use(kept, tokens((1, 50), (2, 500)))
    other, common = use(kept, tokens((1, 50), (3, 10)))

    assert other is not long
    assert common == 0
    assert use(kept, tokens((1, 50), (2, 500), (4, 20)), more=20) == (long, 550)


def test_one_that_is_too_short_is_not_used(kept):
    small, _ = use(kept, tokens((1, 100)))
    large, common = use(kept, tokens((1, 100), (2, BUCKET)))

    assert large is not small
    assert common == 0


def test_lengths_are_buckets_below_the_limit(kept):
    assert use(kept, tokens((1, 10)))[0].length == BUCKET
    assert use(kept, tokens((2, 2900)), more=100)[0].length == 3000


def test_memory_is_bounded_and_the_least_recently_used_goes_first(kept):
    for value in range(1, 5):  # each has 1,024 of 4,096 bytes
        use(kept, tokens((value, 1000)), more=24)
    use(kept, tokens((1, 1000)), more=24)
    use(kept, tokens((9, 900)), tenant="else", more=124)

    figures = kept.figures()
    assert figures.kept_bytes == 4096
    assert use(kept, tokens((1, 1000)), more=24)[1] == 998
    assert use(kept, tokens((2, 1000)), more=24)[1] == 0


def test_without_room_for_another_the_oldest_is_overwritten_whole(kept):
    held = [use(kept, tokens((value, 1000)), more=24)[0] for value in range(1, 5)]

    again, common = use(kept, tokens((9, 1000)), more=24)

    assert again is held[0]
    assert common == 0
    assert again.generator.rewound == [0]


def test_what_is_lent_counts_but_is_never_refused(kept):
    lent = [kept.take(None, None, tokens((v, 2000)), 2048)[0] for v in range(1, 5)]
    for held in lent:
        kept.give_back(held)

    assert kept.figures().kept_bytes <= 4096


def test_one_that_failed_is_not_kept(kept):
    held, _ = kept.take(None, None, tokens((1, 100)), 150)
    held.read = tokens((1, 100))
    kept.drop(held)

    assert use(kept, tokens((1, 100)))[1] == 0


@pytest.mark.parametrize(
    "bounds", [{"most_bytes": 0, "token_bytes": 1}, {"most_bytes": 99999, "token_bytes": None}]
)
def test_nothing_is_kept_where_it_may_not_or_can_not_be_bounded(bounds):
    kept = KeptGenerators(lambda n, _: Fake(n), limit=3000, **bounds)

    assert use(kept, tokens((1, 100)))[0].length == 150
    assert use(kept, tokens((1, 100)))[1] == 0
    assert kept.figures().kept == 0


def test_figures_tell_what_was_saved(kept):
    use(kept, tokens((1, 100)))
    use(kept, tokens((1, 100), (2, 10)))

    figures = kept.figures()
    assert (figures.jobs, figures.hits) == (2, 1)
    assert (figures.tokens_read, figures.tokens_reused) == (110, 100)
    assert (figures.kept, figures.kept_bytes) == (1, BUCKET)
