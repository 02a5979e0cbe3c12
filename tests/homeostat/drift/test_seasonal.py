"""Windows held against the training rows of the same hours."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.report import judge_window
from homeostat.drift.seasonal import with_season
from homeostat.records import DriftStatus

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR, ROWS_AN_HOUR, DAYS = timedelta(hours=1), 60, 42
NAMES, TEXTS = ("load", "kind"), frozenset({"kind"})
WINDOW = 6 * HOUR


def policy(season: str | None = "week", **knobs: object) -> DriftPolicy:
    return DriftPolicy(window=WINDOW, min_rows=200, season=season, false_discovery_rate=0.05, **knobs)


def stream(seed: int, hours: range, shift: float = 0.0) -> pl.DataFrame:
    """Rows of a load with a strong daily and weekly cycle and a common shock by hour, and kinds that go with it."""
    rng = np.random.default_rng(seed)
    hour = np.repeat(np.arange(hours.start, hours.stop), ROWS_AN_HOUR)
    cycle = 1.5 * np.sin(2 * np.pi * hour / 24) + np.where(hour // 24 % 7 >= 5, 1.0, 0.0)
    shock = np.repeat(0.1 * rng.standard_normal(len(hours)), ROWS_AN_HOUR)
    load = cycle + shock + shift + rng.standard_normal(hour.size)
    kind = np.where(rng.random(hour.size) < 1 / (1 + np.exp(-cycle)), "day", "night")
    seconds = hour * 3600.0 + np.tile(np.arange(ROWS_AN_HOUR) * 60.0, len(hours))
    times = pl.Series((START.timestamp() + seconds) * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"load": load, "kind": kind, "event_time": times, "score": 1 / (1 + np.exp(-load))})


def trained(
    days: int = DAYS, knobs: DriftPolicy | None = None, weights: np.ndarray | None = None, seed: int = 1
) -> Profile:
    knobs, frame = knobs or policy(), stream(seed, range(24 * days))
    scores = frame["score"].to_numpy()
    profile = build_profile(frame, NAMES, TEXTS, scores, weights, expected_loss=0.5, seed=1, window=knobs.window)
    return with_season(profile, frame, scores, weights, knobs)


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter(trained())


def counted(counter: Counter, frame: pl.DataFrame) -> WindowCounts:
    counts = WindowCounts(counter)
    counts.add_columns([frame["load"].to_numpy(), frame["kind"]], frame["score"].to_numpy())
    counts.add_times(frame["event_time"].dt.epoch("us").to_numpy() / 1e6)
    return counts


def looks(counter: Counter, knobs: DriftPolicy, shift: float = 0.0, number: int = 200) -> float:
    """Share of the looks at windows after the training that alarm."""
    ends = 24 * DAYS + 6 * np.arange(number)
    windows = (counted(counter, stream(int(end), range(int(end), int(end) + 6), shift)) for end in ends)
    return float(np.mean([judge_window(each, (), knobs).status is DriftStatus.DRIFTED for each in windows]))


def test_a_cycle_alarms_no_more_than_stated_and_a_shift_that_hides_in_it_is_found(counter: Counter) -> None:
    number = 200
    alarms = round(number * looks(counter, policy(min_psi=1e-9, min_ks=1e-9), number=number))
    assert binomtest(alarms, number).proportion_ci(0.95, "exact").low <= 0.05
    alarms = round(number * looks(counter, policy(), number=number))  # the floors leave next to nothing
    assert binomtest(alarms, number).proportion_ci(0.95, "exact").high <= 0.05
    # without the season a shift of 0.4 deviations is no further than one hour lies from another
    assert looks(counter, policy(), shift=0.4, number=60) >= 0.95
    assert looks(counter, policy(None), shift=0.4, number=60) <= 0.5


@pytest.mark.parametrize("hours", [1, 6])
def test_windows_of_hours_alarm_no_more_than_stated_whatever_the_training(hours: int) -> None:
    knobs = policy(min_psi=1e-9, min_ks=1e-9).model_copy(update={"window": hours * HOUR, "min_rows": 50})
    trainings, looks_each, alarms = 10, 40, 0
    for seed in range(trainings):
        counter, rng = Counter(trained(knobs=knobs, seed=1000 + seed)), np.random.default_rng(seed)
        for end in (24 * DAYS + rng.integers(0, 14 * 24, looks_each)).tolist():
            window = counted(counter, stream(int(rng.integers(1 << 30)), range(end, end + hours)))
            alarms += judge_window(window, (), knobs).status is DriftStatus.DRIFTED
    # one unit of distance for all hours alarmed at 8 %, which 400 looks tell from 5 %
    assert binomtest(alarms, trainings * looks_each).proportion_ci(0.95, "exact").low <= 0.05


def test_the_report_says_which_reference_was_used(counter: Counter) -> None:
    window = counted(counter, stream(3, range(24 * DAYS, 24 * DAYS + 6)))
    said = judge_window(window, (), policy()).reference
    assert said == "the same hours of the week in the training span: 2,160 rows"
    assert judge_window(window, (), policy(None)).reference is None


def test_hours_with_too_few_training_rows_are_held_against_the_whole_span(counter: Counter) -> None:
    window = counted(counter, pl.concat([stream(k, range(24 * DAYS, 24 * DAYS + 6)) for k in range(7)]))
    judgement = judge_window(window, (), policy().model_copy(update={"min_rows": 2200}))
    assert judgement.reference.startswith("the whole training span: the window's hours of the week have 2,160 rows")
    assert judgement.features == judge_window(window, (), policy(None)).features


def test_hours_that_training_never_saw_are_held_against_the_whole_span() -> None:
    frame = stream(1, range(24 * DAYS)).filter(pl.col("event_time").dt.hour() < 18)
    scores = frame["score"].to_numpy()
    profile = build_profile(frame, NAMES, TEXTS, scores, expected_loss=0.5, seed=1, window=WINDOW)
    counter = Counter(with_season(profile, frame, scores, None, policy()))
    window = counted(counter, stream(3, range(24 * DAYS + 17, 24 * DAYS + 23)))
    assert judge_window(window, (), policy()).reference.startswith("the whole training span")
    seen = counted(counter, stream(3, range(24 * DAYS + 6, 24 * DAYS + 12)))
    assert judge_window(seen, (), policy()).reference.startswith("the same hours")


def test_three_weeks_are_no_season_of_the_week_but_of_the_day() -> None:
    assert trained(21).season is None
    assert trained(21, policy("day")).season.season == "day"


def test_another_season_than_the_champions_is_not_used(counter: Counter) -> None:
    window = counted(counter, stream(3, range(24 * DAYS, 24 * DAYS + 6)))
    assert "has no four of a day" in judge_window(window, (), policy("day")).reference


def test_rows_without_weight_are_no_reference() -> None:
    weights = np.repeat([0.0, 1.0], [7 * 24 * ROWS_AN_HOUR, (DAYS - 7) * 24 * ROWS_AN_HOUR])
    season = trained(weights=weights).season
    assert set(season.rows) == {5.0 * ROWS_AN_HOUR}


def test_a_profile_with_a_season_survives_its_file(counter: Counter) -> None:
    assert Profile.from_bytes(counter.profile.to_bytes()) == counter.profile


def test_merged_counts_hold_the_hours_of_both(counter: Counter) -> None:
    first, second = (range(24 * DAYS + at, 24 * DAYS + at + 3) for at in (0, 3))
    both = counted(counter, stream(5, first))
    both.merge(counted(counter, stream(6, second)))
    assert both.hours.sum() == both.rows
    assert np.count_nonzero(both.hours) == 6
