"""The obligations of EventLog, over every adapter."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.memory import MemoryLog
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.errors import HomeostatError
from homeostat.ports import EventLog, Message, NewMessage
from homeostat.settings import KafkaSettings

EMBEDDED: dict[str, Callable[[Path], EventLog]] = {
    "memory": lambda _: MemoryLog(),
    "sqlite": lambda folder: SqliteLog(folder / "log.db"),
}
CLIENTS = ("kafka-python", "librdkafka")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def at() -> datetime:
    return datetime(2024, 3, 1, 12, 30, 15, 123000, tzinfo=UTC)  # Kafka keeps milliseconds


@pytest.fixture
def product() -> str:
    """A product of the test's own: all tests share a broker."""
    return f"p{uuid4().hex[:12]}"


@pytest.fixture
def a(product: str) -> str:
    return f"{product}.a.v1"


@pytest.fixture
def b(product: str) -> str:
    return f"{product}.b.v1"


@pytest.fixture(params=[*EMBEDDED, *CLIENTS])
def log(request: pytest.FixtureRequest, tmp_path: Path, product: str) -> Iterator[EventLog]:
    if request.param in EMBEDDED:
        yield EMBEDDED[request.param](tmp_path)
        return
    kafka: Kafka = request.getfixturevalue("kafka")
    opened = KafkaLog(KafkaSettings(brokers=kafka.brokers, client=request.param), product)
    yield opened
    opened.close()


