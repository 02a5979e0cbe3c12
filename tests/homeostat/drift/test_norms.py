import numpy as np
import pytest

from homeostat.drift.bins import category_bins, number_bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.norms import Norm, column_gap, norms, pieces

ONES = np.ones(4)
COLUMNS = (
    category_bins("colour", ["red", "red", "red", "blue"], ONES),
    category_bins("shop", ["north", "north", "south", "south"], ONES),
    number_bins("weight", np.array([1.0, 2.0, 3.0, 4.0]), ONES),
)


def test_a_text_keeps_its_code_in_whatever_column_it_stands():
    coder = CellCoder(COLUMNS)
    rows = coder.matrix([["red", None], ["red", "elsewhere"], [1.5, None]], np.array([5.0, 6.0]))
    assert rows[0, 0] == rows[0, 1]
    assert np.isnan(rows[1, [0, 2]]).all()
    assert rows[:, -1].tolist() == [5.0, 6.0]
    assert coder.places(0, rows[:1, 0]).tolist() == [0.0]
    assert coder.places(1, rows[:, 1]).tolist() == [2.0, 2.0]  # behind its own two


def test_texts_of_no_vocabulary_are_told_from_one_another_and_are_the_others_to_every_column():
    rows = CellCoder(COLUMNS).matrix([["pink", "grey"], ["pink", "north"], [1.0, 1.0]], np.zeros(2))
    assert rows[0, 0] == rows[0, 1] != rows[1, 0]
    assert CellCoder(COLUMNS).places(0, rows[:, 0]).tolist() == [2.0, 2.0]


def test_the_values_that_pieces_stand_still_at_are_kept_unless_the_next_may_be_a_new_one():
    rng = np.random.default_rng(0)
    clear = np.where(np.repeat(rng.random(40) < 0.2, 200), rng.integers(0, 9, 8000), 10.0)
    hourly = np.repeat(rng.standard_normal(40), 200)
    columns = [number_bins("x", values, np.ones(8000)) for values in (clear, hourly)]
    coder = CellCoder(columns)
    counts = [np.ones(column.size) for column in columns]
    steady, changing, _ = norms(coder, counts, coder.matrix([clear, hourly], np.arange(8000.0)), 200.0)
    assert (steady.constants, changing.constants) == ((10.0,), ())
    assert steady.dominance == changing.dominance == 1.0


def test_stretches_are_joined_until_they_have_rows_enough():
    assert [*pieces([50, 100, 60, 500, 199])] == [slice(0, 3), slice(3, 4)]
    assert [*pieces([])] == []


def test_the_gap_of_the_reference_itself_is_none_and_of_strangers_all():
    counts = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert column_gap(COLUMNS[2], np.array([0.0, *counts[:4], 0.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])) == 0
    assert column_gap(COLUMNS[0], np.array([3.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])) == 0
    assert column_gap(COLUMNS[0], np.array([3.0, 1.0, 0.0, 0.0]), np.array([2.0])) == 1
    assert column_gap(COLUMNS[0], np.array([3.0, 1.0, 0.0, 0.0]), np.empty(0)) == 0


def test_a_norm_is_the_most_that_a_calm_piece_did():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(2000)
    values[400:600] = np.where(np.arange(200) < 120, 0.25, values[400:600])  # a piece with a favourite
    values[800:850] = np.nan
    column = number_bins("x", values, np.ones(2000))
    coder = CellCoder([column])
    counts = [np.bincount(np.nan_to_num(np.searchsorted(column.edges, values)), minlength=column.size)]
    rows = coder.matrix([values], np.arange(2000.0))
    norm, clock = norms(coder, counts, rows, 200.0)
    assert (norm.dominance, norm.missing, clock.dominance) == (0.6, 0.25, 0.005)


def test_without_a_whole_piece_nothing_can_be_told_from_calm():
    coder = CellCoder(COLUMNS[2:])
    norm, clock = norms(coder, [np.ones(6)], coder.matrix([[1.0, 2.0]], np.array([0.0, 1.0])), 1.0)
    assert (norm.gap, norm.dominance, norm.missing, clock.dominance) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("value", "share"), [(0.0, 0.0), (5.0, 0.0), (0.01, 1.0), (-900.0, 1.0)])
def test_a_size_is_outside_when_the_reference_had_nothing_like_it_but_zero_has_no_size(value, share):
    assert Norm("x", least=1.0, most=10.0).outside(np.array([value])) == share
