from datetime import UTC, datetime, timedelta
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.window import MovingWindow

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
rows = st.lists(st.integers(0, 600), max_size=40)


def fold(window, minutes):
    batch = [(str(minute), START + timedelta(minutes=minute)) for minute in minutes]
    for sums, new in window.admit(batch):
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
    window = fold(MovingWindow(HOUR, list), [130, 10, 70])
    assert window.span() == (START + timedelta(minutes=10), START + timedelta(minutes=130))
    assert MovingWindow(HOUR, list).span() is None
