import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.bins import number_bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.samples import KEPT, Sample, thinned

CODER = CellCoder([number_bins("x", np.arange(50.0), np.ones(50))])


def sample(places):
    made = Sample(CODER)
    if places:
        made.add([f"e{i}" for i in places], [(float(i),) for i in places], [1000.0 + i for i in places])
    return made


@given(st.lists(st.integers(0, 999), unique=True, max_size=400), st.integers(0, 400))
def test_a_sample_is_the_same_however_its_rows_were_split_and_ordered(places, cut):
    whole = sample(places)
    parts = sample(places[cut:][::-1])
    parts.merge(sample(places[:cut]))
    assert np.array_equal(whole.rows, parts.rows)
    assert whole.seen == parts.seen == len(places)
    assert len(whole.rows) == min(len(places), KEPT)


def test_a_sample_of_many_rows_looks_like_them():
    rows = sample([*range(50_000)]).rows
    assert abs(rows[:, 0].mean() / 25_000 - 1) < 0.25
    assert np.array_equal(rows[:, 1], 1000 + rows[:, 0])


def test_a_sample_knows_its_first_time():
    assert sample([7, 3]).since == 1003.0
    assert sample([]).since == np.inf


def test_thinned_samples_give_rows_in_proportion_to_what_they_saw():
    many, few = sample([*range(3000)]), sample([*range(5000, 5100)])
    rows = thinned([many, sample([]), few], most=62)
    assert (rows[:, 0] < 5000).sum() == 60
    assert len(rows) == 62
    assert len(thinned([few], most=1000)) == 100
