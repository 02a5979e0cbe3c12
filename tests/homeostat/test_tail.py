from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat.adapters.memory import MemoryLog
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.codec import encode
from homeostat.flow import topic_name
from homeostat.ports import EventLog, Message, NewMessage
from homeostat.records import Action, DriftReport, DriftStatus, Promotion
from homeostat.tail import Tail

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOPIC = topic_name("toys", "drift_reports")


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    return MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "log.db")


def append(log: EventLog, hours: range) -> None:
    for hour in hours:
        at = START + hour * HOUR
        value, headers = encode(DriftReport(f"r{hour}", at, at, at, 5, DriftStatus.HEALTHY, "1"))
        log.append([NewMessage(TOPIC, value, headers)], at)


def ids(tail: Tail) -> list[str]:
    return [report.report_id for report in tail.reports]


def test_each_report_is_read_once_in_order(log: EventLog) -> None:
    tail = Tail(log, "toys")
    append(log, range(3))
    tail.follow()
    tail.follow()
    append(log, range(3, 5))
    tail.follow()
    assert ids(tail) == ["r0", "r1", "r2", "r3", "r4"]


def test_a_decision_that_a_new_healer_tells_again_is_kept_once(log: EventLog) -> None:
    tail, topic = Tail(log, "toys"), topic_name("toys", "promotions")
    for name, again in (("a", False), ("a", True), ("b", False), ("a", True)):
        value, headers = encode(Promotion(name, f"case {name}", START, Action.PROMOTE, "1", "1", "first champion"))
        log.append([NewMessage(topic, value, headers)], START)
        before = len(tail.story)
        tail.follow()
        assert (len(tail.story) == before) is again


def test_a_trimmed_topic_is_read_from_the_first_message_kept(log: EventLog) -> None:
    append(log, range(10))
    log.trim(TOPIC, START + 6 * HOUR)
    tail = Tail(log, "toys")
    tail.follow()
    assert ids(tail) == ["r6", "r7", "r8", "r9"]


def test_a_tail_goes_on_after_what_it_has_not_read_was_trimmed(log: EventLog) -> None:
    append(log, range(2))
    tail = Tail(log, "toys")
    tail.follow()
    append(log, range(2, 10))
    log.trim(TOPIC, START + 6 * HOUR)
    tail.follow()
    assert ids(tail) == ["r0", "r1", "r6", "r7", "r8", "r9"]


@pytest.mark.parametrize(("asked", "found"), [(2, ["r8", "r9"]), (100, ["r6", "r7", "r8", "r9"]), (0, [])])
def test_the_newest_records_of_a_topic_come_oldest_first(log: EventLog, asked: int, found: list[str]) -> None:
    append(log, range(10))
    log.trim(TOPIC, START + 6 * HOUR)
    newest = Tail(log, "toys").newest("drift_reports", asked)
    assert [record.report_id for record in newest if isinstance(record, DriftReport)] == found


def test_an_empty_topic_has_no_newest_record(log: EventLog) -> None:
    assert Tail(log, "toys").newest("drift_reports", 5) == []


def test_a_trim_between_looking_and_reading_breaks_nothing(tmp_path: Path) -> None:
    class Racing(SqliteLog):
        """Trims in another process's stead, just before each of the first reads."""

        trims = 3

        def read(self, topic: str, offset: int, limit: int) -> list[Message]:
            if self.trims:
                self.trims -= 1
                self.trim(topic, START + (9 - 2 * self.trims) * HOUR)
            return super().read(topic, offset, limit)

    log = Racing(tmp_path / "log.db")
    append(log, range(12))
    tail = Tail(log, "toys")
    tail.follow()
    assert ids(tail) == ["r9", "r10", "r11"]


def test_the_last_time_of_a_topic_of_which_nothing_is_kept_is_none(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    at = datetime(2030, 1, 1, tzinfo=UTC)
    log.append([NewMessage(topic_name("p", "labels"), b"1"), NewMessage(topic_name("p", "labels"), b"2")], at)
    tail = Tail(log, "p")
    assert tail.last_time("labels") == at
    log.trim(topic_name("p", "labels"), at + timedelta(days=1))
    assert tail.last_time("labels") is None
    assert tail.last_time("features") is None
