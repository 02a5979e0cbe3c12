"""The worker over what a log shared with other processes may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import polars as pl
import pyarrow as pa
import pytest

from homeostat.adapters.memory import MemoryLog, MemoryTelemetry
from homeostat.batches import RawLabels
from homeostat.codec import ARROW, decode
from homeostat.flow import Row, topic_name
from homeostat.ports import PAGE_BYTES, Message, NewMessage
from homeostat.records import DeadLetter, Label, RawLabel, Record
from homeostat.tabular import json_rows
from homeostat.worker import Worker

T0 = datetime(2030, 1, 1, tzinfo=UTC)
ROW = Row("ingest", ("raw_labels",), ("labels",), "ingestor")
RAW, LABELS, LETTERS = (topic_name("p", topic) for topic in ("raw_labels", "labels", "ingest_dead_letters"))


def values(records: Sequence[Record]) -> list[str]:
    raw = [
        [r.value] if isinstance(r, RawLabel) else json_rows(pl.DataFrame(r.rows))
        for r in records
        if isinstance(r, RawLabel | RawLabels)
    ]
    return [value.decode() for part in raw for value in part]


class Echo:
    """Answers each raw label with a label named after its bytes, and remembers what it saw."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.restored: list[str] = []
        self.ticks = 0

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        names = values(records)
        self.handled += names
        return [Label(name, now, 1.0) for name in names]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        self.restored += values(records)

    def tick(self, now: datetime) -> list[Record]:
        self.ticks += 1
        return []


class Shared(MemoryLog):
    """A log as other processes may leave it: times that step back, offsets that others' marks take."""

    def __init__(self, *, late: Mapping[int, datetime] | None = None, marks: Sequence[int] = ()) -> None:
        super().__init__()
        self.commits: list[Mapping[str, int]] = []
        self._late = late or {}
        self._marks = set(marks)

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        return [
            replace(message, time=self._late.get(message.offset, message.time))
            for message in super().read(topic, offset, limit)
            if topic != RAW or message.offset not in self._marks
        ]

    def commit(self, group: str, offsets: Mapping[str, int]) -> None:
        super().commit(group, offsets)
        self.commits.append(offsets)


def fill(log: Shared, *values: str) -> Shared:
    for value in values:
        log.append([NewMessage(RAW, value.encode())], T0)
    return log


def worker(step: Echo, log: Shared) -> Worker:
    return Worker(ROW, step, log, MemoryTelemetry(), product="p", memory=timedelta(hours=1))


def letters(log: Shared) -> list[DeadLetter]:
    records = [decode("ingest_dead_letters", m.value, m.headers) for m in log.read(LETTERS, 0, 100)]
    return [record for record in records if isinstance(record, DeadLetter)]


def test_what_never_moves_is_committed_again_before_a_broker_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeostat.worker._KEEP_S", 0.0)
    log = fill(Shared(), "a")
    driven = worker(Echo(), log)
    driven.run_once(T0)
    driven.run_once(T0)
    assert log.commits == [{RAW: 1}, {RAW: 1}]


def test_a_message_from_a_clock_ahead_holds_up_what_comes_after_it_and_skips_nothing() -> None:
    log = fill(Shared(late={1: T0 + timedelta(minutes=1)}), "a", "ahead", "b")
    step = Echo()
    driven = worker(step, log)
    assert (driven.run_once(T0), step.handled) == (1, ["a"])
    assert (driven.run_once(T0 + timedelta(minutes=1)), step.handled) == (2, ["a", "ahead", "b"])


def test_the_marks_of_other_producers_are_passed_over_and_nothing_is_read_twice() -> None:
    log = fill(Shared(marks=[1, 4]), "a", "mark", "b", "c", "mark")
    step = Echo()
    driven = worker(step, log)
    driven.run_once(T0)
    driven.run_once(T0)
    assert step.handled == ["a", "b", "c"]
    assert log.committed("ingest", RAW) == 4
    again = Echo()
    worker(again, log).restore(T0)
    assert again.restored == ["a", "b", "c"]


def test_large_messages_are_worked_off_before_the_step_says_anything_of_the_world() -> None:
    class Paged(Shared):
        def read(self, topic: str, offset: int, limit: int) -> list[Message]:
            return super().read(topic, offset, min(limit, 2))  # as many as fill a page

    log = Paged()
    log.append([NewMessage(RAW, b"x" * (PAGE_BYTES // 2)) for _ in range(4)], T0)
    step = Echo()
    assert worker(step, log).run_once(T0) == 4
    assert step.ticks == 1


def rows(*values: int) -> NewMessage:
    buffer = BytesIO()
    table = pa.table({"n": list(values)})
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return NewMessage(RAW, buffer.getvalue(), {"content-type": ARROW})


def test_a_batch_of_rows_is_handled_as_its_rows() -> None:
    log, step = Shared(), Echo()
    log.append([rows(1, 2), NewMessage(RAW, b'{"n":3}')], T0)
    assert worker(step, log).run_once(T0) == 2
    assert step.handled == ['{"n":1}', '{"n":2}', '{"n":3}']
    again = Echo()
    worker(again, log).restore(T0)
    assert again.restored == step.handled


def test_letters_of_two_lanes_have_ids_of_their_own() -> None:
    class Lane(Shared):
        number = 0

        def read(self, topic: str, offset: int, limit: int) -> list[Message]:
            return [replace(message, lane=self.number) for message in super().read(topic, offset, limit)]

    ids = set()
    for lane in range(3):
        log = Lane()
        log.number = lane
        log.append([NewMessage(RAW, b"no stream", {"content-type": ARROW})], T0)
        worker(Echo(), log).run_once(T0)
        ids |= {letter.letter_id for letter in letters(log)}
    assert len(ids) == 3


def test_a_batch_that_cannot_be_read_is_a_dead_letter_with_its_bytes_and_an_id_of_its_place() -> None:
    log, step = Shared(), Echo()
    log.append([NewMessage(RAW, b"no stream", {"content-type": ARROW})] * 2, T0)
    worker(step, log).run_once(T0)
    found = letters(log)
    assert [letter.value for letter in found] == [b"no stream"] * 2
    assert all("not readable as an Arrow stream" in letter.reason for letter in found)
    assert len({letter.letter_id for letter in found}) == 2
    assert step.handled == []
