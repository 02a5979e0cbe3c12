"""What a second ingestor brings: JSON, one event a message, from lanes of the raw topic to the topic of features."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, sleep
from uuid import uuid4

import psutil
import pytest

from deploy.servers import Kafka, Redis
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings
from homeostat.tabular import json_rows
from tests.real.ingestors import ingestor
from tests.real.running import around, until

from .test_ingest_speed import CONTRACT, MESSAGE_ROWS, table

pytestmark = pytest.mark.bench

LANES, EVENTS = 4, 400_000
AHEAD = timedelta(seconds=50)  # messages wait for their time: so all are there when the work begins


@pytest.mark.timeout(900)
@pytest.mark.parametrize("processes", [1, 2])
def test_ingestors_side_by_side(
    kafka: Kafka, redis_server: Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: int
) -> None:
    product = f"calls{uuid4().hex[:8]}"
    raw = topic_name(product, "raw_events")
    contract = tmp_path / "contract.yaml"
    contract.write_text(CONTRACT.format(product=product).replace("by: [cell]", "by: [line]"))
    environment = {
        **around(),
        "HOMEOSTAT_CONTRACT": str(contract),
        "HOMEOSTAT_KAFKA__BROKERS": kafka.brokers,
        "HOMEOSTAT_KAFKA__CLIENT": "librdkafka",
        "HOMEOSTAT_KAFKA__LANES": str(LANES),
        "HOMEOSTAT_REDIS__URL": redis_server.url,
        **dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1"),
    }
    cluster = KafkaSettings(brokers=kafka.brokers, client="librdkafka", lanes=LANES, timeout_s=60)
    log = KafkaLog(cluster, product, entity="line")
    log.create_topics()
    log.lane(0).commit("ingest", {raw: 0})
    with ExitStack() as running:
        works = [running.enter_context(ingestor(tmp_path / str(i), environment)) for i in range(processes)]
        until(lambda: [one.lanes for one in works] == [LANES // processes] * processes)
        begin = datetime.now(UTC) + AHEAD
        for start in range(0, EVENTS, MESSAGE_ROWS):
            log.append([NewMessage(raw, value) for value in json_rows(table(start, MESSAGE_ROWS))], begin)
        left_s = (begin - datetime.now(UTC)).total_seconds()
        assert left_s > 0
        sleep(left_s)
        watched = [psutil.Process(one.process.pid) for one in works]
        before = [sum(one.cpu_times()[:2]) for one in watched]
        started = perf_counter()
        while log.committed("ingest", raw) < EVENTS:
            assert perf_counter() - started < 600, works[0].said.read_text()
            sleep(0.1)
        seconds = perf_counter() - started
        cpu_s = [sum(one.cpu_times()[:2]) - was for one, was in zip(watched, before, strict=True)]
        shares = [one.handled for one in works]
    with capsys.disabled():
        print(
            f"\n{processes} on {LANES} lanes: {EVENTS / seconds:,.0f} rows/s, {EVENTS / sum(cpu_s):,.0f} a CPU second; "
            f"CPU s {', '.join(f'{spent:.1f}' for spent in cpu_s)} of {seconds:.1f} s; events {shares}"
        )
    assert sum(shares) == EVENTS - EVENTS // 5_000
