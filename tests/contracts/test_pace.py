"""The pace of periodic work, in event time and on the machine's clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers.base import STATE_PAUSED, STATE_STOPPED
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.apscheduler_pace import LivePace, ReplayPace

QUARTER = timedelta(minutes=15)
BEAT = timedelta(milliseconds=20)


def test_nothing_is_due_before_the_start(at: datetime) -> None:
    assert ReplayPace(QUARTER, at).due(at - timedelta(microseconds=1)) == []


def test_the_first_beat_is_the_start_itself(at: datetime) -> None:
    assert ReplayPace(QUARTER, at).due(at) == [at]


def test_every_beat_since_the_last_question_is_due_once(at: datetime) -> None:
    pace = ReplayPace(QUARTER, at)
    pace.due(at)
    assert pace.due(at + 3 * QUARTER) == [at + QUARTER, at + 2 * QUARTER, at + 3 * QUARTER]
    assert pace.due(at + 3 * QUARTER) == []


@given(st.lists(st.integers(0, 5000), max_size=20))
def test_however_it_is_asked_the_beats_are_the_same(minutes: list[int]) -> None:
    start = datetime.fromisoformat("2013-03-01T05:00:00+00:00")
    pace = ReplayPace(QUARTER, start)
    asked = [start + timedelta(minutes=minute) for minute in sorted(minutes)]
    beats = [beat for now in asked for beat in pace.due(now)]
    count = max(minutes) // 15 + 1 if minutes else 0
    assert beats == [start + i * QUARTER for i in range(count)]


@contextmanager
def running(pace: LivePace) -> Iterator[None]:
    pace.start()
    try:
        yield
    finally:
        pace.stop()


def test_a_live_job_runs_at_every_beat_until_stopped() -> None:
    thrice, runs = Event(), []

    def job() -> None:
        runs.append(None)
        if len(runs) >= 3:
            thrice.set()

    pace = LivePace(BEAT, job)
    with running(pace):
        assert thrice.wait(60)
    assert pace._scheduler.state == STATE_STOPPED


def test_a_beat_that_comes_while_the_job_runs_is_left_out() -> None:
    left_out, seen, runs = Event(), Event(), []

    def job() -> None:
        runs.append(None)
        seen.wait(60)  # else the next beat could come before anybody has counted

    pace = LivePace(BEAT, job)
    pace._scheduler.add_listener(lambda _: left_out.set(), EVENT_JOB_MAX_INSTANCES)
    with running(pace):
        assert left_out.wait(60)
        assert len(runs) == 1
        seen.set()


def test_a_job_that_raises_ends_the_pace_and_its_error_is_kept() -> None:
    told = Event()

    def job() -> None:
        raise KeyError("lost")

    pace = LivePace(BEAT, job)
    pace._scheduler.add_listener(lambda _: told.set(), EVENT_JOB_ERROR)
    with running(pace):
        assert told.wait(60)
        assert pace._scheduler.state == STATE_PAUSED
    assert isinstance(pace.failure, KeyError)
