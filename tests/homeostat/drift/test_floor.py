"""What it takes that a column shows a move of the floor: the rate of false alarms or the training that a look names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.columns import column_test
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.ks import ks_test
from homeostat.drift.profile import build_profile
from homeostat.drift.psi import psi_test
from homeostat.drift.reference import training_reference
from homeostat.drift.report import judge_window
from homeostat.inspection.drift import told_score

WEEK, ROWS = timedelta(days=7), 300
POLICY = DriftPolicy(min_rows=50, false_discovery_rate=0.01, min_psi=0.25, min_ks=0.19)  # half a deviation
WINDOWS = Design(between=0.002, rows=350.0, windows=8.0, shape=1.5, rest=7.0)
BEFORE, NOW = np.array([900.0, 1100, 1000, 1000]), np.array([90.0, 105, 110, 95])


def week_of(rng, weeks=1, moves=0.0):
    """Two columns, of which the first has in each week a mean of its own."""
    level = np.repeat(moves * rng.standard_normal(weeks), ROWS)
    return [rng.standard_normal(weeks * ROWS) + level, rng.standard_normal(weeks * ROWS)]


@pytest.fixture(scope="module")
def counts():
    """A calm week after ten weeks of training."""
    rng = np.random.default_rng(4)
    trained = week_of(rng, 10, moves=0.1)
    start = datetime(2030, 1, 7, tzinfo=UTC)
    times = [start + i * WEEK / ROWS for i in range(10 * ROWS)]
    frame = pl.DataFrame({"moving": trained[0], "steady": trained[1], "event_time": times})
    scores = np.full(10 * ROWS, 0.5)
    counter = Counter(
        build_profile(frame, ("moving", "steady"), frozenset(), scores, expected_loss=0.5, seed=1, window=WEEK)
    )
    window = WindowCounts(counter)
    window.add_columns(week_of(rng), np.full(ROWS, 0.5))
    return window


def looked(counts, rate=POLICY.false_discovery_rate):
    return judge_window(counts, (), POLICY.model_copy(update={"false_discovery_rate": rate})).features


def test_at_the_rate_that_a_look_names_the_floor_shows_and_just_below_it_does_not(counts):
    moving, steady = looked(counts)
    assert told_score(moving)["visible"] > 0.5 > told_score(steady)["visible"]
    assert steady.floor_rate <= POLICY.false_discovery_rate < moving.floor_rate
    assert told_score(looked(counts, 1.001 * moving.floor_rate)[0])["visible"] <= 0.5
    assert told_score(looked(counts, 0.98 * moving.floor_rate)[0])["visible"] > 0.5


def test_a_training_as_long_as_a_look_names_shows_the_floor_and_half_of_it_does_not(counts):
    moving, steady = looked(counts)
    assert steady.floor_training is None
    times, level = moving.floor_training, POLICY.false_discovery_rate / 4  # three columns and the distance
    test = column_test(counts, training_reference(counts.counter.profile), 0)
    assert test.longer(times).shown(0.5) <= level
    assert times == 2 or test.longer(times / 2).shown(0.5) > level
    assert test.shown(0.5) > level


@pytest.mark.parametrize("design", [INDEPENDENT, WINDOWS])
@pytest.mark.parametrize("make", [psi_test, ks_test])
def test_a_longer_training_is_what_more_windows_like_those_known_would_give(make, design):
    more = replace(design, windows=2 * design.windows, rest=2 * design.rest)
    longer, there = make(BEFORE, NOW, design).longer(2), make(2 * BEFORE, NOW, more)
    assert longer.limit(0.01) == pytest.approx(there.limit(0.01))
    assert longer.limit(0.01) < make(BEFORE, NOW, design).limit(0.01)


def test_where_windows_lie_further_apart_than_the_floor_no_training_is_named(counts):
    judged = judge_window(counts, (), POLICY.model_copy(update={"min_psi": 0.01, "min_ks": 0.04}))
    moving = judged.features[0]
    assert (moving.floor_training, moving.floor_rate > 0.25) == (None, True)
