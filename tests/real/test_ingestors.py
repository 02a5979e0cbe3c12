"""Several ingestors on the lanes of one product: they come, die and go while events are sent, and each counts once."""

import json
import signal
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Producer

from deploy.servers import Kafka, Redis
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.codec import decode_all
from homeostat.flow import EXTERNAL, topic_name
from homeostat.records import FeatureRow, Label
from homeostat.settings import KafkaSettings

from .deployment import Deployment
from .ingestors import ingestor
from .running import around, until

LANES, LINES, PAGE = 4, 40, 5_000
CONTRACT = """
product: {product}
event: {{entity: line, fields: {{line: string, seconds: {{type: number}}}}}}
label: {{field: fault, delay: 10m, maturity: 1h}}
features:
  seconds: {{field: seconds}}
  calls_1h: {{aggregate: count, by: [line], over: 1h}}
"""


class Stream:
    """Events and labels as a producer outside sends them, keyed by the entity."""

    def __init__(self, brokers: str, product: str) -> None:
        self.events: dict[str, list[str]] = defaultdict(list)  # ids by line, in the order sent
        self._topics = [topic_name(product, topic) for topic in EXTERNAL]
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})

    @property
    def ids(self) -> set[str]:
        return {event_id for ids in self.events.values() for event_id in ids}

    def send(self, a_line: int = 1) -> None:
        """Send so many events of each line, and a label of each."""
        for _ in range(a_line):
            for line in (f"line{i}" for i in range(LINES)):
                at, event_id = datetime.now(UTC).isoformat(), f"{line}-{len(self.events[line])}"
                event = {"event_id": event_id, "event_time": at, "line": line, "seconds": 1.5}
                label = {"event_id": event_id, "label_time": at, "fault": 1}
                self.events[line].append(event_id)
                for topic, record in zip(self._topics, (event, label), strict=True):
                    self._producer.produce(topic, json.dumps(record), key=line)
        assert self._producer.flush(60) == 0


@pytest.fixture
def product() -> str:
    return f"p{uuid4().hex[:12]}"


def servers(kafka: Kafka, redis: Redis, client: str) -> dict[str, str]:
    """The environment that names the servers, and how many lanes there are."""
    return {
        "HOMEOSTAT_KAFKA__BROKERS": kafka.brokers,
        "HOMEOSTAT_KAFKA__CLIENT": client,
        "HOMEOSTAT_KAFKA__LANES": str(LANES),
        "HOMEOSTAT_REDIS__URL": redis.url,
    }


def written(folder: Path, product: str) -> Path:
    path = folder / "contract.yaml"
    path.write_text(CONTRACT.format(product=product))
    return path


def found(log: KafkaLog, product: str, topic: str) -> list[FeatureRow | Label]:
    """Everything in a topic that ingestion writes, repeats too."""
    name, kept, offset = topic_name(product, topic), [], 0
    while messages := log.read(name, offset, PAGE):
        kept += [r for m in messages for r in decode_all(topic, m.value, m.headers)]
        offset = messages[-1].offset + 1
    return [record for record in kept if isinstance(record, FeatureRow | Label)]


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_ingestors_share_lanes_and_each_event_counts_once_though_one_dies_and_one_leaves(
    kafka: Kafka, redis_server: Redis, product: str, tmp_path: Path, client: str
) -> None:
    environment = {
        **around(),
        **servers(kafka, redis_server, client),
        "HOMEOSTAT_CONTRACT": str(written(tmp_path, product)),
    }
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, lanes=LANES, timeout_s=60), product)
    log.create_topics()
    stream = Stream(kafka.brokers, product)
    with ExitStack() as running:
        stays, dies = (running.enter_context(ingestor(tmp_path / name, environment)) for name in ("one", "two"))

        def flows() -> bool:
            stream.send()
            return bool(stays.handled and dies.handled)

        until(flows, why=lambda: (stays.said.read_text(), dies.said.read_text()))
        stream.send(50)
        dies.process.send_signal(signal.SIGKILL)
        stream.send(50)
        leaves = running.enter_context(ingestor(tmp_path / "three", environment))

        def is_joined() -> bool:
            stream.send()
            return bool(leaves.handled)

        until(is_joined, why=leaves.said.read_text)
        leaves.process.send_signal(signal.SIGTERM)
        assert leaves.process.wait(60) == 0, leaves.said.read_text()
        stream.send(50)
        name = topic_name(product, "raw_events")
        until(lambda: log.committed("ingest", name) == len(stream.ids) == log.end(name), why=stays.said.read_text)
    rows = [row for row in found(log, product, "features") if isinstance(row, FeatureRow)]
    once = {row.event_id: row for row in rows}
    assert all(once[row.event_id] == row for row in rows)  # what came twice is the same
    for line, ids in stream.events.items():
        order = list(dict.fromkeys(row.event_id for row in rows if row.entity_id == line))
        assert order == ids
        assert [once[event_id].values for event_id in ids] == [(1.5, float(i)) for i in range(len(ids))]
    assert {label.event_id for label in found(log, product, "labels")} == stream.ids
    assert log.end(topic_name(product, "ingest_dead_letters")) == 0
    log.close()


def test_what_comes_over_http_goes_by_the_lane_of_its_entity(
    kafka: Kafka, redis_server: Redis, product: str, tmp_path: Path
) -> None:
    environment = servers(kafka, redis_server, "kafka-python")
    deployed = Deployment(tmp_path / "home", written(tmp_path, product), environment, ("ingestor", "predictor"))
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, lanes=LANES, timeout_s=60), product)
    try:
        deployed.wait_until_ready()
        at = datetime.now(UTC).isoformat()
        sent = [{"event_id": f"e{i}", "event_time": at, "line": f"line{i}", "seconds": i} for i in range(20)]
        url = f"{deployed.url}/v1/{product}"
        assert httpx.post(f"{url}/events", json={"events": sent}, timeout=60).is_success
        assert httpx.post(f"{url}/predict", json={"rows": [{"event": sent[3]}]}, timeout=60).is_success
        until(lambda: len({row.event_id for row in found(log, product, "features")}) == 20, why=deployed.logs)
        assert all(log.lane(lane).end(topic_name(product, "raw_events")) for lane in range(LANES))
        assert log.end(topic_name(product, "ingest_dead_letters")) == 0
    finally:
        deployed.stop()
        log.close()
