"""Vectors held against those of the same hours in training."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.reference import reference_of
from homeostat.drift.report import judge_window
from homeostat.drift.seasonal import with_season
from homeostat.records import DriftScore

START = datetime(2030, 1, 7, tzinfo=UTC)
ROWS_AN_HOUR, DAYS, SIZE = 40, 28, 8
POLICY = DriftPolicy(window=timedelta(hours=4), min_rows=100, season="day", false_discovery_rate=0.05)


def stream(seed: int, hours: range, shift: float = 0.0, night: float = 0.0) -> pl.DataFrame:
    """Rows of a vector with a strong daily cycle and shocks by hour; ``night`` is missing in the first hours."""
    rng = np.random.default_rng(seed)
    hour = np.repeat(np.arange(hours.start, hours.stop), ROWS_AN_HOUR)
    cycle = 1.5 * np.sin(2 * np.pi * hour[:, None] / 24 + np.arange(SIZE))
    shock = np.repeat(0.1 * rng.standard_normal((len(hours), SIZE)), ROWS_AN_HOUR, axis=0)
    rows = cycle + shock + shift + rng.standard_normal((hour.size, SIZE))
    gone = (rng.random(hour.size) < night) & (hour % 24 < 12)
    emb = pl.Series(
        [None if out else row for out, row in zip(gone, rows.tolist(), strict=True)], dtype=pl.List(pl.Float64)
    )
    seconds = hour * 3600.0 + np.tile(np.arange(ROWS_AN_HOUR) * 60.0, len(hours))
    times = pl.Series((START.timestamp() + seconds) * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"emb": emb, "event_time": times})


def trained(night: float = 0.0) -> Profile:
    frame = stream(1, range(24 * DAYS), night=night)
    scores = np.full(frame.height, 0.5)
    made = build_profile(frame, ("emb",), frozenset(), scores, expected_loss=0.5, seed=1, window=POLICY.window)
    return with_season(made, frame, scores, None, POLICY)


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter(trained())


def counted(counter: Counter, frame: pl.DataFrame) -> WindowCounts:
    counts = WindowCounts(counter)
    counts.add_columns([frame["emb"]], np.full(frame.height, 0.5))
    counts.add_times(frame["event_time"].dt.epoch("us").to_numpy() / 1e6)
    return counts


def scores(counter: Counter, season: str | None, number: int, **change: float) -> list[DriftScore]:
    """The vector's score in windows after the training, at every hour of the day."""
    knobs = POLICY.model_copy(update={"season": season})
    starts = 24 * DAYS + 5 * np.arange(number)
    windows = (counted(counter, stream(int(at), range(int(at), int(at) + 4), **change)) for at in starts)
    return [judge_window(window, (), knobs).features[0] for window in windows]


def test_a_shift_that_hides_in_the_cycle_is_found_and_the_cycle_alarms_no_more_than_stated(counter: Counter) -> None:
    number = 120
    calm = sum(score.embedding > score.embedding_limit for score in scores(counter, "day", number))
    assert binomtest(calm, number).proportion_ci(0.95, "exact").low <= 0.05
    assert np.mean([score.drifted for score in scores(counter, "day", 30, shift=0.4)]) >= 0.95
    whole = scores(counter, None, 30, shift=0.4)
    assert np.mean([score.embedding > score.embedding_limit for score in whole]) <= 0.5


def test_hours_count_by_the_vectors_they_have() -> None:
    """By night nine of ten rows have none: the mean of a window from night to day is that of the day's."""
    counter = Counter(trained(night=0.9))
    window = counted(counter, stream(3, range(24 * DAYS + 10, 24 * DAYS + 14), night=0.9))
    found = reference_of(window, POLICY).vectors[0].embedding
    assert found.mean_rows < 0.6 * 4 * ROWS_AN_HOUR * DAYS
    assert not judge_window(window, (), POLICY).features[0].drifted


def test_hours_with_too_few_vectors_are_held_against_all_of_them() -> None:
    counter = Counter(trained(night=0.99))
    night = counted(counter, stream(3, range(24 * DAYS, 24 * DAYS + 4)))
    day = counted(counter, stream(3, range(24 * DAYS + 14, 24 * DAYS + 18)))
    whole = counter.profile.vectors[0]
    assert reference_of(night, POLICY).vectors[0] == whole
    assert reference_of(day, POLICY).vectors[0] != whole


def test_a_profile_with_seasonal_vectors_survives_its_file(counter: Counter) -> None:
    assert counter.profile.season.vectors
    assert Profile.from_bytes(counter.profile.to_bytes()) == counter.profile
