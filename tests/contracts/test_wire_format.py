"""What deploy/wire-format.md shows to producers, sent as it stands to a real broker."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from confluent_kafka import KafkaException
from kafka.errors import MessageSizeTooLargeError

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.codec import decode_whole
from homeostat.flow import topic_name
from homeostat.records import RawEvent, RawEvents
from homeostat.settings import KafkaSettings

PAGE = (Path(__file__).parents[2] / "deploy" / "wire-format.md").read_text()
ONE, BATCH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
GOOD_SIZE = 5_000  # rows, as the page has it
DEFAULTS_END = 1 << 20  # bytes, where both clients stop by themselves


@pytest.fixture
def log(kafka: Kafka) -> Iterator[KafkaLog]:
    opened = KafkaLog(KafkaSettings(brokers=kafka.brokers, timeout_s=60), f"parcels_{uuid4().hex[:8]}")
    opened.create_topics()
    yield opened
    opened.close()


def sent(text: str, kafka: Kafka, log: KafkaLog, **given: Any) -> Any:
    """The one record that is in the log when an example has been run, with its bytes."""
    topic = topic_name(log._product, "raw_events")
    ours = text.replace("localhost:9092", kafka.brokers).replace("parcels.raw_events.v1", topic)
    assert topic in ours
    names = {"__name__": "example", **given}
    try:
        exec(ours, names)  # noqa: S102 - the page's own words
    finally:
        names.clear()  # and its producer goes
    [message] = log.read(topic, 0, 10)
    return decode_whole("raw_events", message.value, message.headers), message.value


def wide(columns: int) -> pa.Table:
    numbers = {f"c{i}": pa.array([float(i + row) for row in range(GOOD_SIZE)]) for i in range(columns)}
    time = pa.array([datetime(2013, 3, 1, 12, tzinfo=UTC)] * GOOD_SIZE, pa.timestamp("us", "UTC"))
    events = pa.array([f"e{row}" for row in range(GOOD_SIZE)])
    return pa.table({"event_id": events, "event_time": time, "route": pa.array(["R17"] * GOOD_SIZE), **numbers})


def test_the_event_of_the_page_arrives(kafka: Kafka, log: KafkaLog) -> None:
    record, value = sent(ONE, kafka, log)
    assert isinstance(record, RawEvent)
    assert json.loads(value)["event_id"] == "e1"


def test_an_event_may_be_larger_than_a_client_s_defaults_allow(kafka: Kafka, log: KafkaLog) -> None:
    heavy = ONE.replace('"UPS"', '"UPS" * 700_000')
    assert len(sent(heavy, kafka, log)[1]) > 2 * DEFAULTS_END
    with pytest.raises(MessageSizeTooLargeError):
        sent(heavy.replace(", max_request_size=8388608", ""), kafka, log)


@pytest.mark.parametrize("columns", [10, 45, 180])
def test_a_batch_of_the_good_size_arrives_whole(kafka: Kafka, log: KafkaLog, columns: int) -> None:
    record, value = sent(BATCH, kafka, log, table=wide(columns))
    assert isinstance(record, RawEvents)
    assert len(value) > 8 * columns * GOOD_SIZE
    assert (len(value) > DEFAULTS_END) == (columns > 25)
    with pa.ipc.open_stream(value) as stream:
        assert stream.read_all().num_rows == GOOD_SIZE


def test_what_the_page_tells_to_set_is_what_lets_it_through(kafka: Kafka, log: KafkaLog) -> None:
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        sent(BATCH.replace(', "message.max.bytes": 8388608', ""), kafka, log, table=wide(45))


def test_what_the_broker_refuses_is_told(kafka: Kafka, log: KafkaLog) -> None:
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        sent(BATCH.replace("8388608", "20000000"), kafka, log, table=wide(250))
