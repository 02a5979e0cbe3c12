"""Numbers of a vector that vanish: found one by one, and calm days with shares of their own raise nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.change import change_of_rows
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.numbers import numbers_reference, set_numbers
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.report import judge_window
from homeostat.drift.training_windows import cut
from homeostat.records import DriftStatus
from homeostat.vectors import packed, packed_vectors

SIZE, COMMON, ROWS_A_DAY, LEVEL = 600, 10, 150, 0.05
START, DAY = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1)


def sparse(rows, seed, gone=0):
    """Thirty of 600 numbers are set, and each of the ten common ones in half of the rows."""
    rng, found = np.random.default_rng(seed), np.zeros((rows, SIZE))
    for row in found:
        row[rng.choice(SIZE, 30, replace=False)] = rng.standard_normal(30)
    found[:, :COMMON] = np.where(rng.random((rows, COMMON)) < 0.5, rng.standard_normal((rows, COMMON)), 0)
    found[:, :gone] = 0
    return lists(found)


def lists(rows):
    return pl.Series("v", rows, dtype=pl.Array(pl.Float64, rows.shape[1])).cast(pl.List(pl.Float64))


@pytest.fixture(scope="module")
def profile():
    frame, scores = pl.DataFrame({"v": sparse(3_000, 0)}), np.random.default_rng(0).random(3_000)
    made = build_profile(frame, ["v"], frozenset(), scores, expected_loss=0.5, seed=1)
    return Profile.from_bytes(made.to_bytes())


def look(profile, rows):
    window = WindowCounts(Counter(profile))
    window.add_columns([rows], np.random.default_rng(5).random(len(rows)))
    return judge_window(window, (), DriftPolicy())


def test_one_number_that_vanishes_is_found_and_named(profile):
    judgement = look(profile, sparse(2_000, 1, gone=1))
    (vector,) = judgement.features
    assert "PSI of set or not: number 0 " in judgement.reasons[0]
    assert vector.drifted
    assert vector.embedding < vector.embedding_limit
    assert [name for name in vector.distances if name.startswith("number ")] == ["number 0"]


@pytest.mark.parametrize("change", [20, 50])
def test_a_number_that_vanishes_dates_the_change_though_no_distance_shows_it(profile, change):
    parts, whole = [WindowCounts(Counter(profile)) for _ in range(100)], WindowCounts(Counter(profile))
    for k, part in enumerate(parts):
        part.add_columns([sparse(20, [change, k], gone=int(k >= change))], np.random.default_rng(k).random(20))
        whole.merge(part)
    judged = judge_window(whole, (), DriftPolicy())
    assert judged.features[0].embedding < judged.features[0].embedding_limit
    assert abs(change_of_rows(parts, DriftPolicy(), judged) - change) <= 1


def test_calm_numbers_are_healthy(profile):
    assert look(profile, sparse(2_000, 2)).status is DriftStatus.HEALTHY


def test_a_profile_of_before_says_nothing_of_numbers_and_still_watches(profile):
    vectors = {0: replace(profile.vectors[0], numbers=None)}
    old = Profile.from_bytes(replace(profile, vectors=vectors).to_bytes())
    assert not look(old, sparse(2_000, 1, gone=1)).features[0].drifted


def test_numbers_told_by_index_and_as_lists_count_alike():
    rows = np.random.default_rng(0).standard_normal((50, 200)) * (np.random.default_rng(1).random((50, 200)) < 0.05)
    expected = np.count_nonzero(rows, axis=0)
    cells = [*map(packed, rows), None, (1.0, 2.0)]
    assert set_numbers(packed_vectors(cells), 200).tolist() == expected.tolist()
    assert set_numbers(packed_vectors(lists(rows)), 200).tolist() == expected.tolist()
    assert set_numbers(np.vstack([rows, np.full(200, np.nan)]), 200).tolist() == expected.tolist()


def days(rng, count, own, together, unsteady):
    """Rows of so many days in which each of forty numbers is set with a chance that moves from day to day."""
    usual = np.linspace(-2, 0.5, 40)
    moves = own * rng.standard_normal((count, 40)) + together * rng.standard_normal((count, 1))
    moves[:, :2] += unsteady * rng.standard_normal((count, 2))
    latent = rng.standard_normal((count * ROWS_A_DAY, 40)) + np.repeat(usual + moves, ROWS_A_DAY, axis=0)
    return np.maximum(latent, 0.0)


@pytest.mark.parametrize("train_days", [5, 8, 28])
@pytest.mark.parametrize(
    ("own", "together", "unsteady"), [(0, 0, 0), (0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.8)],
    ids=["independent", "numbers of their own", "all together", "two alone"],
)  # fmt: skip
def test_calm_days_alarm_no_more_than_stated(train_days, own, together, unsteady):
    alarms, trainings = 0, 120
    for k in range(trainings):  # each look has a training of its own: they are independent
        rng = np.random.default_rng([train_days, k])
        rows = days(rng, train_days, own, together, unsteady)
        times = pl.Series([START + DAY * (i / ROWS_A_DAY) for i in range(len(rows))])
        weights = np.ones(len(rows))
        reference = numbers_reference(lists(rows), 40, weights, cut(times, weights, DAY))
        live = days(rng, 1, own, together, unsteady)
        alarms += reference.test(np.count_nonzero(live, axis=0).astype(float), ROWS_A_DAY).p_value <= LEVEL
    low, high = stats.binomtest(alarms, trainings).proportion_ci(0.99)
    assert low <= LEVEL, f"{alarms} of {trainings} calm days, {low:.3f} to {high:.3f}"


@pytest.mark.parametrize("own", [0.0, 0.3])
def test_a_number_that_vanishes_is_found_among_days_with_shares_of_their_own(own):
    found = 0
    for k in range(10):
        rng = np.random.default_rng([9, k])
        rows = days(rng, 28, own, 0, 0)
        times = pl.Series([START + DAY * (i / ROWS_A_DAY) for i in range(len(rows))])
        weights = np.ones(len(rows))
        reference = numbers_reference(lists(rows), 40, weights, cut(times, weights, DAY))
        live = days(rng, 1, own, 0, 0)
        live[:, 39] = 0
        test = reference.test(np.count_nonzero(live, axis=0).astype(float), ROWS_A_DAY)
        found += "number 39" in test.moved(LEVEL, 0.1)
    assert found == 10


@pytest.mark.parametrize("seed", range(20))
def test_a_number_that_every_row_sets_is_no_share_above_one(seed):
    """Weights whose sum depends on the order gave 1.0000000000000002, no chance came of it and the keeper ended."""
    rng = np.random.default_rng(seed)
    weights = rng.random(1_500) ** 3
    times = pl.Series([START + DAY * (i / ROWS_A_DAY) for i in range(weights.size)])
    cells = lists(rng.standard_normal((weights.size, 4)))
    made = numbers_reference(cells, 4, weights, cut(times, weights, DAY))
    before = replace(made, shares=tuple(np.nextafter(made.shares, 2.0).tolist()))  # as a profile may hold them
    for reference in (made, before):
        assert reference.test(np.full(4, 300.0), 300.0).p_value == 1.0
