"""What KafkaLog promises beyond memory: crashes, other processes, a broker that restarts, other producers, refusals."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.kafka_log.cluster import MESSAGE_BYTES, RAW_BYTES
from homeostat.errors import HomeostatError, InvalidRecordError, TransientError
from homeostat.flow import EXTERNAL, FLOW, dead_letters, topic_name
from homeostat.ports import PAGE_BYTES, NewMessage
from homeostat.settings import KafkaSettings

AT = datetime(2024, 3, 1, 12, 30, 15, 123000, tzinfo=UTC)
CLIENTS = ("kafka-python", "librdkafka")
PRODUCER = """
from datetime import UTC, datetime
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings
log = KafkaLog(KafkaSettings(brokers={brokers!r}, client={client!r}, timeout_s=60), {product!r})
for i in range({calls}):
    log.append([NewMessage({topic!r}, b"{name} %d" % (3 * i + j)) for j in range(3)], datetime.now(UTC))
    log.commit("{name}", {{{topic!r}: 3 * i + 3}})
    print(3 * i + 3, flush=True)
"""


@pytest.fixture(params=CLIENTS)
def settings(request: pytest.FixtureRequest, kafka: Kafka) -> KafkaSettings:
    return KafkaSettings(brokers=kafka.brokers, client=request.param, timeout_s=60)


@pytest.fixture
def product() -> str:
    return f"p{uuid4().hex[:12]}"


@pytest.fixture
def a(product: str) -> str:
    return f"{product}.a.v1"


@pytest.fixture
def log(settings: KafkaSettings, product: str) -> Iterator[KafkaLog]:
    opened = KafkaLog(settings, product)
    yield opened
    opened.close()


def numbered(topic: str, count: int, size: int = 0) -> list[NewMessage]:
    return [NewMessage(topic, b"%d" % i + bytes(size)) for i in range(count)]


def read_all(log: KafkaLog, topic: str, limit: int = 1000) -> list[bytes]:
    """Page through a topic as a worker does."""
    values: list[bytes] = []
    offset = 0
    while messages := log.read(topic, offset, limit):
        values += [message.value for message in messages]
        offset = messages[-1].offset + 1
    return values


def test_what_was_acknowledged_survives_kill_9(
    settings: KafkaSettings, log: KafkaLog, product: str, a: str, run_until_killed: Callable[[str, int], list[str]]
) -> None:
    names = {"brokers": settings.brokers, "client": settings.client, "product": product, "topic": a}
    acknowledged = int(run_until_killed(PRODUCER.format(**names, name="p", calls=10**6), 40)[-1])
    stored = read_all(log, a)
    assert acknowledged <= len(stored) == log.end(a) <= acknowledged + 3
    assert stored == [b"p %d" % i for i in range(len(stored))]
    assert acknowledged - 3 <= log.committed("p", a) <= len(stored)


def test_processes_that_append_together_keep_each_its_order(
    settings: KafkaSettings, log: KafkaLog, product: str, a: str, run_together: Callable[[list[str]], None]
) -> None:
    names = {"brokers": settings.brokers, "client": settings.client, "product": product, "topic": a}
    run_together([PRODUCER.format(**names, name=name, calls=50) for name in ("one", "two")])
    stored = log.read(a, 0, 1000)
    assert [m.offset for m in stored] == list(range(300))
    for name in (b"one", b"two"):
        assert [m.value for m in stored if m.value.startswith(name)] == [b"%s %d" % (name, i) for i in range(150)]


@pytest.fixture
def raw(product: str) -> str:
    return topic_name(product, "raw_events")


@pytest.fixture
def three(settings: KafkaSettings, product: str) -> Iterator[KafkaLog]:
    """The whole log of a product whose raw topics have three lanes."""
    opened = KafkaLog(settings.model_copy(update={"lanes": 3}), product, entity="line")
    yield opened
    opened.close()


def test_a_lane_of_the_raw_topics_is_a_log_of_its_own(three: KafkaLog, raw: str) -> None:
    one, other = three.lane(0), three.lane(2)
    one.append(numbered(raw, 2), AT)
    other.append(numbered(raw, 5), AT)
    assert [(m.offset, m.lane) for m in other.read(raw, 0, 9)] == [(i, 2) for i in range(5)]
    assert [(m.offset, m.lane) for m in one.read(raw, 0, 9)] == [(0, 0), (1, 0)]
    one.commit("readers", {raw: 1})
    other.commit("readers", {raw: 4})
    assert (one.committed("readers", raw), other.committed("readers", raw), three.lane(1).end(raw)) == (1, 4, 0)
    assert (one.trim(raw, AT + timedelta(hours=1)), other.trim(raw, AT + timedelta(hours=1))) == (1, 4)
    with pytest.raises(HomeostatError, match="there is no lane 3: HOMEOSTAT_KAFKA__LANES is 3"):
        three.lane(3)


def test_what_lanes_make_meets_in_topics_of_one_lane(three: KafkaLog, a: str) -> None:
    for lane in range(3):
        three.lane(lane).append(numbered(a, 1 + lane), AT)
    assert read_all(three.lane(1), a) == read_all(three, a) == [b"0", b"0", b"1", b"0", b"1", b"2"]


def test_the_whole_log_counts_all_lanes_and_reads_none_as_if_it_were_the_only_one(three: KafkaLog, raw: str) -> None:
    for lane in (0, 1):
        three.lane(lane).append(numbered(raw, 3), AT)
        three.lane(lane).commit("ingest", {raw: 1 + lane})
    three.lane(2).append(numbered(raw, 5), AT)
    assert (three.end(raw), three.committed("ingest", raw)) == (11, 3)
    assert three.trim(raw, AT + timedelta(hours=1)) == 3  # of the lane that nobody has begun on, nothing
    for ask in (lambda: three.read(raw, 0, 9), lambda: three.commit("ingest", {raw: 1})):
        with pytest.raises(HomeostatError, match="3 lanes, which only `python -m services"):
            ask()


def test_the_whole_log_sends_what_comes_to_the_lane_of_its_entity(three: KafkaLog, raw: str) -> None:
    lines = [f"N{i}é" for i in range(20)]
    sent = [NewMessage(raw, json.dumps({"event_id": "e", "line": line}).encode()) for line in lines]
    three.append([*sent, NewMessage(raw, b"no JSON")], AT)
    for lane in map(three.lane, range(3)):
        found = [value for value in read_all(lane, raw) if value != b"no JSON"]
        assert found == [s.value for s, line in zip(sent, lines, strict=True) if lane.holds(line)]
    assert b"no JSON" in read_all(three.lane(0), raw)


@pytest.mark.parametrize(("made", "asked"), [(1, 2), (2, 1)])
def test_a_topic_of_another_number_of_lanes_is_refused_rather_than_read_in_part(
    settings: KafkaSettings, product: str, raw: str, made: int, asked: int
) -> None:
    first, second = (KafkaLog(settings.model_copy(update={"lanes": lanes}), product) for lanes in (made, asked))
    first.append(numbered(raw, 1), AT)
    with pytest.raises(HomeostatError, match=f"has {made} partitions, expected {asked}: raw topics have HOMEOSTAT_"):
        second.end(raw)
    first.close()
    second.close()


def test_every_topic_of_a_product_can_be_made_before_anything_is_sent(settings: KafkaSettings, product: str) -> None:
    two = KafkaLog(settings.model_copy(update={"lanes": 2}), product)
    two.create_topics()
    two.create_topics()  # those that are there are left
    narrow = KafkaLog(settings, product)
    for topic in {t for row in FLOW for t in (*row.consumes, *row.produces, dead_letters(row.step))} - {*EXTERNAL}:
        assert narrow._client.lanes(topic_name(product, topic)) == 1
    for topic in EXTERNAL:
        with pytest.raises(HomeostatError, match="has 2 partitions"):
            narrow.end(topic_name(product, topic))
    two.close()
    narrow.close()


def test_reading_jumps_to_any_offset_and_never_mixes_topics(log: KafkaLog, a: str) -> None:
    b = f"{a}.b"
    log.append([message for pair in zip(numbered(a, 50), numbered(b, 50), strict=True) for message in pair], AT)
    for topic, offset, limit in [(a, 40, 5), (b, 0, 50), (a, 3, 4), (a, 7, 2), (b, 49, 9), (a, 0, 50), (b, 1, 1)]:
        read = [(m.topic, m.offset, m.value) for m in log.read(topic, offset, limit)]
        assert read == [(topic, i, b"%d" % i) for i in range(offset, min(offset + limit, 50))]


def test_large_messages_come_in_pages_that_fit_in_memory(log: KafkaLog, a: str) -> None:
    log.append(numbered(a, 20, size=PAGE_BYTES // 4), AT)
    page = log.read(a, 0, 20)
    assert 0 < len(page) <= 5
    assert len(read_all(log, a, 20)) == 20


def test_what_nobody_reads_does_not_fill_the_memory(log: KafkaLog, a: str) -> None:
    b = f"{a}.b"
    log.append([*numbered(a, 1), *numbered(b, 1)], AT)
    assert len(log.read(b, 0, 1)) == 1  # from now on messages of it come along
    log.append(numbered(b, 30, size=PAGE_BYTES // 4), AT)
    for i in range(20):
        log.append(numbered(a, 1), AT)
        assert len(log.read(a, i, 9)) >= 1
    assert len(read_all(log, b, 99)) == 31


def test_the_marks_of_a_transaction_are_no_messages(log: KafkaLog, kafka: Kafka, a: str) -> None:
    log.append(numbered(a, 2), AT)
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": a})
    producer.init_transactions(60)
    for word, end in ((b"kept", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
        producer.begin_transaction()
        for i in range(3):
            producer.produce(a, b"%s %d" % (word, i))
        producer.flush(60)
        end(60)
    assert read_all(log, a) == [b"0", b"1", b"kept 0", b"kept 1", b"kept 2"]
    log.append(numbered(a, 1), AT)
    assert read_all(log, a)[5:] == [b"0"]
    assert log.read(a, log.end(a), 9) == []


def test_a_message_that_is_too_large_is_refused_before_any_of_its_call_is_stored(log: KafkaLog, a: str) -> None:
    with pytest.raises(InvalidRecordError, match=r"a\.v1: a message of \d+ bytes, at most 16777216 are taken"):
        log.append([*numbered(a, 3), NewMessage(a, bytes(MESSAGE_BYTES))], AT)
    assert log.end(a) == 0
    log.append([NewMessage(a, bytes(MESSAGE_BYTES - 1000))], AT)  # a page is smaller: it comes nevertheless
    assert [len(m.value) for m in log.read(a, 0, 9)] == [MESSAGE_BYTES - 1000]


def test_what_a_producer_outside_may_send_has_a_smaller_limit_so_that_its_dead_letter_fits(
    log: KafkaLog, product: str
) -> None:
    raw = topic_name(product, "raw_events")
    log.append([NewMessage(raw, bytes(RAW_BYTES))], AT)
    with pytest.raises(InvalidRecordError, match=r"larger than the topic's max\.message\.bytes"):
        log.append([NewMessage(raw, bytes(RAW_BYTES + (1 << 20)))], AT)
    log.append(numbered(raw, 1), AT)  # the producer is none the worse for it
    assert len(read_all(log, raw)) == 2


def test_a_message_of_an_outside_clock_that_is_far_ahead_is_refused_by_the_broker(log: KafkaLog, product: str) -> None:
    raw = topic_name(product, "raw_events")
    with pytest.raises(InvalidRecordError, match=r"message\.timestamp\.after\.max\.ms"):
        log.append(numbered(raw, 1), datetime.now(UTC) + timedelta(hours=1))
    assert log.end(raw) == 0


def test_headers_and_empty_values_of_other_producers_are_read(log: KafkaLog, kafka: Kafka, a: str) -> None:
    log.append(numbered(a, 1), AT)
    producer = Producer({"bootstrap.servers": kafka.brokers, "compression.type": "gzip"})
    headers: list[tuple[str, Any]] = [("bytes", b"\xff"), ("none", None), ("twice", b"1"), ("twice", b"2")]
    producer.produce(a, None, key="k", headers=headers)
    producer.flush(60)
    message = log.read(a, 1, 1)[0]
    assert (message.value, dict(message.headers)) == (b"", {"bytes": "\ufffd", "none": "", "twice": "2"})


@pytest.mark.parametrize("client", CLIENTS)
def test_brokers_that_do_not_answer_ask_for_patience_by_name(client: Any) -> None:
    log = KafkaLog(KafkaSettings(brokers="127.0.0.1:1", client=client, timeout_s=1), "p")
    calls: list[Callable[[], object]] = [
        lambda: log.read("a", 0, 1),
        lambda: log.append(numbered("a", 1), AT),
        lambda: log.committed("g", "a"),
        lambda: log.end("a"),
    ]
    for call in calls:
        with pytest.raises(TransientError, match=r"Kafka at 127\.0\.0\.1:1 "):
            call()
