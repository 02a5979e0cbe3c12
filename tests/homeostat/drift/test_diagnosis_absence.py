"""Cells and categories that are not there: by a fault, by season, by chance, or as a source's own silence."""

import numpy as np
import pytest

from homeostat.drift.faults import FaultKind
from tests.statistics.broken_columns import PIECE, is_right, named, trained

ROWS = 10_000
WORDS = np.array(["ardent", "boreal", "cobalt", "dromedary"], dtype=object)
SHARES = np.array([0.4, 0.3, 0.2, 0.1])


def texts(rng, rows=PIECE, shares=SHARES):
    return WORDS[rng.choice(len(WORDS), rows, p=shares / shares.sum())]


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def model():
    return trained([texts(np.random.default_rng(3), ROWS)])


def test_a_category_whose_rows_are_gone_has_vanished(model, rng):
    (fault,) = named(model, [texts(rng, shares=SHARES * [1, 0, 1, 1])])
    assert (fault.kind, fault.columns) == (FaultKind.VANISHED, ("x0",))
    assert fault.what.startswith("no row has 'boreal', calm pieces have at least 2")
    assert fault.what.endswith("the others are as before")


@pytest.mark.parametrize(("taker", "told"), [("ardent", "'ardent'"), ("BOREAL", "others")])
def test_a_category_that_another_one_stands_for_has_vanished_and_the_other_is_told(model, rng, taker, told):
    column = texts(rng)
    column[column == "boreal"] = taker
    (fault,) = named(model, [column])
    assert (fault.kind, fault.what.split("; ")[1]) == (FaultKind.VANISHED, f"{told} took their place")


def test_two_categories_that_vanish_together_are_one_fault(model, rng):
    (fault,) = named(model, [texts(rng, shares=SHARES * [1, 0, 0, 1])])
    assert "'boreal', 'cobalt'" in fault.what


def test_a_category_that_some_calm_piece_did_without_is_absent_by_season(rng):
    column = texts(rng, ROWS)
    column[3 * PIECE : 4 * PIECE][column[3 * PIECE : 4 * PIECE] == "boreal"] = "ardent"
    assert named(trained([column]), [texts(rng, shares=SHARES * [1, 0, 1, 1])]) == []


def test_a_rare_category_may_be_absent_by_chance(rng):
    shares = np.array([0.5, 0.3, 0.18, 0.02])
    assert named(trained([texts(rng, ROWS, shares)]), [texts(rng, shares=shares * [1, 1, 1, 0])]) == []


def test_few_pieces_do_not_show_what_a_calm_one_may_lack(rng):
    assert named(trained([texts(rng, 10 * PIECE)]), [texts(rng, shares=SHARES * [1, 0, 1, 1])]) == []


def test_where_all_categories_have_moved_one_that_is_gone_is_drift(model, rng):
    assert named(model, [texts(rng, shares=np.array([0.1, 0, 0.1, 0.8]))]) == []


def test_calm_pieces_lack_no_category(model, rng):
    assert [fault for _ in range(200) for fault in named(model, [texts(rng)])] == []


def silent(rng, *spans, rows=PIECE):
    column = rng.standard_normal(rows)
    for start, stop in spans:
        column[start:stop] = np.nan
    return column


@pytest.fixture
def station(rng):
    """A source that falls silent for up to 40 rows, a second each: 16 % of a piece."""
    return trained([silent(rng, (760, 800), (4000, 4030), (8000, 8035), rows=ROWS)])


def test_silences_like_those_of_the_training_are_no_null_burst_though_two_fall_into_one_piece(station, rng):
    column = silent(rng, (10, 75), (100, 150))  # 46 %
    assert named(station, [column]) == []
    mixed = rng.permutation(PIECE)  # as samples come
    assert named(station, [column[mixed]], np.arange(PIECE)[mixed].astype(float)) == []


def test_a_silence_far_longer_than_any_of_the_training_is_a_null_burst(station, rng):
    assert is_right(named(station, [silent(rng, (10, 200))]), FaultKind.NULLS, {"x0"})


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_nulls_here_and_there_are_a_burst_though_the_source_may_fall_silent(station, rng, share):
    column = rng.standard_normal(PIECE)
    column[rng.random(PIECE) < share] = np.nan
    assert is_right(named(station, [column]), FaultKind.NULLS, {"x0"})


@pytest.mark.parametrize("rows", [PIECE, 4 * PIECE])
def test_cells_that_are_missing_at_random_are_no_burst_in_more_rows_than_were_learnt_from(rng, rows):
    def table(sizes, shares):
        gone = rng.random(sizes.sum()) < np.repeat(shares, sizes)
        keys = rng.integers(0, 60, (2, gone.size)).astype(float)
        return [np.where(gone, np.nan, rng.standard_normal(gone.size)), *keys]

    sizes = np.full(80, PIECE)
    model = trained(table(sizes, rng.uniform(0.05, 0.31, sizes.size)))
    assert not any(named(model, table(np.array([rows]), 0.4)) for _ in range(10))


def test_a_column_that_is_mostly_missing_may_be_so_somewhat_more(rng):
    gone = rng.random(ROWS) < np.repeat(rng.uniform(0.6, 0.76, ROWS // PIECE), PIECE)
    model = trained([np.where(gone, np.nan, rng.standard_normal(ROWS))])
    sparser = np.where(rng.random(PIECE) < 0.88, np.nan, rng.standard_normal(PIECE))
    assert named(model, [sparser]) == []
    assert is_right(named(model, [np.full(PIECE, np.nan)]), FaultKind.NULLS, {"x0"})
