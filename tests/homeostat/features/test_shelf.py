"""A shelf gives back what was put on it, however it was put and whatever was forgotten."""

from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from homeostat.features.shelf import Shelf
from homeostat.features.windows import microseconds

T0 = datetime(2024, 3, 1, tzinfo=UTC)
BATCHES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=60)  # rows to add, and to forget


@given(BATCHES, st.randoms(use_true_random=False))
def test_rows_come_back_by_their_numbers_in_any_order(batches: list[tuple[int, int]], random: Random) -> None:
    shelf, end = Shelf(), 0
    for added, forgotten in batches:
        times = pl.Series("t", [T0 + timedelta(seconds=n) for n in range(end, end + added)], pl.Datetime("us", "UTC"))
        shelf.append(pl.DataFrame([pl.Series("n", range(end, end + added), pl.Int64), times]))
        end += added
        than_us = microseconds(T0 + timedelta(seconds=min(shelf.first + forgotten, end)))
        old = shelf.older("t", than_us, "n")
        assert old == list(range(shelf.first, min(shelf.first + forgotten, end)))
        shelf.forget(len(old))
    left = list(range(shelf.first, end))
    random.shuffle(left)
    assert len(shelf) == len(left)
    if left:
        assert shelf.take(np.array(left))["n"].to_list() == left
