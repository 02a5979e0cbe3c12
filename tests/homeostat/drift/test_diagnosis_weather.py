"""Columns of which no piece looks like the whole, as the weather's: what is left to tell a fault by."""

import numpy as np
import pytest

from homeostat.drift.faults import FaultKind
from tests.statistics.broken_columns import PIECE, is_right, named, trained

DAYS = 60
DEW, CLEAR, MINUTE, RAIN, PRESSURE, SHOP, DAMP, HEAT = (f"x{j}" for j in range(8))


def day(rng, dew=None, *, storm=False, dry=True):
    """Dew point around zero, visibility, minute, rain, pressure in hours that have it or not, shops, humidity, heat."""
    hours = np.repeat(rng.permutation(25), 10)
    dew = rng.uniform(-8, 22) if dew is None else dew
    level = np.round(dew + rng.standard_normal(25), 1)[hours]
    clear = np.where(storm, rng.choice([0.5, 1.5, 4.0, 9.0], 25), 10.0)[hours]
    rain = np.where(dry, 0.0, rng.choice([0.0, 0.01, 0.02, 0.05, 0.11], 25))[hours]
    known = rng.random(25) < rng.choice([1.0, 1.0, 0.3])
    pressure = np.where(known[hours], np.round(1000 + level, 1), np.nan)
    shop = np.array([f"shop {i}" for i in rng.geometric(0.03, PIECE)], dtype=object)
    damp, heat = np.round(rng.uniform(30, 90, (2, 25)), 2)[:, hours]
    return [level, clear, np.floor(rng.uniform(0, 60, PIECE)), rain, pressure, shop, damp, heat]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(6)
    days = [day(rng, storm=i % 5 == 0, dry=i % 5 > 0) for i in range(DAYS)]
    return trained([np.concatenate(column) for column in zip(*days, strict=True)])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_calm_days_have_no_fault_whatever_their_weather(model, rng):
    days = [day(rng, storm=i % 3 == 0, dry=i % 2 > 0) for i in range(40)]
    assert [fault for each in days for fault in named(model, each)] == []


@pytest.mark.parametrize("factor", [1000.0, 60.0, 28.349523, 10.0, 0.1, 1 / 12, 0.01, 1 / 60])
def test_another_unit_of_a_column_around_zero_shows_in_how_it_is_written(model, rng, factor):
    table = day(rng, dew=9)
    table[0] = table[0] * factor
    assert is_right(named(model, table), FaultKind.UNIT, {DEW}, factor)


def test_weather_that_was_never_so_warm_has_drifted(model, rng):
    assert named(model, day(rng, dew=31)) == []


@pytest.mark.parametrize("by", [3.217, -0.5, 11.0])
def test_weather_that_moved_by_some_degrees_has_drifted(model, rng, by):
    table = day(rng)
    table[0] = table[0] + by
    assert named(model, table) == []


def test_a_source_that_sends_more_decimals_has_not_changed_its_unit(model, rng):
    table = day(rng, dew=9)
    table[0] = np.round(table[0] + rng.uniform(-0.05, 0.05, PIECE), 2)
    assert named(model, table) == []


@pytest.mark.parametrize("factor", [60.0, 12.0, 0.01, 1 / 12])
def test_another_unit_of_a_column_that_is_often_constant_is_no_stuck_value(model, rng, factor):
    table = day(rng)
    table[1] = table[1] * factor
    assert is_right(named(model, table), FaultKind.UNIT, {CLEAR}, factor)


def test_a_column_that_is_constant_at_one_value_is_seen_stuck_at_another(model, rng):
    table = day(rng)
    table[1][:] = 4.0
    (fault,) = named(model, table)
    assert (fault.kind, fault.what) == (FaultKind.STUCK, "100% are 4, calm pieces are so at other values")


@pytest.mark.parametrize("by", [0.75, -1.5])
def test_a_column_that_stands_still_somewhat_higher_than_ever_has_drifted(model, rng, by):
    table = day(rng)
    table[1] = table[1] + by
    assert named(model, table) == []


def test_another_unit_of_what_is_zero_most_of_the_time_shows_in_the_rest(model, rng):
    table = day(rng, dry=False)
    table[3] = table[3] * 0.001
    assert is_right(named(model, table), FaultKind.UNIT, {RAIN}, 0.001)


def test_a_downpour_never_seen_before_is_no_change_of_unit(model, rng):
    table = day(rng, dry=False)
    table[3][table[3] > 0] = rng.choice([0.37, 0.83, 1.21], np.count_nonzero(table[3]))
    assert named(model, table) == []


@pytest.mark.parametrize(("j", "k"), [(0, 1), (0, 2), (0, 3), (1, 3), (2, 4), (0, 4)])
def test_columns_of_weather_in_each_other_s_place_are_swapped(model, rng, j, k):
    table = day(rng, dew=9, dry=False, storm=True)
    table[j], table[k] = table[k], table[j]
    assert is_right(named(model, table), FaultKind.SWAPPED, {f"x{j}", f"x{k}"})


@pytest.mark.parametrize("k", [0, 1])
def test_a_column_whose_values_never_come_back_is_swapped_where_it_has_another_s(model, rng, k):
    table = day(rng, dew=9, storm=True)
    table[k], table[6] = table[6], table[k]
    assert is_right(named(model, table), FaultKind.SWAPPED, {f"x{k}", DAMP})


def test_zeros_are_no_other_column_s_values(model, rng):
    table = day(rng, storm=True)
    table[3], table[6] = np.zeros(PIECE), np.round(rng.uniform(5, 25, PIECE), 2)
    assert not any(RAIN in fault.columns for fault in named(model, table))


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_nulls_here_and_there_are_a_burst_where_whole_hours_always_lacked_a_value(model, rng, share):
    table = day(rng)
    table[4] = np.where(rng.random(PIECE) < share, np.nan, 1000 + table[0])
    (fault,) = named(model, table)
    assert (fault.kind, fault.columns) == (FaultKind.NULLS, (PRESSURE,))
    assert f"here and there; calm pieces lack it for most of one {DAMP} or for hardly any" in fault.what


def test_one_text_for_all_is_a_stuck_value_though_the_reference_had_it_rarely_and_many_are_new_words(model, rng):
    table = day(rng)
    table[5][:] = "shop 222"
    (fault,) = named(model, table)
    assert (fault.kind, fault.columns) == (FaultKind.STUCK, (SHOP,))
    assert fault.what.startswith("100% are a text it hardly had before")
    table[5] = np.array([f"store {i}" for i in rng.geometric(0.03, PIECE)], dtype=object)
    assert is_right(named(model, table), FaultKind.VOCABULARY, {SHOP})


def test_a_rate_that_was_zero_in_most_of_a_piece_may_be_so_in_all_of_one_but_not_at_another_value(rng):
    shares = np.linspace(0.0, 0.7, DAYS)
    model = trained([np.concatenate([np.where(rng.random(PIECE) < s, 0.0, rng.random(PIECE)) for s in shares])])
    assert named(model, [np.zeros(PIECE)]) == []
    assert is_right(named(model, [np.full(PIECE, 0.37)]), FaultKind.STUCK, {"x0"})
