"""Days that have a mean of their own, as by the weather: calm ones alarm as stated, a real change is found."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.embedding import EmbeddingTest, embedding_test
from homeostat.drift.profile import Profile, build_profile

START, DAY = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1)
DAYS, ROWS_A_DAY = 28, 150
TRAININGS, LOOKS = 20, 5
LEVEL = 0.05


def days(rng, count, columns, moves, *, tie=0.0, shift=0.0):
    """Rows of so many days: columns whose mean moves by ``moves`` deviations from day to day, the first two tied."""
    level = moves * rng.standard_normal((count, columns)) + shift
    rows = rng.standard_normal((count * ROWS_A_DAY, columns))
    rows[:, 1] = tie * rows[:, 0] + np.sqrt(1 - tie**2) * rows[:, 1]
    return list((rows + np.repeat(level, ROWS_A_DAY, axis=0)).T)


def looks(rng, columns, moves, number, **change) -> list[EmbeddingTest]:
    """What the distance of whole rows says of so many days, each after the same weeks of calm ones."""
    names = [f"x{j}" for j in range(columns)]
    frame = pl.DataFrame(dict(zip(names, days(rng, DAYS, columns, moves), strict=True)))
    made, told = profile_of(frame), []
    counter = Counter(made)
    for _ in range(number):
        window = counted(counter, days(rng, 1, columns, moves, **change))
        told.append(embedding_test(made.embedding, window.embedding, window.rows, made.embedding_design))
    return told


def looks_at_vectors(rng, size, moves, number, **change) -> list[EmbeddingTest]:
    """The same of a vector of so many numbers."""
    made, told = profile_of(pl.DataFrame({"x": as_vectors(days(rng, DAYS, size, moves))})), []
    counter = Counter(made)
    for _ in range(number):
        window = counted(counter, [as_vectors(days(rng, 1, size, moves, **change))])
        told.append(made.vectors[0].test(window.vectors[0], window.rows))
    return told


def as_vectors(columns) -> pl.Series:
    return pl.Series(np.column_stack(columns), dtype=pl.Array(pl.Float64, len(columns))).cast(pl.List(pl.Float64))


def profile_of(frame) -> Profile:
    times = pl.Series([START + DAY * (i / ROWS_A_DAY) for i in range(frame.height)])
    timed, scores = frame.with_columns(event_time=times), np.full(frame.height, 0.5)
    return build_profile(timed, frame.columns, frozenset(), scores, expected_loss=0.5, seed=1, window=DAY)


def counted(counter, columns) -> WindowCounts:
    window = WindowCounts(counter)
    window.add_columns(columns, np.full(ROWS_A_DAY, 0.5))
    return window


def alarms(how, columns, moves, trainings, **change) -> np.ndarray:
    """The share of looks that alarm after each of so many trainings."""
    rngs = (np.random.default_rng([7, k, columns, int(100 * moves)]) for k in range(trainings))
    told = (how(rng, columns, moves, LOOKS, **change) for rng in rngs)
    return np.array([np.mean([test.p_value <= LEVEL for test in tests]) for tests in told])


@pytest.mark.parametrize(
    ("how", "columns", "moves"),
    [(looks, 3, 1.0), (looks, 5, 0.5), (looks_at_vectors, 8, 0.5)],
)
def test_calm_days_with_a_mean_of_their_own_alarm_no_more_than_stated(how, columns, moves):
    # looks after one training alarm together: the trainings are what is independent
    rates = alarms(how, columns, moves, TRAININGS)
    lowest = rates.mean() - t.ppf(0.99, TRAININGS - 1) * rates.std(ddof=1) / np.sqrt(TRAININGS)
    assert lowest <= LEVEL, f"{rates.mean():.1%} of calm looks alarm"


@pytest.mark.parametrize(
    ("how", "columns", "moves", "change", "least"),
    [
        (looks, 3, 0.5, {"shift": 1.5}, 0.95),
        (looks, 3, 0.25, {"tie": 0.8}, 0.6),  # which no column shows
        (looks_at_vectors, 8, 0.25, {"shift": 1.0}, 0.95),
    ],
)
def test_a_change_that_is_more_than_days_do_to_one_another_is_found(how, columns, moves, change, least):
    assert alarms(how, columns, moves, 6, **change).mean() >= least


def test_what_days_do_not_bear_out_is_not_looked_along():
    rng = np.random.default_rng(1)
    calm, moving = (profile_of(pl.DataFrame(days(rng, DAYS, 5, moves), schema=list("abcde"))) for moves in (0.0, 1.0))
    assert calm.embedding.directions == len(calm.embedding.whitener)
    assert moving.embedding.directions <= DAYS / 5
    assert moving.embedding_design.effect > 20
