import numpy as np
import pytest

from homeostat.drift.faults import FaultKind
from tests.statistics.broken_columns import DRAWN, PIECE, is_right, named, trained

NAMES = list(DRAWN)
TIGHT = NAMES.index("normal, far from zero")
COUNTS = NAMES.index("counts")
TEXT = NAMES.index("many texts")
OTHER_TEXT = NAMES.index("few texts")


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(1)
    return trained([draw(rng, 10_000, 0.0) for draw in DRAWN.values()])


@pytest.fixture
def table():
    rng = np.random.default_rng(2)
    return [draw(rng, PIECE, 0.0) for draw in DRAWN.values()]


def test_calm_rows_have_no_fault(model, table):
    assert named(model, table) == []


@pytest.mark.parametrize("factor", [1000.0, 1 / 60, 0.01])
def test_a_column_multiplied_by_a_constant_is_a_change_of_unit_with_that_constant(model, table, factor):
    table[COUNTS] *= factor
    assert is_right(named(model, table), FaultKind.UNIT, {f"x{COUNTS}"}, factor)


def test_a_small_constant_is_believed_where_the_column_is_narrow(model, table):
    table[TIGHT] *= 1.609344
    (fault,) = named(model, table)
    assert fault.factor == 1.609344
    assert fault.what.startswith("x1.609: undone, the distance to the reference falls from 0.96 to")


def test_degrees_in_another_scale_are_a_change_of_unit(model, table):
    table[TIGHT] = table[TIGHT] * 1.8 + 32
    assert is_right(named(model, table), FaultKind.UNIT, {f"x{TIGHT}"})


def test_twice_the_spread_is_drift_and_no_change_of_unit(model, table):
    table[NAMES.index("normal")] *= 2
    assert named(model, table) == []


def test_columns_in_each_other_s_place_are_named_as_one_fault(model, table):
    table[TIGHT], table[COUNTS] = table[COUNTS], table[TIGHT]
    table[TEXT], table[OTHER_TEXT] = table[OTHER_TEXT], table[TEXT]
    swapped = {frozenset(fault.columns): fault.kind for fault in named(model, table)}
    pairs = {frozenset({f"x{TIGHT}", f"x{COUNTS}"}), frozenset({f"x{TEXT}", f"x{OTHER_TEXT}"})}
    assert swapped == dict.fromkeys(pairs, FaultKind.SWAPPED)


def test_one_value_where_many_were_is_a_stuck_column_and_the_value_is_told(model, table):
    table[TIGHT][:] = 51.25
    (fault,) = named(model, table)
    assert (fault.kind, fault.what) == (FaultKind.STUCK, "100% are 51.25, calm pieces vary")


def test_half_of_the_cells_gone_is_a_null_burst(model, table):
    table[TIGHT][::2] = np.nan
    (fault,) = named(model, table)
    assert (fault.kind, fault.what) == (FaultKind.NULLS, "50% missing, calm pieces have up to 0%")


def test_a_column_that_is_wholly_gone_is_a_null_burst(model, table):
    table[TEXT][:] = None
    assert is_right(named(model, table), FaultKind.NULLS, {f"x{TEXT}"})


def test_mostly_unknown_texts_are_a_new_vocabulary(model, table):
    table[TEXT] = np.array([f"{text}!" for text in table[TEXT]], dtype=object)
    assert is_right(named(model, table), FaultKind.VOCABULARY, {f"x{TEXT}"})


def test_a_new_category_among_the_others_is_drift(model, table):
    table[TEXT][: PIECE // 4] = "a new shop"
    assert named(model, table) == []


def test_one_event_time_for_all_rows_is_a_broken_clock(model, table):
    assert is_right(named(model, table, np.full(PIECE, 7.0)), FaultKind.CLOCK, {"event_time"})


def test_a_column_that_is_constant_by_the_hour_is_not_stuck(table):
    rng = np.random.default_rng(3)
    hourly = np.repeat(rng.standard_normal(40), 250)
    model = trained([hourly])
    assert named(model, [np.full(250, hourly[0])]) == []


def test_weather_that_left_the_range_of_the_training_has_drifted():
    rng = np.random.default_rng(4)
    winter = np.repeat(rng.uniform(10, 50, 40), 250) + rng.standard_normal(10_000)
    model = trained([winter])
    assert named(model, [80 + rng.standard_normal(250)]) == []
    assert is_right(named(model, [1000 * (30 + rng.standard_normal(250))]), FaultKind.UNIT, {"x0"})


@pytest.mark.parametrize(("mean", "spread"), [(60, 3), (1000, 10), (0.05, 0.005)])
def test_values_far_away_that_no_constant_makes_calm_have_drifted(mean, spread):
    rng = np.random.default_rng(5)
    model = trained([rng.uniform(4, 14, 20_000)])
    assert named(model, [rng.normal(mean, spread, PIECE)]) == []


def test_training_rows_that_make_no_piece_show_no_fault():
    words = np.array([f"word {i % 9}" for i in range(150)], dtype=object)
    model = trained([words, np.arange(150.0)])
    other = np.array([f"other {i % 9}" for i in range(PIECE)], dtype=object)
    assert named(model, [other, 1e6 * np.arange(PIECE)]) == []


def test_a_text_that_is_empty_is_not_an_unknown_one():
    words = np.array(["", "red", "blue", "red"] * 5000, dtype=object)
    model = trained([words])
    (fault,) = named(model, [np.array([f"colour {i}" for i in range(PIECE)], dtype=object)])
    assert fault.kind is FaultKind.VOCABULARY


@pytest.mark.filterwarnings("error")
def test_numbers_where_all_were_zero_have_drifted_and_the_largest_ones_are_no_trouble(table):
    rng = np.random.default_rng(6)
    model = trained([np.zeros(5000), rng.standard_normal(5000)])
    (fault,) = named(model, [np.where(rng.random(PIECE) < 0.3, 0.0, 5.0), rng.standard_normal(PIECE) * 1e301])
    assert (fault.kind, fault.columns) == (FaultKind.UNIT, ("x1",))
