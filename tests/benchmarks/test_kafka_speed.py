"""The event log on a real broker: both clients, single JSON events and Arrow batches, in one run on the same cores."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from time import perf_counter, process_time
from uuid import uuid4

import polars as pl
import pytest

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.codec import ARROW, decode_all
from homeostat.ports import Message, NewMessage
from homeostat.settings import KafkaSettings
from homeostat.worker import BATCH_ROWS

pytestmark = pytest.mark.bench

EVENTS, BATCHES, ROWS = 60_000, 60, 5_000
EVENT = b'{"event_id":"e0000001","entity":"N14228","event_time":"2024-03-01T12:30:15Z",' + b'"x":1.25,' * 18 + b'"y":0}'
RAW = "raw_events"


def batch() -> bytes:
    """5,000 rows of 20 mixed columns."""
    columns = {f"x{i}": [float(i * j % 977) for j in range(ROWS)] for i in range(14)}
    words = {f"w{i}": [f"{(i + j) % 12}" for j in range(ROWS)] for i in range(4)}
    ids = {"event_id": [f"e{j:07d}" for j in range(ROWS)]}
    times = {"event_time": [datetime(2024, 3, 1, 12, 0, j % 60, tzinfo=UTC) for j in range(ROWS)]}
    buffer = BytesIO()
    pl.DataFrame(ids | times | columns | words).write_ipc_stream(buffer)
    return buffer.getvalue()


def taken(work: Callable[[], int]) -> tuple[float, float]:
    """Units a second of the clock, and of this process's CPU."""
    started, cpu_started = perf_counter(), process_time()
    count = work()
    return count / (perf_counter() - started), count / (process_time() - cpu_started)


def send(log: KafkaLog, message: NewMessage, count: int, at_once: int) -> int:
    for _ in range(count // at_once):
        log.append([message] * at_once, datetime.now(UTC))
    return count


def receive(log: KafkaLog, topic: str, decode: Callable[[Message], int]) -> int:
    offset = rows = 0
    while messages := log.read(topic, offset, BATCH_ROWS):
        rows += sum(map(decode, messages))
        offset = messages[-1].offset + 1
    return rows


def rows_in(message: Message) -> int:
    return len(decode_all(RAW, message.value, message.headers))


def figures_of(client: str, brokers: str, stream: bytes) -> dict[str, tuple[float, float]]:
    product = f"p{uuid4().hex[:8]}"
    log = KafkaLog(KafkaSettings(brokers=brokers, client=client, timeout_s=60), product)
    single, many = f"{product}.single.v1", f"{product}.many.v1"
    event, rows = NewMessage(single, EVENT), NewMessage(many, stream, {"content-type": ARROW})
    log.append([event, rows], datetime.now(UTC))  # topics and connections are there
    figures = {
        "events sent": taken(lambda: send(log, event, EVENTS, BATCH_ROWS)),
        "events read and decoded": taken(lambda: receive(log, single, rows_in)),
        "rows sent": taken(lambda: send(log, rows, BATCHES, 4) * ROWS),
        "rows read": taken(lambda: receive(log, many, lambda _: ROWS)),
        "rows read and decoded": taken(lambda: receive(log, many, rows_in)),
    }
    log.close()
    return figures


def test_a_row_of_a_batch_costs_less_than_an_event_alone_with_either_client(
    kafka: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = batch()
    figures = {client: figures_of(client, kafka.brokers, stream) for client in ("kafka-python", "librdkafka")}
    with capsys.disabled():
        print(
            f"\n{len(EVENT)} bytes an event; {ROWS} rows and {len(stream)} bytes a batch; per second (per CPU second)"
        )
        for what in figures["librdkafka"]:
            cells = [f"{c} {figures[c][what][0]:>11,.0f} ({figures[c][what][1]:>11,.0f})" for c in figures]
            print(f"{what:>24}: {'   '.join(cells)}")
    for found in figures.values():
        assert found["rows read and decoded"][1] > found["events read and decoded"][1]
    assert figures["librdkafka"]["events sent"][1] > figures["kafka-python"]["events sent"][1]
