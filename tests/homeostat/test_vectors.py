"""Vectors in all their forms: cells of records, columns on their way, lists in stores, rows of an array."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.records import SparseVector
from homeostat.vectors import (
    LISTS,
    VECTORS,
    as_lists,
    filled,
    is_vector,
    packed,
    unpacked,
    vector_cells,
    vector_column,
    vector_of,
    vector_rows,
)

SIZE = 70  # the least that are worth to be told by their index, and some
numbers = st.floats(-1e30, 1e30)
some = st.dictionaries(st.integers(0, SIZE - 1), numbers, max_size=SIZE)
whole = st.lists(numbers, min_size=SIZE, max_size=SIZE).map(tuple)
cells_of = st.lists(st.none() | some.map(lambda found: vector_of(found, SIZE)) | whole, max_size=6)


def plain(cell: Any) -> list[float] | None:
    return None if cell is None else unpacked(cell).tolist()


@given(some)
def test_a_vector_of_which_some_numbers_are_told_is_0_elsewhere(found: dict[int, float]) -> None:
    vector = vector_of(found, SIZE)
    assert isinstance(vector, SparseVector) == (4 * len(found) <= SIZE)
    assert unpacked(vector).tolist() == filled(found, SIZE) == [found.get(i, 0.0) for i in range(SIZE)]
    assert unpacked(packed(unpacked(vector))).tolist() == unpacked(vector).tolist()


@pytest.mark.parametrize("index", [-1, SIZE, 70_000])
def test_an_index_beyond_the_size_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="an index beyond"):
        filled({index: 1.0}, SIZE)


@given(cells_of)
def test_cells_come_back_from_a_column_as_they_went_in(cells: list[Any]) -> None:
    column = vector_column("v", cells)
    assert column.dtype == VECTORS
    assert vector_cells(column) == cells


@given(cells_of, st.integers(0, 3), st.data())
def test_whatever_is_done_to_a_column_its_cells_are_the_same(cells: list[Any], start: int, data: st.DataObject) -> None:
    column = pl.concat([vector_column("v", cells[:2]), vector_column("v", cells[2:])])
    assert vector_cells(column[start:]) == cells[start:]
    assert as_lists(column[start:]).to_list() == [*map(plain, cells[start:])]
    order = data.draw(st.permutations(range(len(cells))))
    assert vector_cells(column[order]) == [cells[i] for i in order]
    kept = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    assert vector_cells(column.filter(pl.Series(kept, dtype=pl.Boolean))) == [
        cell for cell, keep in zip(cells, kept, strict=True) if keep
    ]


@given(cells_of)
def test_lists_rows_and_columns_hold_the_same_numbers(cells: list[Any]) -> None:
    column = vector_column("v", cells)
    lists = as_lists(column)
    assert lists.dtype == LISTS
    assert lists.to_list() == [*map(plain, cells)]
    assert as_lists(lists) is lists
    rows = vector_rows(cells, SIZE)
    assert rows.dtype == np.float32
    expected = [[np.nan] * SIZE if cell is None else plain(cell) for cell in cells]
    np.testing.assert_array_equal(rows, np.asarray(expected, dtype=np.float32).reshape(-1, SIZE))
    for form in (column, lists):
        np.testing.assert_array_equal(vector_rows(form, SIZE), rows)


@pytest.mark.parametrize("cell", [(1.0, 2.0), SparseVector(90, b"\x01\x00", bytes(8)), None, 3.0, "x"])
def test_a_vector_of_another_size_reads_as_missing_and_so_does_what_is_none(cell: Any) -> None:
    good = vector_of({1: 0.5}, SIZE)
    rows = vector_rows([good, cell], SIZE)
    assert np.isnan(rows[1]).all()
    assert rows[0, 1] == 0.5
    assert np.isfinite(rows[0]).all()
    if not isinstance(cell, float | str):
        np.testing.assert_array_equal(vector_rows(vector_column("v", [good, cell]), SIZE), rows)
    assert vector_rows([good, cell], 0).shape == (2, 0)


def test_a_number_too_large_for_single_precision_reads_as_infinite() -> None:
    assert vector_rows([vector_of({2: 1e300}, SIZE)], SIZE)[0, 2] == np.inf


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ((1.0,) * SIZE, True),
        (vector_of({1: 2.0}, SIZE), True),
        (vector_of({}, SIZE), True),
        ((1.0,) * 3, False),
        (vector_of({1: 2.0}, SIZE + 1), False),
        (vector_of({1: float("nan")}, SIZE), False),
        ((float("inf"),) * SIZE, False),
        (("x",) * SIZE, False),
        (1.0, False),
        ("x" * SIZE, False),
    ],
)
def test_a_vector_has_so_many_finite_numbers(value: Any, *, fits: bool) -> None:
    assert is_vector(value, SIZE) is fits