@pytest.fixture(params=EMBEDDED)
def embedded_log(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    return EMBEDDED[request.param](tmp_path)


def news(topic: str, *values: bytes) -> list[NewMessage]:
    return [NewMessage(topic, value) for value in values]


def values(messages: list[Message]) -> list[bytes]:
    return [message.value for message in messages]


def test_offsets_are_consecutive_from_zero_in_each_topic(log: EventLog, at: datetime, a: str, b: str) -> None:
    log.append(news(a, b"0", b"1"), at)
    log.append([*news(b, b"0"), *news(a, b"2"), *news(b, b"1")], at)
    assert [(m.offset, m.value) for m in log.read(a, 0, 9)] == [(0, b"0"), (1, b"1"), (2, b"2")]
    assert [(m.offset, m.value) for m in log.read(b, 0, 9)] == [(0, b"0"), (1, b"1")]


def test_a_message_comes_back_as_it_went_in(log: EventLog, at: datetime, a: str) -> None:
    log.append([NewMessage(a, b"\x00\xff{}", {"schema": "1", "ключ": "ö"})], at)
    (message,) = log.read(a, 0, 1)
    assert (message.topic, message.offset, message.value) == (a, 0, b"\x00\xff{}")
    assert dict(message.headers) == {"schema": "1", "ключ": "ö"}
    assert message.time == at
    assert message.time.utcoffset() == timedelta(0)


def test_a_read_gives_at_most_its_limit_from_its_offset_on(log: EventLog, at: datetime, a: str) -> None:
    log.append(news(a, *(b"%d" % i for i in range(10))), at)
    assert values(log.read(a, 3, 4)) == [b"3", b"4", b"5", b"6"]


def test_a_read_at_the_end_gives_nothing_and_never_another_topic(log: EventLog, at: datetime, a: str, b: str) -> None:
    log.append([*news(a, b"a"), *news(b, b"b")], at)
    assert log.read(a, 1, 5) == []
    assert log.read(a, 7, 5) == []


def test_a_topic_that_is_not_there_is_empty(log: EventLog, at: datetime, a: str) -> None:
    assert log.read(f"{a}.nowhere", 0, 5) == []
    assert log.end(f"{a}.nowhere") == 0
    assert log.offset_at(f"{a}.nowhere", at) == 0
    assert log.committed("readers", f"{a}.nowhere") == 0


def test_the_end_is_the_offset_of_the_next_message(log: EventLog, at: datetime, a: str) -> None:
    log.append(news(a, b"0", b"1"), at)
    end = log.end(a)
    log.append(news(a, b"next"), at)
    assert log.read(a, end, 1)[0].value == b"next"


def test_an_append_of_nothing_changes_nothing(log: EventLog, at: datetime, a: str) -> None:
    log.append([], at)
    assert log.end(a) == 0


def test_a_call_refused_for_its_content_appends_none_of_its_messages(
    log: EventLog, at: datetime, a: str, b: str
) -> None:
    broken = NewMessage(b, b"", headers=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        log.append([*news(a, b"whole"), broken], at)
    assert (log.end(a), log.end(b)) == (0, 0)
    log.append(news(a, b"after"), at)
    assert values(log.read(a, 0, 5)) == [b"after"]


def test_a_time_finds_the_first_message_appended_at_or_after_it(log: EventLog, at: datetime, a: str) -> None:
    for minute in (0, 1, 1, 3):
        log.append(news(a, b"x", b"y"), at + minute * MINUTE)
    found = [log.offset_at(a, at + minute * MINUTE) for minute in (-1, 0, 1, 2, 3, 4)]
    assert found == [0, 0, 2, 6, 6, 8]


def test_a_time_finds_no_message_after_the_first_of_its_age_whatever_a_clock_did(
    log: EventLog, at: datetime, a: str
) -> None:
    for minute in (0, 3, 1, 4):
        log.append(news(a, b"x"), at + minute * MINUTE)
    assert [log.offset_at(a, at + minute * MINUTE) for minute in (0, 2, 3, 4)] == [0, 1, 1, 3]


def test_a_clock_that_steps_back_does_not_take_a_topic_back(embedded_log: EventLog, at: datetime, a: str) -> None:
    embedded_log.append(news(a, b"0"), at)
    embedded_log.append(news(a, b"1"), at - MINUTE)
    assert [m.time for m in embedded_log.read(a, 0, 5)] == [at, at]


def test_an_offset_is_committed_by_group_and_topic(log: EventLog, a: str, b: str) -> None:
    log.commit("readers", {a: 3, b: 5})
    log.commit("others", {a: 1})
    log.commit("readers", {a: 4})
    committed = [log.committed(group, topic) for group in ("readers", "others") for topic in (a, b)]
    assert committed == [4, 5, 1, 0]


def test_threads_that_append_together_keep_offsets_consecutive(log: EventLog, at: datetime, a: str) -> None:
    def produce(name: bytes) -> None:
        for i in range(25):
            log.append(news(a, *(b"%s %d %d" % (name, i, j) for j in range(4))), at)

    threads = [Thread(target=produce, args=(name,)) for name in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = log.read(a, 0, 1000)
    assert [m.offset for m in messages] == list(range(200))
    calls = [values(messages[i : i + 4]) for i in range(0, 200, 4)]
    assert all(len({value.rsplit(b" ", 1)[0] for value in call}) == 1 for call in calls)


def test_trimming_leaves_what_is_younger_and_offsets_keep_counting(log: EventLog, at: datetime, a: str, b: str) -> None:
    for minute in range(4):
        log.append(news(a, b"%d" % minute), at + minute * MINUTE)
    log.append(news(b, b"old"), at)
    assert log.trim(a, at + 2 * MINUTE) == 2
    assert log.trim(a, at + 2 * MINUTE) == 0
    assert [(m.offset, m.value) for m in log.read(a, 2, 9)] == [(2, b"2"), (3, b"3")]
    assert log.offset_at(a, at) == 2
    log.append(news(a, b"4"), at + 4 * MINUTE)
    assert values(log.read(a, 4, 9)) == [b"4"]
    assert values(log.read(b, 0, 9)) == [b"old"]


def test_what_somebody_has_still_to_read_is_not_trimmed(log: EventLog, at: datetime, a: str, b: str) -> None:
    log.append(news(a, b"0", b"1", b"2"), at)
    log.commit("quick", {a: 3})
    log.commit("slow", {a: 1, b: 0})
    assert log.trim(a, at + MINUTE) == 1
    assert values(log.read(a, 1, 9)) == [b"1", b"2"]


def test_a_trimmed_offset_is_not_skipped_in_silence(log: EventLog, at: datetime, a: str) -> None:
    log.append(news(a, b"0", b"1"), at)
    assert log.trim(a, at + MINUTE) == 2
    assert log.end(a) == 2
    with pytest.raises(HomeostatError, match="trimmed"):
        log.read(a, 0, 9)
    assert log.trim(f"{a}.nowhere", at) == 0
