import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.counts import Counter, WindowCounts


def as_rows(columns):
    return [*zip(*(list(column) for column in columns), strict=True)]


def counted(profile, *batches):
    counts = WindowCounts(Counter(profile))
    for columns, scores in batches:
        counts.add(as_rows(columns), scores.tolist())
    return counts


def test_rows_and_columns_are_counted_alike(profile, rows):
    columns, scores = rows(300, seed=1)
    by_column = WindowCounts(Counter(profile))
    by_column.add_columns(columns, scores)
    by_row = counted(profile, (columns, scores))
    assert by_row.bins.tolist() == by_column.bins.tolist()
    assert by_row.embedding == pytest.approx(by_column.embedding, abs=1e-3)  # single precision


@given(st.integers(0, 200))
def test_parts_merge_into_the_whole(profile, rows, cut):
    columns, scores = rows(200, seed=2)
    first = counted(profile, ([c[:cut] for c in columns], scores[:cut]))
    first.merge(counted(profile, ([c[cut:] for c in columns], scores[cut:])))
    whole = counted(profile, (columns, scores))
    assert first.rows == whole.rows
    assert first.bins.tolist() == whole.bins.tolist()
    assert first.embedding == pytest.approx(whole.embedding, abs=1e-3)  # single precision


def test_many_rows_are_counted_in_chunks(profile, rows):
    columns, scores = rows(40_000, seed=3)
    counts = WindowCounts(Counter(profile))
    counts.add_columns(columns, scores)
    assert [counts.column(j).sum() for j in range(4)] == [40_000] * 4


def test_the_training_rows_come_out_as_the_reference(profile, rows):
    columns, scores = rows(20_000, seed=0)
    counts = WindowCounts(Counter(profile))
    counts.add_columns(columns, scores)
    assert counts.bins == pytest.approx(np.concatenate([np.asarray(c) for c in profile.counts]))
    assert counts.embedding / counts.rows == pytest.approx(np.asarray(profile.embedding.mean), abs=1e-5)


def test_missing_cells_are_counted_as_missing(profile):
    counts = WindowCounts(Counter(profile))
    counts.add([(None, None, None), (0.1, 2, "AA")], [0.5, 0.5])
    assert [counts.column(j)[-1] for j in range(3)] == [1, 1, 1]
    assert np.isfinite(counts.embedding).all()


def test_its_memory_depends_on_the_bins_alone(profile, rows):
    counts = WindowCounts(Counter(profile))
    before = counts.bins.nbytes + counts.embedding.nbytes
    counts.add_columns(*rows(5000, seed=4))
    assert counts.bins.nbytes + counts.embedding.nbytes == before
