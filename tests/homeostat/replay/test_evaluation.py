from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from homeostat.replay.evaluation import DAY_US, Interval, auc, by_week, paired_difference, paired_interval, quality

ROWS = st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_auc_and_log_loss_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([float(label) for label, _ in rows])
    scores = np.array([score / 10 for _, score in rows])
    found = quality(labels, scores)
    assert found.auc == pytest.approx(roc_auc_score(labels, scores))
    assert found.log_loss == pytest.approx(log_loss(labels, scores))


def test_one_label_alone_has_no_auc() -> None:
    assert auc(np.ones(5), np.arange(5)) is None


def test_weeks_start_at_the_first_rows_midnight_and_skip_what_is_empty() -> None:
    start = int(datetime(2024, 1, 3, 15, tzinfo=UTC).timestamp()) * 1_000_000
    times = start + np.array([0, 6, 7, 21]) * DAY_US
    weeks = by_week(times, np.array([0.0, 1, 1, 0]), {"a": np.full(4, 0.5)})
    assert [(week.start.day, week.rows) for week in weeks] == [(3, 2), (10, 1), (24, 1)]
    assert weeks[0].models["a"].log_loss == pytest.approx(np.log(2))


def test_no_rows_make_no_weeks() -> None:
    assert by_week(np.array([], dtype=np.int64), np.array([]), {}) == []


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_the_interval_holds_the_mean_and_grows_when_rows_of_a_day_move_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(30), 20)
    alone = rng.normal(size=600)
    together = np.repeat(rng.normal(size=30), 20)
    mean, low, high = paired_interval(alone, days)
    _, wide_low, wide_high = paired_interval(together, days)
    assert low <= mean <= high
    assert wide_high - wide_low > high - low


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(60), 5)
    hits = 0
    for _ in range(100):
        difference = np.repeat(rng.normal(size=60), 5) + rng.normal(size=300)
        _, low, high = paired_interval(difference, days)
        hits += low <= 0 <= high
    assert 87 <= hits <= 99  # 95 less what a percentile interval lacks with 60 days, and chance


def test_a_better_model_has_a_negative_difference_that_excludes_zero() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, 5000)
    labels = (rng.random(5000) < truth).astype(float)
    found = paired_difference(np.arange(5000) * (DAY_US // 100), labels, truth, np.full(5000, 0.5))
    assert found.mean < 0
    assert found.excludes_zero


def test_an_interval_over_zero_excludes_nothing() -> None:
    assert not Interval(0.0, -1.0, 1.0).excludes_zero
