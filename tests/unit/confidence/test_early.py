"""Bars for drafts still being written: what is cut, what is shown, and what is refused."""

from __future__ import annotations

import numpy as np

from router.confidence.early import (
    CUT,
    LENGTHS,
    Aborts,
    EarlyBars,
    certify_aborts,
    certify_commits,
    running_means,
)
from router.confidence.guarantee import Promise, Refused


def drafts(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Running means, which would be kept, which would be losses."""
    draw = np.random.default_rng(seed)
    sure = draw.normal(size=count)
    told = [np.minimum(0, -0.5 + 0.3 * s + 0.1 * draw.normal(size=140)) for s in sure]
    lost = (draw.random(count) < 0.3 / (1 + np.exp(3 * sure))).astype(np.float64)
    return running_means(told), sure > 0, lost


def test_a_draft_that_is_whole_at_a_length_has_no_mean_there() -> None:
    found = running_means([[-1.0] * 16, [-1.0] * 16 + [-5.0], []])

    assert np.isnan(found[0]).all()
    assert found[1, 0] == -1.0
    assert np.isnan(found[1, 1:]).all()
    assert np.isnan(found[2]).all()


def test_abort_bars_cut_few_that_would_be_kept_and_many_others() -> None:
    order, kept_there, _ = drafts(800, 1)
    means, kept, _ = drafts(800, 2)

    found = certify_aborts(order[kept_there], means, kept, 0.9)

    assert isinstance(found, Aborts)
    assert found.cut <= found.most_cut <= CUT
    assert found.given_up > 0.3
    assert [bar.tokens for bar in found.bars] == list(LENGTHS)


def test_abort_bars_break_their_promise_no_more_often_than_they_say() -> None:
    order, kept_there, _ = drafts(400, 3)
    truth, truly_kept, _ = drafts(5_000, 4)
    broken, certified = 0, 0
    for seed in range(60):
        means, kept, _ = drafts(400, 100 + seed)
        found = certify_aborts(order[kept_there], means, kept, 0.9)
        if isinstance(found, Aborts):
            certified += 1
            bars = np.array([bar.mean_logprob for bar in found.bars])
            broken += (truth[truly_kept] < bars).any(axis=1).mean() > CUT

    assert certified > 30
    assert broken <= 12  # 6 on average at most; 12 is three standard deviations more


def test_too_few_kept_drafts_give_no_abort_bars() -> None:
    order, kept_there, _ = drafts(200, 5)
    means, kept, _ = drafts(60, 6)

    found = certify_aborts(order[kept_there], means, kept, 0.9)

    assert isinstance(found, Refused)
    assert found.more_labels is not None
    # 0.98 ** 114 < 0.1 < 0.98 ** 113
    assert found.more_labels == 114 - int(kept.sum())


def test_a_fit_that_keeps_nothing_gives_no_abort_bars() -> None:
    means, kept, _ = drafts(60, 6)

    assert isinstance(certify_aborts(means[:0], means, kept, 0.9), Refused)


def test_without_log_probabilities_there_are_no_bars() -> None:
    nothing = running_means([[]] * 200)
    kept = np.ones(200, dtype=np.bool_)

    assert isinstance(certify_aborts(nothing, nothing, kept, 0.9), Refused)
    assert certify_commits(nothing, nothing, kept, np.zeros(200), Promise(loss=0.05)) == ()


def test_a_commit_counts_what_is_lost_early_and_late_together() -> None:
    order, _, _ = drafts(800, 7)
    means, kept, lost = drafts(800, 8)

    found = certify_commits(order, means, kept, lost, Promise(loss=0.08))

    assert found
    for one in found:
        shown = means[:, LENGTHS.index(one.bar.tokens)] >= one.bar.mean_logprob
        assert one.loss == lost[kept | shown].sum() / 800
        assert one.loss <= one.most_loss <= 0.08
        assert one.shown == shown.mean()
    assert EarlyBars(commits=found).best_commit in found


def test_a_commit_that_would_break_the_promise_is_not_certified() -> None:
    order, _, _ = drafts(400, 9)
    means, kept, _ = drafts(400, 10)

    assert certify_commits(order, means, kept, np.ones(400), Promise(loss=0.05)) == ()
