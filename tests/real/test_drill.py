"""The drill: `make drill` runs it and prints what was counted; a short one is among all other tests."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import httpx
import numpy as np
import pytest

from deploy.servers import MissingProgramError, Server
from deploy.servers.fleet import Fleet
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.records import DeadLetter, FeatureRow
from homeostat.settings import KafkaSettings

from .deployment import PROCESSES, SERVING, Deployment
from .drill import Probe, RoughProducer, archived, maturing, table, write_history
from .evidence import PRODUCT, Evidence
from .running import HOMEOSTAT, until
from .traffic import Traffic

KILLS = int(environ.get("HOMEOSTAT_KILLS", "10"))
ASIDE = [process for process in PROCESSES if process not in SERVING]
SETTLE_S = 240
NOBODY = "http://127.0.0.1:9/"  # the webhook of an Alertmanager that is not started


@dataclass(frozen=True)
class Size:
    """How much is broken, and how patiently."""

    kills: int
    longest_s: float  # between two of them
    maturity_s: int  # of a label; longer than any process or server is away, for labels wait with their producer
    aside_servers: tuple[str, ...] = ("postgres", "mlflow")
    serving_servers: tuple[str, ...] = ("redis", "kafka")


SHORT = Size(4, 1.0, 60, ("postgres",), ("redis",))
WHOLE = Size(KILLS, 3.0 if KILLS <= 10 else 8.0, 180)


@dataclass
class Ground:
    """Where a drill takes place."""

    size: Size
    contract: Path
    servers: Mapping[str, Server]
    environment: Mapping[str, str]
    deployment: Deployment
    evidence: Evidence


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="drill") as name:
        Path(name).chmod(0o755)  # PostgreSQL may run as another user, who can't enter pytest's own folders
        yield Path(name)


@pytest.fixture
def ground(folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    size: Size = request.param
    contract = maturing(folder / "contract.yaml", size.maturity_s)
    fleet = Fleet.below(folder / "servers", {}, NOBODY)
    servers = {server.name: server for server in (fleet.kafka, fleet.redis, fleet.postgres, fleet.mlflow)}
    try:
        for server in servers.values():
            server.find()
    except MissingProgramError as error:
        if environ.get("HOMEOSTAT_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(error))
    deployment: Deployment | None = None
    try:
        for server in servers.values():
            server.start()
        environment = fleet.environment()
        home = folder / "home"
        words = [HOMEOSTAT, "backfill", write_history(folder / "history.csv"), "--contract", contract, "--home", home]
        done = subprocess.run(
            [*map(str, words)], capture_output=True, text=True, env={**environ, **environment}, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        deployment = Deployment(home, contract, environment)
        deployment.wait_until_ready()
        log = KafkaLog(KafkaSettings(brokers=fleet.kafka.brokers), PRODUCT)
        yield Ground(size, contract, servers, environment, deployment, Evidence(home, log=log))
    finally:
        if deployment is not None:
            deployment.stop()
        for server in reversed(servers.values()):
            server.stop()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("ground", [SHORT], indirect=True)
def test_a_few_kills_of_processes_and_servers_lose_nothing(ground: Ground) -> None:
    drill(ground)


@pytest.mark.drill
@pytest.mark.timeout(900 + 30 * KILLS)
@pytest.mark.parametrize("ground", [WHOLE], indirect=True)
def test_kills_of_processes_and_servers_under_rough_traffic_lose_nothing(ground: Ground) -> None:
    counted, aside = drill(ground)
    print("\n" + table(counted))  # noqa: T201 - what a drill is for
    assert aside >= 0.999


def drill(ground: Ground) -> tuple[dict[str, object], float]:
    """Break things under rough traffic; return what was counted, and the share answered while only others failed."""
    deployment, size = ground.deployment, ground.size
    traffic = Traffic(deployment.url)
    rough = RoughProducer(ground.evidence.log, late=timedelta(seconds=size.maturity_s / 3))
    first = Traffic(deployment.url)
    first.send(httpx.Client(timeout=20), 0)  # the probe's entity has features
    probe = Probe(deployment.url)
    rng = np.random.default_rng(3)
    counted: dict[str, object] = {}
    threads = (traffic, rough, probe)
    half = size.kills // 2
    for thread in threads:
        thread.start()
    try:
        kill(ground, rng.permutation(ASIDE * (1 + half // len(ASIDE))).tolist()[:half], size.aside_servers, rng)
        counted["answered while other parts fail"] = f"{probe.share:.4%} of {probe.answered + probe.failed:,}"
        aside = probe.share
        victims = rng.permutation([*PROCESSES] * size.kills).tolist()[: size.kills - half]
        kill(ground, victims, size.serving_servers, rng)
        before = len(traffic.acknowledged.labels)
        until(lambda: len(traffic.acknowledged.labels) > before + 8, SETTLE_S, why=deployment.logs)
        deployment.wait_until_ready()
    finally:
        for thread in threads:
            thread.stop()
    unread = partial(ground.evidence.unread, "detect")  # it reads when it looks, once a day
    until(lambda: not unread(), SETTLE_S, why=lambda: (unread(), deployment.logs()))
    counted |= {f"kills of {name}": deaths for name, deaths in deployment.deaths.items()}
    counted["restarts of servers"] = len(size.aside_servers) + len(size.serving_servers)
    return counted | check(ground, traffic, rough, first), aside


def kill(ground: Ground, victims: list[str], servers: tuple[str, ...], rng: np.random.Generator) -> None:
    """Kill processes at random moments, and restart the servers in between."""
    turns = {(i + 1) * len(victims) // (len(servers) + 1): name for i, name in enumerate(servers)}
    for turn, victim in enumerate(victims):
        if turn in turns:
            ground.servers[turns[turn]].kill()
            ground.servers[turns[turn]].start()
        sleep(rng.uniform(0.2, ground.size.longest_s))
        ground.deployment.kill(victim)
    ground.deployment.wait_until_ready()


def check(ground: Ground, traffic: Traffic, rough: RoughProducer, first: Traffic) -> dict[str, object]:
    """Hold the stores against what was sent, and return what was counted."""
    acknowledged, sent = traffic.acknowledged, rough.sent
    events = acknowledged.events | first.acknowledged.events | sent.good
    rows = {r.event_id: r.entity_id for r in ground.evidence.records("features") if isinstance(r, FeatureRow)}
    assert events.items() <= rows.items()
    ground.evidence.check_predictions(events, acknowledged.predictions)
    letters = {r.value for r in ground.evidence.records("ingest_dead_letters") if isinstance(r, DeadLetter)}
    assert letters == sent.bad
    labels = acknowledged.labels | first.acknowledged.labels | sent.labels
    until(
        lambda: set(labels) <= set(archived_ids(ground)),
        ground.size.maturity_s + SETTLE_S,
        why=lambda: (sorted(set(labels) - set(archived_ids(ground))), ground.deployment.logs()),
    )
    kept = archived_ids(ground)
    assert len(kept) == len(set(kept))
    status = f"{ground.deployment.url}/v1/{PRODUCT}/status"
    until(lambda: httpx.get(status, timeout=20).is_success, SETTLE_S, why=lambda: httpx.get(status, timeout=20).text)
    sql = ground.environment["HOMEOSTAT_SQL__URL"]
    case = SqlCases(sql, PRODUCT).load()
    entries = SqlLedger(sql, PRODUCT).verify()
    return {
        "events acknowledged": len(events),
        "events lost": len(events.keys() - rows.keys()),
        "predictions acknowledged": len(acknowledged.predictions),
        "labels acknowledged": len(labels),
        "labelled rows in the offline store": len(kept),
        "of them twice": len(kept) - len(set(kept)),
        "bad records sent, all in the dead letters": len(letters),
        "too large, refused at once": sent.refused,
        "sent twice": sent.doubled,
        "a minute late": sent.late,
        "case": f"{case.state}, revision {case.revision}",
        "ledger entries, chain whole": entries,
    }


def archived_ids(ground: Ground) -> list[str]:
    return archived(ground.evidence.home, ground.contract)["event_id"].to_list()
