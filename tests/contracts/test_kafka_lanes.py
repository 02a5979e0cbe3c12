"""Processes that share the lanes of a product: each lane has one owner, and nothing is lost when one dies."""

import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import pytest
from confluent_kafka import Producer

import homeostat
from deploy.servers import Kafka
from homeostat.adapters.kafka_log import KafkaLanes, KafkaLog, lane_of
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings

LANES = 4
DEADLINE_S = 150.0
ROOT = Path(homeostat.__file__).parents[1]
MEMBER = """
import sys
from datetime import UTC, datetime
from itertools import pairwise
from time import monotonic
from homeostat.adapters.kafka_log import KafkaLanes, KafkaLog
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings

settings = KafkaSettings(brokers={brokers!r}, client={client!r}, lanes={lanes}, timeout_s=60)
log, positions = KafkaLog(settings, {product!r}), {{}}

def say(word, lane):
    print(word, lane, monotonic(), flush=True)

def gain(lane):
    positions[lane] = log.lane(lane).committed("step", {source!r})
    say("gained", lane)

def lose(lane):
    del positions[lane]
    say("lost", lane)

lanes = KafkaLanes(settings, {source!r}, {product!r} + ".step", on_gained=gain, on_lost=lose)
while sys.argv[1:] != ["briefly"] or not positions:
    lanes.follow(0.05)
    for lane in positions:
        own = log.lane(lane)
        if messages := own.read({source!r}, positions[lane], 10):
            own.append([NewMessage({sink!r}, message.value) for message in messages], datetime.now(UTC))
            positions[lane] += len(messages)
            own.commit("step", {{{source!r}: positions[lane]}})
lanes.close()
"""


@pytest.fixture
def product() -> str:
    return f"p{uuid4().hex[:12]}"


class Member:
    """A process with its lanes, and what it said of them."""

    def __init__(self, script: str, folder: Path, *words: str) -> None:
        self.said = folder / f"{uuid4().hex}.txt"
        self.complained = self.said.with_suffix(".err")
        with self.said.open("wb") as out, self.complained.open("wb") as err:
            self.process = subprocess.Popen([sys.executable, "-c", script, *words], cwd=ROOT, stdout=out, stderr=err)

    def events(self) -> list[tuple[str, int, float]]:
        whole = [line.split() for line in self.said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [(word, int(lane), float(time)) for word, lane, time in whole]

    def story(self) -> tuple[int | None, list[tuple[str, int, float]], str]:
        """What can be said when it did not do as it should."""
        return self.process.poll(), self.events(), self.complained.read_text()

    def owns(self) -> set[int]:
        owned: set[int] = set()
        for word, lane, _ in self.events():
            (owned.add if word == "gained" else owned.discard)(lane)
        return owned


def wait_until_shared(log: KafkaLog, source: str, members: list[Member]) -> None:
    """Keep events coming until the members together have every lane, each of them some."""
    deadline = monotonic() + DEADLINE_S
    while not all(m.owns() for m in members) or set().union(*(m.owns() for m in members)) != set(range(LANES)):
        assert monotonic() < deadline, [m.story() for m in members]
        for lane in range(LANES):
            own = log.lane(lane)
            own.append([NewMessage(source, b"%d %d" % (lane, own.end(source)))], datetime.now(UTC))
        sleep(0.05)


def assert_one_owner_each(members: list[Member], killed: Member, killed_at: float) -> None:
    turns: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for member in members:
        begun: dict[int, float] = {}
        for word, lane, time in member.events():
            if word == "gained":
                begun[lane] = time
            else:
                turns[lane].append((begun.pop(lane), time))
        for lane, time in begun.items():
            turns[lane].append((time, killed_at if member is killed else float("inf")))
    for lane, spans in turns.items():
        ordered = sorted(spans)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered)), (lane, ordered)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])  # which reads and writes; the group is one for both
def test_each_lane_has_one_owner_while_processes_come_leave_and_die_and_nothing_is_lost(
    kafka: Kafka, product: str, tmp_path: Path, client: str
) -> None:
    source, sink = f"{product}.raw_events.v1", f"{product}.copies.v1"
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, lanes=LANES, timeout_s=60), product)
    log.lane(0).append([NewMessage(source, b"0 0")], datetime.now(UTC))
    script = MEMBER.format(brokers=kafka.brokers, client=client, lanes=LANES, product=product, source=source, sink=sink)
    stays, dies = members = [Member(script, tmp_path), Member(script, tmp_path)]
    try:
        wait_until_shared(log, source, members)
        dies.process.kill()
        killed_at = monotonic()
        wait_until_shared(log, source, [stays])
        visitor = Member(script, tmp_path, "briefly")
        members.append(visitor)
        assert visitor.process.wait(DEADLINE_S) == 0
        wait_until_shared(log, source, [stays])
        wait_until_copied(log, source, sink)
    finally:
        for member in members:
            member.process.kill()
            member.process.wait()
    assert_one_owner_each(members, dies, killed_at)


def wait_until_copied(log: KafkaLog, source: str, sink: str) -> None:
    deadline = monotonic() + DEADLINE_S
    by_lane = [[message.value for message in log.lane(i).read(source, 0, 10_000)] for i in range(LANES)]
    sent = {value for values in by_lane for value in values}
    while set(copies := [message.value for message in log.read(sink, 0, 100_000)]) != sent:
        assert monotonic() < deadline, (len(sent), len(set(copies)))
        sleep(0.1)
    for values in by_lane:
        assert [value for value in dict.fromkeys(copies) if value in values] == values


def test_a_join_that_outlasts_a_call_is_finished_by_the_next_ones(kafka: Kafka, product: str) -> None:
    topic = f"{product}.raw_events.v1"
    cluster = KafkaSettings(brokers=kafka.brokers, lanes=LANES, timeout_s=60)
    gained: list[int] = []
    lanes = KafkaLanes(cluster, topic, f"{product}.step", on_gained=gained.append, on_lost=gained.remove)
    for _ in range(20):
        lanes.follow(0.05)  # a member of a group that has nothing to hand out
    log = KafkaLog(cluster, product)
    log.lane(0).append([NewMessage(topic, b"0")], datetime.now(UTC))
    deadline = monotonic() + DEADLINE_S
    while len(gained) < LANES:
        assert monotonic() < deadline, gained
        lanes.follow(0.001)
    lanes.close()
    log.close()


@pytest.mark.parametrize("options", [{}, {"partitioner": "murmur2_random"}], ids=["librdkafka's own", "as Java's"])
def test_a_key_goes_to_the_lane_where_other_producers_send_it(
    kafka: Kafka, product: str, options: dict[str, str]
) -> None:
    topic = f"{product}.raw_events.v1"
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, lanes=LANES, timeout_s=60), product)
    log.lane(0).append([NewMessage(topic, b"first")], datetime.now(UTC))
    producer = Producer({"bootstrap.servers": kafka.brokers, **options})
    keys = [f"N{i}é" for i in range(40)]
    for key in keys:
        producer.produce(topic, key, key=key)
    producer.flush(60)
    found = {m.value.decode(): lane for lane in range(LANES) for m in log.lane(lane).read(topic, 0, 99)}
    agree = [found[key] == lane_of(key, LANES) for key in keys]
    assert all(agree) is bool(options)  # its default is another hash: the wire format says so
    log.close()
