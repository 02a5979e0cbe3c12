"""The drill: `make drill` runs it and prints what was counted."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import httpx
import numpy as np
import pytest

from deploy.servers import MissingProgramError
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.codec import decode
from homeostat.flow import FLOW, topic_name
from homeostat.records import DeadLetter, FeatureRow, Prediction, Record
from homeostat.settings import KafkaSettings

from .deployment import PROCESSES, SERVING, Deployment
from .drill import CONTRACT, Fleet, Probe, RoughProducer, archived, table, write_history
from .evidence import PRODUCT
from .running import HOMEOSTAT, until
from .traffic import Traffic

KILLS = int(environ.get("HOMEOSTAT_KILLS", "10"))
LONGEST_S = 3.0 if KILLS <= 10 else 8.0  # between two kills
ASIDE = [process for process in PROCESSES if process not in SERVING]
ASIDE_SERVERS, SERVING_SERVERS = ("postgres", "mlflow"), ("redis", "kafka")
SETTLE_S = 240


@dataclass
class Ground:
    """Where a drill takes place."""

    fleet: Fleet
    deployment: Deployment
    log: KafkaLog

    def records(self, topic: str) -> list[Record]:
        name = topic_name(PRODUCT, topic)
        found: list[Record] = []
        offset = 0
        while page := self.log.read(name, offset, 5_000):
            found += [decode(topic, message.value, message.headers) for message in page]
            offset = page[-1].offset + 1
        return found

    def unread(self) -> dict[str, int]:
        """How much each step has still to read; steps that look on the beat of a day read then."""
        rows = [(row.step, topic_name(PRODUCT, t)) for row in FLOW if row.step not in {"detect"} for t in row.consumes]
        left = {f"{step} {name}": self.log.end(name) - self.log.committed(step, name) for step, name in rows}
        return {what: count for what, count in left.items() if count}


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="drill") as name:
        Path(name).chmod(0o755)  # PostgreSQL may run as another user, who can't enter pytest's own folders
        yield Path(name)


@pytest.fixture
def ground(folder: Path) -> Iterator[Ground]:
    fleet = Fleet(folder / "servers")
    try:
        for server in fleet.all.values():
            server.find()
    except MissingProgramError as error:
        if environ.get("HOMEOSTAT_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(error))
    deployment: Deployment | None = None
    try:
        fleet.start()
        home = folder / "home"
        words = [HOMEOSTAT, "backfill", write_history(folder / "history.csv"), "--contract", CONTRACT, "--home", home]
        done = subprocess.run(
            [*map(str, words)], capture_output=True, text=True, env={**environ, **fleet.environment()}, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        deployment = Deployment(home, CONTRACT, fleet.environment())
        deployment.wait_until_ready()
        yield Ground(fleet, deployment, KafkaLog(KafkaSettings(brokers=fleet.kafka.brokers), PRODUCT))
    finally:
        if deployment is not None:
            deployment.stop()
        fleet.stop()


@pytest.mark.drill
@pytest.mark.timeout(900 + 30 * KILLS)
def test_kills_of_processes_and_servers_under_rough_traffic_lose_nothing(ground: Ground) -> None:
    deployment = ground.deployment
    traffic, rough = Traffic(deployment.url), RoughProducer(ground.log)
    first = Traffic(deployment.url)
    first.send(httpx.Client(timeout=20), 0)  # the probe's entity has features
    probe = Probe(deployment.url)
    rng = np.random.default_rng(3)
    counted: dict[str, object] = {}
    threads = (traffic, rough, probe)
    for thread in threads:
        thread.start()
    try:
        kill(
            ground, rng.permutation(ASIDE * (1 + KILLS // (2 * len(ASIDE)))).tolist()[: KILLS // 2], ASIDE_SERVERS, rng
        )
        counted["answered while other parts fail"] = f"{probe.share:.4%} of {probe.answered + probe.failed:,}"
        aside = probe.share
        kill(ground, rng.permutation([*PROCESSES] * KILLS).tolist()[: KILLS - KILLS // 2], SERVING_SERVERS, rng)
        before = len(traffic.acknowledged.labels)
        until(lambda: len(traffic.acknowledged.labels) > before + 8, SETTLE_S, why=deployment.logs)
        deployment.wait_until_ready()
    finally:
        for thread in threads:
            thread.stop()
    until(lambda: not ground.unread(), SETTLE_S, why=lambda: (ground.unread(), deployment.logs()))
    counted |= {f"kills of {name}": deaths for name, deaths in deployment.deaths.items()}
    counted["restarts of servers"] = len(ASIDE_SERVERS) + len(SERVING_SERVERS)
    counted |= check(ground, traffic, rough, first)
    print("\n" + table(counted))  # noqa: T201 - what a drill is for
    assert aside >= 0.999


def kill(ground: Ground, victims: list[str], servers: tuple[str, ...], rng: np.random.Generator) -> None:
    """Kill processes at random moments, and restart the servers in between."""
    turns = {(i + 1) * len(victims) // (len(servers) + 1): name for i, name in enumerate(servers)}
    for turn, victim in enumerate(victims):
        if turn in turns:
            ground.fleet.restart(turns[turn])
        sleep(rng.uniform(0.2, LONGEST_S))
        ground.deployment.kill(victim)
    ground.deployment.wait_until_ready()


def check(ground: Ground, traffic: Traffic, rough: RoughProducer, first: Traffic) -> dict[str, object]:
    """Hold the stores against what was sent, and return what was counted."""
    acknowledged, sent = traffic.acknowledged, rough.sent
    events = acknowledged.events | first.acknowledged.events | sent.good
    tried = traffic.tried.events | events
    rows = {r.event_id: r.entity_id for r in ground.records("features") if isinstance(r, FeatureRow)}
    lost = {event_id for event_id in events if rows.get(event_id) != events[event_id]}
    assert not lost
    strange = {event_id for event_id in rows if event_id not in tried and not event_id.startswith(("h", "row"))}
    predictions: dict[str, set[str]] = {}
    for record in ground.records("predictions"):
        assert isinstance(record, Prediction)
        predictions.setdefault(record.event_id, set()).add(record.prediction_id)
    assert set(events) <= set(predictions)
    assert all(len(ids) == 1 for ids in predictions.values())
    assert all(predictions[event_id] == {made} for event_id, made in acknowledged.predictions.items())
    letters = {r.value for r in ground.records("ingest_dead_letters") if isinstance(r, DeadLetter)}
    assert letters == sent.bad
    labels = acknowledged.labels | first.acknowledged.labels | sent.labels
    until(lambda: set(labels) <= set(archived_ids(ground)), SETTLE_S, why=ground.deployment.logs)
    kept = archived_ids(ground)
    assert len(kept) == len(set(kept))
    url = ground.deployment.url
    case = httpx.get(f"{url}/v1/{PRODUCT}/status").json()["case"]["state"]
    sql = ground.fleet.environment()["HOMEOSTAT_SQL__URL"]
    entries = SqlLedger(sql, PRODUCT).verify()
    return {
        "events acknowledged": len(events),
        "events lost": len(lost),
        "rows nobody sent": len(strange),
        "predictions acknowledged": len(acknowledged.predictions),
        "labels acknowledged": len(labels),
        "labelled rows in the offline store": len(kept),
        "of them twice": len(kept) - len(set(kept)),
        "bad records sent, all in the dead letters": len(letters),
        "too large, refused at once": sent.refused,
        "sent twice": sent.doubled,
        "an hour late": sent.late,
        "case": f"{case}, revision {SqlCases(sql, PRODUCT).load().revision}",
        "ledger entries, chain whole": entries,
    }


def archived_ids(ground: Ground) -> list[str]:
    return archived(ground.deployment.home / "products" / PRODUCT)["event_id"].to_list()
