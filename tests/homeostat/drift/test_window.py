import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.window import Ids, MovingWindow

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
rows = st.lists(st.integers(0, 600), max_size=40)
batches = st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=12)


def fold(window, minutes):
    times = [START + timedelta(minutes=minute) for minute in minutes]
    for sums, new in window.admit([str(minute) for minute in minutes], times):
        sums.extend(minutes[i] for i in new)
    return window


@given(rows, rows)
def test_a_row_delivered_again_changes_nothing(first, second):
    window = fold(fold(fold(MovingWindow(HOUR, list), first), second), first)
    assert sorted(chain.from_iterable(window.sums())) == sorted({*first, *second})


@given(rows, st.integers(0, 700))
def test_what_it_keeps_does_not_depend_on_rows_it_forgot_before(minutes, at):
    long_up, restarted = MovingWindow(HOUR, list), MovingWindow(HOUR, list)
    before = START + timedelta(minutes=at)
    fold(long_up, minutes).forget(before)
    fold(restarted, [minute for minute in minutes if minute >= at]).forget(before)
    assert [sorted(s) for s in long_up.sums()] == [sorted(s) for s in restarted.sums()]


def test_a_bucket_that_may_hold_too_old_a_row_leaves():
    window = fold(MovingWindow(HOUR, list), [10, 70, 130])
    window.forget(START + timedelta(minutes=60))
    assert window.sums() == [[70], [130]]
    window.forget(START + timedelta(minutes=61))
    assert window.sums() == [[130]]


def test_its_span_is_from_the_first_to_the_last_row():
    window = fold(fold(MovingWindow(HOUR, list), [130, 10]), [70, 71, 11])
    assert window.span() == (START + timedelta(minutes=10), START + timedelta(minutes=130))
    assert MovingWindow(HOUR, list).span() is None


@given(rows)
def test_a_row_on_the_edge_of_two_buckets_is_of_the_later_one(minutes):
    window = fold(MovingWindow(HOUR, list), minutes)
    assert [{minute // 60 for minute in sums} for sums in window.sums()] == [
        {hour} for hour in sorted({minute // 60 for minute in minutes})
    ]


@given(batches)
def test_ids_are_new_once_however_they_are_cut_into_batches(told):
    ids, seen = Ids(), set()
    for batch in told:
        expected = [i for i, key in enumerate(batch) if key not in seen and key not in batch[:i]]
        assert ids.admit(np.asarray(batch, dtype=np.uint64)).tolist() == expected
        seen.update(batch)
    assert ids.nbytes == 8 * len(seen)


def test_a_row_takes_no_more_than_a_few_bytes_of_memory_and_is_known_again_after_all_the_others():
    window, batch, count = MovingWindow(HOUR, list), 5_000, 40

    def come(k):
        ids = [f"0b7a{i:010d}-aaaa-bbbb" for i in range(k * batch, (k + 1) * batch)]
        return sum(len(new) for _, new in window.admit(ids, [START] * batch))

    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    assert all(come(k) == batch for k in range(count))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / (batch * count) < 9
    assert not any(come(k) for k in (0, 17, count - 1))
