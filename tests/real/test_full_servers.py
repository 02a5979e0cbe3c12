"""A disk that is full under a server: what was acknowledged stays, what is asked meanwhile is told to come back."""

from collections.abc import Callable
from datetime import UTC, datetime
from os import urandom
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.servers import Kafka, Postgres, Redis, Server
from homeostat.adapters.feast_features import FeastOnlineFeatures
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.sql import SqlLedger
from homeostat.bootstrap.stack import feast_address
from homeostat.contract.load import load_contract
from homeostat.errors import TransientError
from homeostat.ports import NewMessage
from homeostat.records import FeatureRow
from homeostat.settings import KafkaSettings

from .disks import fill
from .running import until

CONTRACT = load_contract(Path(__file__).parents[1] / "loop" / "turbines.yaml")
NOW = datetime(2030, 1, 7, tzinfo=UTC)
CLIENTS = ("kafka-python", "librdkafka")
SOON_S = 120.0
Start = Callable[[Server], Any]

pytestmark = pytest.mark.timeout(900)


def refused(act: Callable[[], object], times: int) -> TransientError:
    """Do something until it is refused, at most so many times: servers have some room of their own in hand."""
    for _ in range(times):
        try:
            act()
        except TransientError as error:
            return error
    raise AssertionError(f"all {times} went through")


def goes_on(server: Server, act: Callable[[], object]) -> bool:
    """Return whether something goes through again; a server that has ended is started, as compose does."""
    if not server.is_running():
        server.start()
    try:
        act()
    except TransientError:
        return False
    return True


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broker_without_room_takes_nothing_in_and_has_all_it_took_when_there_is_some(
    make_disk: Callable[[int], Path], native_server: Start, client: str
) -> None:
    disk = make_disk(96)
    broker: Kafka = native_server(Kafka(disk / "kafka"))
    log = KafkaLog(KafkaSettings(brokers=broker.brokers, client=client, timeout_s=8), "p")  # type: ignore[arg-type]
    kept: list[bytes] = []

    def send() -> None:
        value = b"%d" % len(kept) + bytes(100_000)
        log.append([NewMessage("p.a.v1", value)], datetime.now(UTC))
        kept.append(value)

    for _ in range(5):
        send()
    ballast = fill(disk)
    assert f"Kafka at {broker.brokers} " in str(refused(send, 50))
    ballast.unlink()
    until(lambda: goes_on(broker, send), SOON_S, why=broker.last_lines)
    read = [message.value for message in log.read("p.a.v1", 0, 1_000)]
    assert list(dict.fromkeys(read)) == kept  # a try that was given up may have come in: by id it counts once
    log.close()


def test_redis_without_room_refuses_rows_says_why_and_takes_them_by_itself_when_there_is_some(
    make_disk: Callable[[int], Path], native_server: Start, tmp_path: Path
) -> None:
    disk = make_disk(24)
    server: Redis = native_server(Redis(disk / "redis"))
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendfsync", "everysec")  # as in compose; with `always` it ends, and is started again
        store = {"type": "redis", "connection_string": feast_address(server.url)}
        online = FeastOnlineFeatures(CONTRACT, tmp_path, store)
        values = (1.0,) * len(CONTRACT.feature_names)

        kept: list[str] = []

        def write() -> None:
            ids = [str(len(kept) + i) for i in range(500)]
            online.write([FeatureRow(name, name, NOW, values) for name in ids])
            kept.extend(ids)

        write()
        ballast = fill(disk)
        assert "No space left on device" in str(refused(write, 1_000))
        assert server.is_running()
        assert None not in online.read(kept)  # it serves what it has
        ballast.unlink()
        until(lambda: goes_on(server, write), SOON_S, why=server.last_lines)
        assert None not in online.read(kept)


def test_postgres_without_room_asks_for_patience_and_the_ledger_is_whole_when_there_is_some(
    make_disk: Callable[[int], Path], native_server: Start
) -> None:
    disk = make_disk(256)
    server: Postgres = native_server(Postgres(disk / "postgres"))
    ledger = SqlLedger(server.url(), "turbines")
    kept: list[str] = []

    def note() -> None:
        entry_id = f"entry {len(kept)}"
        ledger.append(entry_id, NOW, "noted", {"what": urandom(20_000).hex()})
        kept.append(entry_id)

    for _ in range(3):
        note()
    ballast = fill(disk)
    assert "No space left on device" in str(refused(note, 2_000))
    ballast.unlink()
    until(lambda: goes_on(server, note), SOON_S, why=server.last_lines)
    assert ledger.verify() == len(kept)
    assert [entry.entry_id for entry in ledger.entries()] == kept
