"""Which prompts are kept, for whom, and what is saved."""

from __future__ import annotations

import numpy as np
import pytest

from router.device.kept import AGAIN
from router.device.kept_rows import LEAST, KeptPrompts
from router.device.slots import Prefix


@pytest.fixture
def kept():
    return KeptPrompts(most_bytes=1000, token_bytes=1)


def tokens(*parts):
    return np.concatenate([np.full(count, value, np.int32) for value, count in parts])


def use(kept, prompt, tenant=None):
    """One job from beginning to end; how much of its prompt was known."""
    known = kept.find(tenant, prompt)[1]
    kept.keep(tenant, prompt, lambda: Prefix(np.empty((2, 1, len(prompt), 1), np.float32)))
    return known


def test_a_prompt_seen_before_is_read_from_where_it_differs(kept):
    assert use(kept, tokens((1, 100), (2, 20))) == 0
    assert use(kept, tokens((1, 100), (3, 20))) == 100


def test_the_last_tokens_are_always_read_again(kept):
    use(kept, tokens((1, 100)))

    assert use(kept, tokens((1, 100))) == 100 - AGAIN
    assert use(kept, tokens((1, 50))) == 50 - AGAIN


def test_one_kept_prompt_serves_several_at_once(kept):
    use(kept, tokens((1, 100), (2, 20)))

    found = [kept.find(None, tokens((1, 100), (n, 10))) for n in range(3, 6)]

    assert [known for _, known in found] == [100] * 3
    assert found[0][0] is found[1][0] is found[2][0] is not None


def test_no_tenant_gets_what_another_has_read(kept):
    use(kept, tokens((1, 100)), tenant="ours")

    for tenant in ("theirs", None, ""):
        assert kept.find(tenant, tokens((1, 100))) == (None, 0)


def test_the_beginning_of_a_template_is_no_hit(kept):
    use(kept, tokens((1, LEAST - 1), (2, 50)))

    assert kept.find(None, tokens((1, LEAST - 1), (3, 50))) == (None, 0)


def test_a_conversation_that_goes_on_replaces_its_beginning(kept):
    for turn in range(1, 6):
        use(kept, tokens((1, 100 * turn)))

    assert (kept.figures().kept, kept.figures().kept_bytes) == (1, 500)


def test_what_is_held_already_is_not_copied_again(kept):
    use(kept, tokens((1, 100)))

    def copy():
        raise AssertionError("it was copied")

    kept.keep(None, tokens((1, 60)), copy)
    assert kept.figures().kept_bytes == 100


def test_memory_is_bounded_and_the_least_recently_used_goes_first(kept):
    for value in (1, 2, 3):
        use(kept, tokens((value, 300)))
    use(kept, tokens((1, 300)))
    use(kept, tokens((4, 300)))

    assert kept.figures().kept_bytes <= 1000
    assert kept.find(None, tokens((1, 300)))[1] == 298
    assert kept.find(None, tokens((2, 300)))[1] == 0


def test_one_too_large_for_the_memory_throws_nobody_out(kept):
    use(kept, tokens((1, 300)))
    use(kept, tokens((2, 1001)))

    assert kept.find(None, tokens((1, 300)))[1] == 298
    assert kept.find(None, tokens((2, 1001)))[1] == 0


def test_nothing_is_kept_where_nothing_may_be():
    kept = KeptPrompts(most_bytes=0, token_bytes=1)
    use(kept, tokens((1, 100)))

    assert use(kept, tokens((1, 100))) == 0


def test_figures_tell_what_was_saved(kept):
    use(kept, tokens((1, 100)))
    use(kept, tokens((1, 100), (2, 10)))

    figures = kept.figures()
    assert (figures.jobs, figures.hits) == (2, 1)
    assert (figures.tokens_read, figures.tokens_reused) == (110, 100)
