"""Simulations: how often calm windows alarm, and what is found. Bounds are Clopper-Pearson, so a test fails
only when the stated level is excluded with 99.9 % confidence."""

import numpy as np
import pytest
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus
from tests.statistics.drift_columns import ROWS_A_DAY, WEEK, Columns, days, mixed, times_of

LEVEL = 0.05
NO_FLOORS = DriftPolicy(min_rows=50, false_discovery_rate=LEVEL, min_psi=1e-9, min_ks=1e-9)


@pytest.fixture(autouse=True)
def one_thread():
    """Small products on two busy cores take four times the CPU when BLAS spins on both."""
    with threadpool_limits(1):
        yield


def lower_bound(hits, trials, confidence=0.999):
    """The least true rate that is compatible with what was seen."""
    return 0.0 if hits == 0 else float(beta.ppf(1 - confidence, hits, trials - hits + 1))


def judged(counter, table, policy):
    return judge_window(table.counted(counter), (), policy)


@pytest.mark.parametrize(
    ("rows", "features", "rho", "windows"),
    [(50, 5, 0.0, 100), (50, 40, 0.5, 30), (200, 20, 0.0, 50), (1000, 20, 0.5, 50), (5000, 10, 0.0, 60)],
)
def test_calm_windows_alarm_no_more_often_than_the_level_even_without_floors(rows, features, rho, windows):
    rng = np.random.default_rng([rows, features])
    alarms = 0
    for _ in range(windows):
        # a reference of its own for each: windows held against one unlucky sample would alarm together
        counter = mixed(rng, 5000, features, rho).counter()
        alarms += judged(counter, mixed(rng, rows, features, rho), NO_FLOORS).status is DriftStatus.DRIFTED
    assert lower_bound(alarms, windows) <= LEVEL


@pytest.mark.parametrize(("rows", "windows"), [(500, 40), (50_000, 3)])
def test_calm_windows_are_healthy_under_the_default_policy(rows, windows):
    rng = np.random.default_rng(rows)
    counter = mixed(rng, 20_000, 12, 0.5).counter()
    alarms = [judged(counter, mixed(rng, rows, 12, 0.5), DriftPolicy()).status for _ in range(windows)]
    assert {*alarms} == {DriftStatus.HEALTHY}


def normal(rng, rows, features, shift=0.0):
    columns = rng.standard_normal((features, rows))
    columns[0] += shift
    return Columns(list(columns), rng.random(rows))


def test_half_a_deviation_on_one_feature_of_twenty_is_found_in_2000_rows():
    rng = np.random.default_rng(0)
    counter = normal(rng, 20_000, 20).counter()
    windows = 30
    judgements = [judged(counter, normal(rng, 2000, 20, shift=0.5), DriftPolicy()) for _ in range(windows)]
    assert sum(judgement.features[0].drifted for judgement in judgements) == windows
    assert sum(score.drifted for judgement in judgements for score in judgement.features[1:]) == 0


def test_a_fiftieth_of_a_deviation_is_significant_in_200000_rows_and_not_flagged():
    rng = np.random.default_rng(1)
    counter = normal(rng, 200_000, 5).counter()
    judgement = judged(counter, normal(rng, 200_000, 5, shift=0.02), DriftPolicy())
    assert judgement.features[0].p_value < 0.001
    assert judgement.status is DriftStatus.HEALTHY


def test_the_debiased_index_is_centred_on_nothing_at_any_row_count():
    rng = np.random.default_rng(2)
    counter = normal(rng, 20_000, 20).counter()
    for rows in (100, 1000, 10_000):
        judgements = [judged(counter, normal(rng, rows, 20), NO_FLOORS) for _ in range(3)]
        excess = [score.psi / score.psi_limit for judgement in judgements for score in judgement.features]
        # the mean of chi-square with 16 degrees over its limit at 0.05 / 22 / 2, about 16 / 38
        assert 0.3 < np.mean(excess) < 0.55


def week_after(rng, weeks, shift=0.0, window=WEEK, policy=NO_FLOORS):
    """Learn from some weeks, judge the third one after them."""
    table, trained = days(rng, 7 * (weeks + 3)), 7 * weeks * ROWS_A_DAY
    last = table.rows(slice(-7 * ROWS_A_DAY, None))
    last.values[0] += shift
    return judged(table.rows(slice(0, trained)).counter(window, times_of(trained)), last, policy)


@pytest.mark.parametrize(("weeks", "trials"), [(8, 100), (16, 25)])
def test_calm_weeks_whose_rows_share_their_day_alarm_no_more_often_than_the_level(weeks, trials):
    rng = np.random.default_rng([5, weeks])
    alarms = sum(week_after(rng, weeks).status is DriftStatus.DRIFTED for _ in range(trials))
    assert lower_bound(alarms, trials) <= LEVEL


def test_the_same_weeks_alarm_far_too_often_when_rows_are_taken_as_independent():
    rng = np.random.default_rng(6)
    assert sum(week_after(rng, 8, window=None).status is DriftStatus.DRIFTED for _ in range(15)) >= 10


def test_a_lasting_shift_of_one_deviation_is_found_among_rows_that_share_their_day():
    rng = np.random.default_rng(7)
    found = [week_after(rng, 16, shift=1.0).features[0].drifted for _ in range(20)]
    assert sum(found) >= 17


def test_calm_weeks_are_healthy_under_the_default_policy_with_a_memory_of_days():
    rng = np.random.default_rng(8)
    policy = DriftPolicy(min_rows=100)
    assert {week_after(rng, 8, policy=policy).status for _ in range(15)} == {DriftStatus.HEALTHY}
