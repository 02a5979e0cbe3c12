"""What KafkaLog does while a broker is killed, restarts or hangs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Thread
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from kafka.errors import UnknownBrokerIdError

from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.kafka_log.python_client import explained
from homeostat.errors import TransientError
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings

DEADLINE_S = 120.0
CLIENTS = ("kafka-python", "librdkafka")
TOPIC = "p.a.v1"


@pytest.fixture
def broker(own_server: Callable[[str], Any]) -> Kafka:
    started: Kafka = own_server("kafka")
    return started


@pytest.fixture(params=CLIENTS)
def log(request: pytest.FixtureRequest, broker: Kafka) -> Iterator[KafkaLog]:
    opened = KafkaLog(KafkaSettings(brokers=broker.brokers, client=request.param, timeout_s=20), "p")
    yield opened
    opened.close()


class Traffic(Thread):
    """Appends one call after another, each until it is acknowledged, as a worker does."""

    def __init__(self, log: KafkaLog) -> None:
        super().__init__(daemon=True)
        self.calls = 0
        self.repeated = 0
        self.ending = False
        self._log = log

    def run(self) -> None:
        while not self.ending:
            call = [NewMessage(TOPIC, b"%d %d" % (self.calls, i)) for i in range(3)]
            while True:
                try:
                    self._log.append(call, datetime.now(UTC))
                    break
                except TransientError:
                    self.repeated += 1
            self.calls += 1

    def wait_for(self, calls: int) -> None:
        deadline = monotonic() + DEADLINE_S
        while self.calls < calls:
            assert monotonic() < deadline, f"{self.calls} calls"
            sleep(0.01)


def read_from(log: KafkaLog, offset: int) -> list[bytes]:
    """Read to the end, as patiently as a worker."""
    values: list[bytes] = []
    deadline = monotonic() + DEADLINE_S
    while True:
        try:
            messages = log.read(TOPIC, offset, 100)
        except TransientError:
            if monotonic() > deadline:
                raise
            continue
        if not messages:
            return values
        assert [m.offset for m in messages] == list(range(offset, offset + len(messages)))
        values += [message.value for message in messages]
        offset += len(messages)


@pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill], ids=["stopped", "killed"])
def test_a_broker_that_restarts_loses_and_repeats_nothing_that_was_acknowledged(
    log: KafkaLog, broker: Kafka, end: Callable[[Kafka], None]
) -> None:
    traffic = Traffic(log)
    traffic.start()
    traffic.wait_for(20)
    before = log.read(TOPIC, 0, 10)
    log.commit("readers", {TOPIC: 10})
    end(broker)
    broker.start()
    traffic.wait_for(traffic.calls + 20)
    traffic.ending = True
    traffic.join(DEADLINE_S)
    values = [message.value for message in before] + read_from(log, 10)
    assert list(dict.fromkeys(values)) == [b"%d %d" % (call, i) for call in range(traffic.calls) for i in range(3)]
    assert len(values) <= 3 * (traffic.calls + traffic.repeated)
    assert log.committed("readers", TOPIC) == 10
    if not traffic.repeated:  # the client rode it out by itself: each message is there once
        assert len(values) == 3 * traffic.calls


def test_a_message_that_is_sent_again_after_a_hung_connection_is_stored_once(log: KafkaLog, broker: Kafka) -> None:
    listening = [c.pid for c in psutil.net_connections("tcp") if c.laddr.port == broker.port and c.status == "LISTEN"]
    if not listening or listening[0] is None:
        pytest.skip("the broker's process is in a container: it can't be made to hang")
    hung = psutil.Process(listening[0])
    log.append([NewMessage(TOPIC, b"first")], datetime.now(UTC))
    traffic = Traffic(log)
    hung.suspend()
    try:
        traffic.start()
        sleep(12)  # a request times out after 10 s: it waits in the socket, and is sent once more
    finally:
        hung.resume()
    traffic.wait_for(5)
    traffic.ending = True
    traffic.join(DEADLINE_S)
    values = read_from(log, 1)
    assert list(dict.fromkeys(values)) == [b"%d %d" % (call, i) for call in range(traffic.calls) for i in range(3)]
    if not traffic.repeated:
        assert len(values) == 3 * traffic.calls


def test_a_log_that_was_opened_while_no_broker_ran_works_when_one_comes(log: KafkaLog, broker: Kafka) -> None:
    broker.stop()
    with pytest.raises(TransientError, match=broker.brokers):
        log.append([NewMessage(TOPIC, b"early")], datetime.now(UTC))
    broker.start()
    deadline = monotonic() + DEADLINE_S
    while log_is_down(log):
        assert monotonic() < deadline
    assert [m.value for m in log.read(TOPIC, 0, 5)] == [b"now"]


def log_is_down(log: KafkaLog) -> bool:
    try:
        log.append([NewMessage(TOPIC, b"now")], datetime.now(UTC))
    except TransientError:
        return True
    return False


def test_a_partition_without_a_leader_asks_for_patience() -> None:
    with pytest.raises(TransientError), explained(KafkaSettings(brokers="127.0.0.1:9")):
        raise UnknownBrokerIdError(-1)
