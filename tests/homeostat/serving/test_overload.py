"""More work than can be done in time is refused, and what was let in is answered in time."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.errors import OverloadedError
from homeostat.features.query import Query
from homeostat.serving.work import Pace, Sending, Waiting, Work
from tests.homeostat.serving.conftest import T0, MakeFront, event
from tests.homeostat.serving.test_front import SOON_S, until

BATCHES = st.lists(st.tuples(st.integers(1, 5_000), st.floats(1e-6, 60.0)), min_size=1, max_size=60)
ROW_S = 0.002  # what each row costs in the burst
BOUND_S = 0.1


def rows(count: int) -> Sending:
    return Sending((b"{}",) * count, ())


@given(BATCHES, st.integers(0, 10_000))
def test_the_expected_wait_lies_between_the_fastest_and_the_slowest_pace_seen(
    batches: list[tuple[int, float]], waiting: int
) -> None:
    first_s = batches[0][1] / batches[0][0]
    pace = Pace(first_s)
    for done, spent_s in batches:
        pace.note(done, spent_s)
    paces = [spent_s / done for done, spent_s in batches]
    slack = 1e-9 * waiting * max(paces)
    assert min(paces) * waiting - slack <= pace.expected_s(waiting) <= max(paces) * waiting + slack


@given(BATCHES, st.lists(st.integers(1, 3_000), min_size=1, max_size=30), st.floats(0.001, 5.0))
def test_who_is_let_in_would_be_done_in_time_or_is_one_of_a_few_and_nobody_else_is_refused(
    batches: list[tuple[int, float]], pieces: list[int], most_s: float
) -> None:
    waiting, pace = Waiting(10_000, most_s), Pace(1e-4)
    for done, spent_s in batches:
        waiting.note_pace(done, spent_s)
        pace.note(done, spent_s)
    ahead = 0
    for count in pieces:
        in_time = pace.expected_s(ahead + count) <= most_s and ahead + count <= 10_000
        if in_time or ahead == 0 or ahead + count <= 64:
            waiting.admit(count)
            waiting.put(rows(count))
            ahead += count
            continue
        with pytest.raises(OverloadedError, match="rows wait"):
            waiting.admit(count)
        with pytest.raises(OverloadedError) as refused:
            waiting.put(rows(count))
        assert refused.value.retry_after_s == pace.expected_s(ahead)
    assert waiting.rows == ahead


def test_rows_in_hand_count_until_they_are_done() -> None:
    waiting = Waiting(10_000, 1.0)
    waiting.note_pace(1_000, 1_000 * 0.01)
    waiting.put(rows(80))
    waiting.take(100, 0.0)
    waiting.put(rows(10))
    with pytest.raises(OverloadedError, match=r"10 rows wait.* come back in 0\.9 s"):
        waiting.put(rows(70))
    waiting.take(100, 0.0)
    waiting.take(100, 0.0)  # what was in hand is done
    waiting.put(rows(10))
    waiting.put(rows(70))


def crowd(waiting: Waiting, callers: int) -> None:
    """Let some callers ask at once, and be answered."""
    for _ in range(callers):
        waiting.put(rows(1))
    done(waiting.take(100, 0.0), callers)


def done(taken: list[Work], pieces: int) -> None:
    assert len(taken) == pieces
    for work in taken:
        work.future.set_result(None)  # type: ignore[arg-type] # all were sent


def test_callers_who_asked_at_once_are_taken_at_once_again() -> None:
    waiting = Waiting(10_000, 60.0, gather_s=SOON_S)
    crowd(waiting, 3)
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(waiting.take, 100, SOON_S)
        for _ in range(3):
            assert not taken.done()
            waiting.put(rows(1))
        assert len(taken.result(SOON_S)) == 3


def test_who_asks_alone_waits_for_nobody() -> None:
    waiting = Waiting(10_000, 60.0, gather_s=10 * SOON_S)
    began = perf_counter()
    waiting.put(rows(64))
    for _ in range(3):
        done(waiting.take(100, SOON_S), 1)
        waiting.put(rows(64))  # before anybody waits for it
    assert perf_counter() - began < SOON_S


def test_a_crowd_that_does_not_come_back_is_not_waited_for_long() -> None:
    waiting = Waiting(10_000, 60.0)
    crowd(waiting, 8)
    waiting.put(rows(1))
    assert len(waiting.take(100, SOON_S)) == 1


def test_a_batch_that_is_full_waits_for_nobody() -> None:
    waiting = Waiting(10_000, 60.0, gather_s=10 * SOON_S)
    crowd(waiting, 8)
    waiting.put(rows(100))
    began = perf_counter()
    assert len(waiting.take(100, SOON_S)) == 1
    assert perf_counter() - began < SOON_S


def test_of_a_burst_some_are_refused_and_the_others_are_answered_within_about_the_bound(make_front: MakeFront) -> None:
    pause = Event()  # never set
    handled: list[float] = []  # when

    def slow(step: str, point: str) -> None:
        if (step, point) == ("predict", "handled"):
            pause.wait(20 * ROW_S)
            handled.append(perf_counter())

    front = make_front(hook=slow, batch_rows=20, waiting_s=BOUND_S, waiting_rows=10_000)
    for i in range(5):  # the pace is learned from full batches
        front.predict([event(100 * i + j) for j in range(20)]).result(SOON_S)
    handled.clear()
    took: list[float] = []
    refused: list[float] = []

    def ask(number: int) -> None:
        asked_at = perf_counter()
        try:
            future = front.predict([event(number)])
        except OverloadedError as error:
            refused.append(error.retry_after_s)
        else:
            future.add_done_callback(lambda _: took.append(perf_counter() - asked_at))

    for number in range(1_000, 3_000):  # a second and more of work at once, and then as it comes
        ask(number)
    let_in = 2_000 - len(refused)
    until(lambda: len(took) == let_in, "all that was let in is answered")
    assert len(refused) > 1_000
    assert 0 < max(refused) < 2.0
    longest_s = max(end - begin for begin, end in pairwise(handled))  # of a batch; a busy machine holds some up
    assert sorted(took)[int(0.99 * len(took))] < 3 * (longest_s + BOUND_S)


def test_a_single_request_is_never_refused_for_its_size_while_nothing_waits(make_front: MakeFront) -> None:
    front = make_front(waiting_s=1e-6)
    answers = front.predict([event(i) for i in range(200)] + [Query("q", "k1", T0, {})]).result(SOON_S)
    assert len(answers) == 201
