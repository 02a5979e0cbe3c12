from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from homeostat.adapters.memory import MemoryLog, MemoryTelemetry
from homeostat.codec import decode
from homeostat.errors import TransientError
from homeostat.flow import Row, topic_name
from homeostat.metric_names import CONSUMER_LAG, STEP_CPU
from homeostat.ports import NewMessage
from homeostat.records import DeadLetter, Label, RawLabel, Record
from homeostat.worker import BATCH_ROWS, Worker

T0 = datetime(2030, 1, 1, tzinfo=UTC)
ROW = Row("ingest", ("raw_labels",), ("labels",), "ingestor")
RAW, LABELS = topic_name("p", "raw_labels"), topic_name("p", "labels")
LAST = T0 + timedelta(hours=2)  # when the last message of the log came


class Crash(BaseException):
    """Like kill -9: nothing may catch it."""


class Echo:
    """Answers each raw label with a label named after its bytes, and remembers what it saw."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.restored: list[str] = []

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        names = [record.value.decode() for record in records if isinstance(record, RawLabel)]
        self.handled += names
        return [Label(name, now, 1.0) for name in names]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        self.restored += [record.value.decode() for record in records if isinstance(record, RawLabel)]

    def tick(self, now: datetime) -> list[Record]:
        return []


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    for i in range(3):
        log.append([NewMessage(RAW, f"m{i}".encode())], T0 + timedelta(hours=i))
    return log


def worker(log: MemoryLog, step: Echo, crash_at: str | None = None) -> Worker:
    def hook(step_name: str, point: str) -> None:
        if point == crash_at:
            raise Crash

    memory = timedelta(hours=1)
    return Worker(ROW, step, log, MemoryTelemetry(), product="p", memory=memory, hook=hook)


def published(log: MemoryLog) -> list[str]:
    records = [decode("labels", m.value, m.headers) for m in log.read(LABELS, 0, 100)]
    return [r.event_id for r in records if isinstance(r, Label)]


def test_everything_is_handled_once_and_committed(log: MemoryLog) -> None:
    step = Echo()
    driven = worker(log, step)
    assert driven.run_once(LAST) == 3
    assert driven.run_once(LAST) == 0
    assert published(log) == step.handled == ["m0", "m1", "m2"]
    assert log.committed("ingest", RAW) == 3


def test_nothing_is_read_from_after_the_clock(log: MemoryLog) -> None:
    step = Echo()
    assert worker(log, step).run_once(T0 + timedelta(hours=1)) == 2
    assert step.handled == ["m0", "m1"]


@pytest.mark.parametrize("point", ["read", "handled", "published", "committed"])
def test_a_crash_at_any_point_loses_nothing(log: MemoryLog, point: str) -> None:
    with pytest.raises(Crash):
        worker(log, Echo(), crash_at=point).run_once(LAST)
    worker(log, Echo()).run_once(LAST)
    assert set(published(log)) == {"m0", "m1", "m2"}
    assert log.committed("ingest", RAW) == 3


def test_a_restart_folds_the_committed_tail_as_far_as_memory_reaches(log: MemoryLog) -> None:
    worker(log, Echo()).run_once(LAST)
    step = Echo()
    worker(log, step).restore(T0 + timedelta(hours=2))
    assert step.restored == ["m1", "m2"]
    assert step.handled == []


def test_bytes_that_are_no_record_go_to_the_dead_letters_with_their_reason(log: MemoryLog) -> None:
    row = Row("join", ("labels",), ("outcomes",), "joiner")
    log.append([NewMessage(LABELS, b"\xff not json", {"schema": "labels.v1"})], T0)
    Worker(row, Echo(), log, MemoryTelemetry(), product="p", memory=timedelta(0)).run_once(LAST)
    [message] = log.read(topic_name("p", "join_dead_letters"), 0, 10)
    letter = decode("join_dead_letters", message.value, message.headers)
    assert isinstance(letter, DeadLetter)
    assert letter.value == b"\xff not json"
    assert letter.reason


def test_what_a_step_says_of_the_world_is_said_though_the_log_was_away(log: MemoryLog) -> None:
    class Once(Echo):
        looks = 0

        def tick(self, now: datetime) -> list[Record]:
            self.looks += 1
            return [Label(f"look {self.looks}", now, 1.0)]

    class Away(MemoryLog):
        def append(self, messages: Sequence[NewMessage], at: datetime) -> None:
            raise TransientError("the log is away")

    driven = worker(log, Once())
    driven._log = Away()
    for _ in range(2):
        with pytest.raises(TransientError):
            driven.run_once(LAST)
    driven._log = log
    driven.run_once(LAST)
    assert published(log) == ["m0", "m1", "m2", "look 1"]


def test_a_backlog_is_worked_off_before_the_step_says_anything_of_the_world() -> None:
    class Looking(Echo):
        looks: list[int]

        def tick(self, now: datetime) -> list[Record]:
            self.looks = [*getattr(self, "looks", []), len(self.handled)]
            return []

    log, step = MemoryLog(), Looking()
    log.append([NewMessage(RAW, f"m{i}".encode()) for i in range(2 * BATCH_ROWS + 1)], T0)
    assert worker(log, step).run_once(LAST) == 2 * BATCH_ROWS + 1
    assert step.looks == [2 * BATCH_ROWS + 1]


@pytest.mark.parametrize("job", [False, True])
def test_what_a_job_s_work_takes_is_told_by_its_records_alone(log: MemoryLog, *, job: bool) -> None:
    telemetry = MemoryTelemetry()
    made = Worker(replace(ROW, job=job), Echo(), log, telemetry, product="p", memory=timedelta(0))
    assert made.run_once(LAST)
    assert (telemetry.value(STEP_CPU, product="p", step="ingest") is None) is job
    assert not made.run_once(LAST)  # to look for work takes time too, where a process stays to do so
    assert telemetry.value(STEP_CPU, product="p", step="ingest") is not None
    assert made.cpu_s > 0


def test_what_a_step_fails_to_handle_is_seen_to_pile_up_and_to_be_worked_off(log: MemoryLog) -> None:
    telemetry = MemoryTelemetry()

    class Failing(Echo):
        def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
            raise Crash

    stuck = Worker(ROW, Failing(), log, telemetry, product="p", memory=timedelta(0))
    with pytest.raises(Crash):
        stuck.run_once(LAST)
    assert telemetry.value(CONSUMER_LAG, product="p", step="ingest", topic="raw_labels", lane="0") == 3
    at_work = Worker(ROW, Echo(), log, telemetry, product="p", memory=timedelta(0))
    at_work.run_once(LAST)
    assert telemetry.value(CONSUMER_LAG, product="p", step="ingest", topic="raw_labels", lane="0") == 0
    at_work.leave()  # a lag of 0 that stays would say that it still works here
    assert telemetry.value(CONSUMER_LAG, product="p", step="ingest", topic="raw_labels", lane="0") is None


def test_who_leaves_tells_its_step_too_where_that_has_something_to_take_away(log: MemoryLog) -> None:
    class Shown(Echo):
        left = 0

        def leave(self) -> None:
            self.left += 1

    step = Shown()
    Worker(ROW, step, log, MemoryTelemetry(), product="p", memory=timedelta(0)).leave()
    assert step.left == 1
