"""Sparse JSON events, 100 of 3,000 features set, from a real broker into counts: rows a second and where time goes."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from time import perf_counter, process_time
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.drift.sparse import SparseCounts, sparse_bins
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings
from homeostat.worker import BATCH_ROWS

pytestmark = pytest.mark.bench

FEATURES, SET, EVENTS, DIFFERENT = 3_000, 100, 60_000, 2_000
WANTED = 57_870  # rows a second: five billion a day

STAGES = ("client", "parser", "columns", "bins")


class Objects(msgspec.Struct):
    """Feature to value, as most producers write it."""

    event_id: str
    features: dict[int, float]


class Lists(msgspec.Struct):
    """The same as two lists."""

    event_id: str
    features: list[int]
    values: list[float]


def events(*, lists: bool) -> list[bytes]:
    """Different events of about 1.3 KB."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(DIFFERENT):
        places = np.sort(rng.choice(FEATURES, SET, replace=False)).tolist()
        values = rng.standard_normal(SET).round(3).tolist()
        event = (
            Lists(f"e{k:07d}", places, values)
            if lists
            else Objects(f"e{k:07d}", dict(zip(places, values, strict=True)))
        )
        made.append(msgspec.json.encode(event))
    return made


def arrays(rows: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The set features of all rows and their values, one after the other."""
    many = len(rows) * SET
    lists = isinstance(rows[0], Lists)
    places = chain.from_iterable(row.features for row in rows)
    values = chain.from_iterable(row.values if lists else row.features.values() for row in rows)
    return np.fromiter(places, np.int64, many), np.fromiter(values, np.float64, many)


def counted(log: KafkaLog, topic: str, kind: type, counts: SparseCounts) -> tuple[float, Counter[str]]:
    """Rows a second of the clock, and the CPU seconds of every stage."""
    decoder, offset, cpu, began = msgspec.json.Decoder(kind), 0, Counter[str](), perf_counter()
    while True:
        marks = [process_time()]
        messages = log.read(topic, offset, BATCH_ROWS)
        marks.append(process_time())
        if not messages:
            return counts.rows / (perf_counter() - began), cpu
        rows = [decoder.decode(message.value) for message in messages]
        marks.append(process_time())
        places, values = arrays(rows)
        marks.append(process_time())
        counts.add(places, values, len(rows))
        marks.append(process_time())
        cpu.update(dict(zip(STAGES, np.diff(marks).tolist(), strict=True)))
        offset = messages[-1].offset + 1


@pytest.mark.parametrize("form", ["objects", "lists"])
def test_sparse_events_are_counted_as_they_come_from_a_broker(form: str, kafka: Kafka, capsys) -> None:
    kind = Lists if form == "lists" else Objects
    sent = events(lists=form == "lists")
    product = f"p{uuid4().hex[:8]}"
    topic = f"{product}.raw_events.v1"
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, client="librdkafka", timeout_s=60), product)
    for _ in range(EVENTS // DIFFERENT):
        log.append([NewMessage(topic, event) for event in sent], datetime.now(UTC))
    reference = arrays([msgspec.json.decode(event, type=kind) for event in sent])
    counts = SparseCounts(sparse_bins(*reference, FEATURES))
    rate, cpu = counted(log, topic, kind, counts)
    log.close()
    total = sum(cpu.values())
    shares = ", ".join(
        f"{stage} {seconds / total:.0%} ({EVENTS / seconds:,.0f} rows/s)" for stage, seconds in cpu.items()
    )
    with capsys.disabled():
        print(
            f"\n{form}, {len(sent[0])} bytes: {rate:,.0f} rows/s by the clock, {EVENTS / total:,.0f} by CPU, "
            f"{EVENTS / total / WANTED:.2f} of {WANTED:,}; {shares}"
        )
    assert counts.rows == EVENTS
    assert counts.counts.sum() == EVENTS * SET
