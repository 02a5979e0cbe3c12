"""Simulations: how often calm windows alarm, and what is found. Bounds are Clopper-Pearson, so a test fails
only when the stated level is excluded with 99.9 % confidence."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import build_profile
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus

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


def draw(rng, rows, features, rho):
    """Columns by turns: categories, few values, heavy tails with gaps, normal."""
    z = np.sqrt(1 - rho) * rng.standard_normal((rows, features)) + np.sqrt(rho) * rng.standard_normal((rows, 1))
    columns = []
    for j in range(features):
        if j % 4 == 0:
            columns.append([f"c{v}" for v in np.minimum(np.exp(z[:, j]) * 2, 30).astype(int).tolist()])
        elif j % 4 == 1:
            columns.append(np.floor(2 * np.abs(z[:, j])))
        elif j % 4 == 2:
            columns.append(np.where(z[:, j - 1] > 1.5, np.nan, z[:, j] ** 3))
        else:
            columns.append(z[:, j])
    return columns, 1 / (1 + np.exp(-z[:, 0]))


def reference(rng, rows, features, rho):
    names = [f"x{j}" for j in range(features)]
    columns, scores = draw(rng, rows, features, rho)
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    profile = build_profile(frame, names, frozenset(names[::4]), scores, expected_loss=0.5, seed=1)
    return Counter(profile)


def judged(counter, columns, scores, policy):
    window = WindowCounts(counter)
    window.add_columns(columns, scores)
    return judge_window(window, (), policy)


@pytest.mark.parametrize(
    ("rows", "features", "rho", "windows"),
    [(50, 5, 0.0, 100), (50, 40, 0.5, 30), (200, 20, 0.0, 50), (1000, 20, 0.5, 50), (5000, 10, 0.0, 60)],
)
def test_calm_windows_alarm_no_more_often_than_the_level_even_without_floors(rows, features, rho, windows):
    rng = np.random.default_rng([rows, features])
    alarms = 0
    for _ in range(windows):
        # a reference of its own for each: windows held against one unlucky sample would alarm together
        counter = reference(rng, 5000, features, rho)
        alarms += judged(counter, *draw(rng, rows, features, rho), NO_FLOORS).status is DriftStatus.DRIFTED
    assert lower_bound(alarms, windows) <= LEVEL


@pytest.mark.parametrize(("rows", "windows"), [(500, 40), (50_000, 3)])
def test_calm_windows_are_healthy_under_the_default_policy(rows, windows):
    rng = np.random.default_rng(rows)
    counter = reference(rng, 20_000, 12, 0.5)
    alarms = [judged(counter, *draw(rng, rows, 12, 0.5), DriftPolicy()).status for _ in range(windows)]
    assert {*alarms} == {DriftStatus.HEALTHY}


def normal(rng, rows, features, shift=0.0):
    columns = rng.standard_normal((features, rows))
    columns[0] += shift
    return list(columns), rng.random(rows)


def normal_reference(rng, rows, features):
    names = [f"x{j}" for j in range(features)]
    columns, scores = normal(rng, rows, features)
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    return Counter(build_profile(frame, names, frozenset(), scores, expected_loss=0.5, seed=1))


def test_half_a_deviation_on_one_feature_of_twenty_is_found_in_2000_rows():
    rng = np.random.default_rng(0)
    counter = normal_reference(rng, 20_000, 20)
    windows = 30
    judgements = [judged(counter, *normal(rng, 2000, 20, shift=0.5), DriftPolicy()) for _ in range(windows)]
    assert sum(judgement.features[0].drifted for judgement in judgements) == windows
    assert sum(score.drifted for judgement in judgements for score in judgement.features[1:]) == 0


def test_a_fiftieth_of_a_deviation_is_significant_in_200000_rows_and_not_flagged():
    rng = np.random.default_rng(1)
    counter = normal_reference(rng, 200_000, 5)
    judgement = judged(counter, *normal(rng, 200_000, 5, shift=0.02), DriftPolicy())
    assert judgement.features[0].p_value < 0.001
    assert judgement.status is DriftStatus.HEALTHY


def test_the_debiased_index_is_centred_on_nothing_at_any_row_count():
    rng = np.random.default_rng(2)
    counter = normal_reference(rng, 20_000, 20)
    for rows in (100, 1000, 10_000):
        judgements = [judged(counter, *normal(rng, rows, 20), NO_FLOORS) for _ in range(3)]
        excess = [score.psi / score.psi_limit for judgement in judgements for score in judgement.features]
        # the mean of chi-square with 16 degrees over its limit at 0.05 / 22 / 2, about 16 / 38
        assert 0.3 < np.mean(excess) < 0.55


WEEK = timedelta(days=7)
ROWS_A_DAY = 50


def days(rng, count):
    """Five columns whose days are alike within (a tenth of the variance) and remember the day before by half."""
    level = np.empty((count + 20, 5))
    level[0] = rng.standard_normal(5)
    for day in range(1, len(level)):
        level[day] = 0.5 * level[day - 1] + np.sqrt(0.75) * rng.standard_normal(5)
    rows = np.sqrt(0.9) * rng.standard_normal((count * ROWS_A_DAY, 5))
    return rows + np.sqrt(0.1) * np.repeat(level[20:], ROWS_A_DAY, axis=0)


def columns_of(rows):
    """The third column as categories, the second with few values; the score hangs on two of them."""
    columns = list(rows.T.copy())
    columns[1] = np.floor(2 * np.abs(columns[1]))
    columns[2] = [f"c{v}" for v in np.clip(np.floor(1.5 * columns[2]), -4, 4).astype(int).tolist()]
    return columns, 1 / (1 + np.exp(-rows[:, 0] - rows[:, 3]))


def week_after(rng, weeks, shift=0.0, window=WEEK, policy=NO_FLOORS):
    """Learn from some weeks, judge the third one after them."""
    rows = days(rng, 7 * (weeks + 3))
    rows[-7 * ROWS_A_DAY :, 0] += shift
    trained = rows[: 7 * weeks * ROWS_A_DAY]
    columns, scores = columns_of(trained)
    names = [f"x{j}" for j in range(5)]
    start = datetime(2030, 1, 1, tzinfo=UTC)
    times = [start + timedelta(days=i / ROWS_A_DAY) for i in range(len(trained))]
    frame = pl.DataFrame({**dict(zip(names, columns, strict=True)), "event_time": times})
    profile = build_profile(frame, names, frozenset({"x2"}), scores, expected_loss=0.5, seed=1, window=window)
    return judged(Counter(profile), *columns_of(rows[-7 * ROWS_A_DAY :]), policy)


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
