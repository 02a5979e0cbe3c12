"""The drill: `make drill` runs it and prints what was counted; a short one is among all other tests."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import httpx
import numpy as np
import pytest

from deploy.servers import Server
from deploy.servers.fleet import Fleet
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.sql import SqlLedger
from homeostat.records import CaseState, DeadLetter
from homeostat.settings import KafkaSettings

from .deployment import PROCESSES, Deployment
from .drill import RoughProducer, Schedule, canary_s, maturing, write_history
from .evidence import PRODUCT, Evidence, Sent
from .probe import Probe
from .retrainings import Retrainings
from .running import HOMEOSTAT, until
from .tally import Store, Tally, count_log, count_store
from .traffic import Traffic

KILLS = int(environ.get("HOMEOSTAT_KILLS", "10"))
SETTLE_S = 240
NOBODY = "http://127.0.0.1:9/"  # the webhook of an Alertmanager that is not started


@dataclass(frozen=True)
class Size:
    """How much is broken, and how patiently."""

    schedule: Schedule
    longest_s: float  # between two kills
    maturity_s: int  # of a label; longer than any process or server is away, for labels wait with their producer
    retrainings: int = 1000  # at most
    aside_servers: tuple[str, ...] = ("postgres", "mlflow")
    serving_servers: tuple[str, ...] = ("redis", "kafka")


SHORT = Size(Schedule(("ingestor", "trainer", "joiner"), ("predictor", "healer")), 1.0, 60, 1, ("postgres",))
WHOLE = Size(Schedule.drawn(KILLS, np.random.default_rng(3)), 3.0 if KILLS <= 10 else 8.0, 180)


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
def ground(folder: Path, own_server: Callable[[str], Any], request: pytest.FixtureRequest) -> Iterator[Ground]:
    size: Size = request.param
    contract = maturing(folder / "contract.yaml", size.maturity_s)
    servers = {name: own_server(name) for name in ("kafka", "redis", "postgres", "mlflow")}
    fleet = replace(Fleet.below(folder, {}, NOBODY), **servers)
    deployment: Deployment | None = None
    try:
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("ground", [SHORT], indirect=True)
def test_a_few_kills_of_processes_and_servers_lose_nothing(ground: Ground) -> None:
    drill(ground)


@pytest.mark.drill
@pytest.mark.timeout(1200 + 30 * KILLS)
@pytest.mark.parametrize("ground", [WHOLE], indirect=True)
def test_kills_of_processes_and_servers_under_rough_traffic_lose_nothing(ground: Ground) -> None:
    aside = drill(ground)
    assert len(PROCESSES) > KILLS or all(ground.deployment.deaths.values())
    assert aside.share >= 0.999


def drill(ground: Ground) -> Probe:
    """Break things under rough traffic, count, and judge; return who asked while only others failed."""
    deployment, size, rng = ground.deployment, ground.size, np.random.default_rng(3)
    traffic, first = Traffic(deployment.url), Traffic(deployment.url)
    rough = RoughProducer(ground.evidence.log, late=timedelta(seconds=size.maturity_s / 3))
    first.send(httpx.Client(timeout=20), 0)  # the probes' entity has features
    retrainings = Retrainings(deployment.home, ground.environment, size.retrainings)
    aside, anyway = (Probe(f"{deployment.url}/v1/{PRODUCT}/predict") for _ in range(2))
    threads = (traffic, rough, retrainings, aside, anyway)
    try:
        retrainings.start()
        until(
            lambda: retrainings.opened, SETTLE_S, why=lambda: (retrainings.said, deployment.logs())
        )  # a case is open when the first one dies
        for thread in (traffic, rough, aside):
            thread.start()
        kill(ground, size.schedule.aside, size.aside_servers, rng)
        aside.stop()
        retrainings.stop()
        anyway.start()
        kill(ground, size.schedule.anybody, size.serving_servers, rng)
        before = len(traffic.acknowledged.labels)
        until(lambda: len(traffic.acknowledged.labels) > before + 8, SETTLE_S, why=deployment.logs)
        deployment.wait_until_ready()
    finally:
        for thread in threads:
            if thread.is_alive():
                thread.stop()
    unread = partial(ground.evidence.unread, "detect")  # it reads when it looks, once a day
    waited(lambda: not unread(), SETTLE_S)
    tally = Tally()
    tally.none("steps that have not read all", unread())
    tally.figures["answered within 1 s while other parts fail"] = aside
    tally.figures["answered within 1 s while any part fails"] = anyway
    sent = all_of(traffic.acknowledged, first.acknowledged, Sent(rough.sent.good, rough.sent.labels))
    sent.predictions |= aside.predictions | anyway.predictions
    try:
        count(ground, tally, sent, rough, retrainings)
    finally:
        print(f"\n{tally.table()}")  # noqa: T201 - what a drill is for
    assert not tally.wrong, (tally.wrong, deployment.logs())
    assert aside.in_time
    assert anyway.in_time
    return aside


def kill(ground: Ground, victims: Sequence[str], servers: Sequence[str], rng: np.random.Generator) -> None:
    """Kill processes at random moments, and restart the servers in between."""
    deployment = ground.deployment
    turns = {(i + 1) * len(victims) // (len(servers) + 1): name for i, name in enumerate(servers)}
    for turn, victim in enumerate(victims):
        if turn in turns:
            ground.servers[turns[turn]].kill()
            ground.servers[turns[turn]].start()
        sleep(rng.uniform(0.2, ground.size.longest_s))
        before = deployment.deaths[victim]
        deployment.kill(victim)
        until(lambda: deployment.deaths[victim] > before, SETTLE_S)  # noqa: B023 - used at once
    deployment.wait_until_ready()


def count(ground: Ground, tally: Tally, sent: Sent, rough: RoughProducer, retrainings: Retrainings) -> None:
    """Hold the stores against what was sent, and all that died against who was to."""
    size, deaths = ground.size, Counter(ground.deployment.deaths)
    asked = Counter([*size.schedule.aside, *size.schedule.anybody])
    tally.figures |= {f"kills of {name}": asked[name] for name in PROCESSES}
    tally.none("kills without a death", (asked - deaths).elements())
    tally.none("processes that died unasked", (deaths - asked).elements())
    tally.figures["restarts of servers"] = len(size.aside_servers) + len(size.serving_servers)
    store = Store(ground.evidence.home, ground.contract)
    released = sent.events.keys() | sent.predictions.keys()
    waited(lambda: released <= set(store.ids_in_files("outcomes")), size.maturity_s + SETTLE_S)
    logged = count_log(tally, ground.evidence, sent)
    letters = {r.value for r in ground.evidence.records("ingest_dead_letters") if isinstance(r, DeadLetter)}
    tally.figures["bad records sent"] = len(rough.sent.bad)
    tally.none("bad records not in the dead letters", map(repr, rough.sent.bad - letters))
    tally.none("dead letters of anything else", map(repr, letters - rough.sent.bad))
    tally.figures |= {"too large, refused at once": rough.sent.refused, "sent twice": rough.sent.doubled}
    tally.figures["late, and taken"] = rough.sent.late
    count_store(tally, store, sent, logged)
    count_cases(ground, tally, retrainings)


def count_cases(ground: Ground, tally: Tally, retrainings: Retrainings) -> None:
    """Wait as long as each case may take, and tell of those that did not come to where they had to."""
    maturity_s, is_whole = ground.size.maturity_s, ground.size is WHOLE
    within_s = SETTLE_S + (canary_s(maturity_s) + maturity_s if is_whole else 0)  # a canary outlasts a short drill
    resting = {CaseState.STABLE, CaseState.COOLDOWN} | (set() if is_whole else {CaseState.CANARY})
    waited(lambda: retrainings.case.state in resting, within_s)
    case, opened, ended = retrainings.case, retrainings.opened, retrainings.ended
    on_trial = {str(case.request_id)} if not is_whole and case.on_trial else set()
    tally.figures |= {"cases opened": len(opened), "cases with a canary": len(retrainings.tried)}
    tally.figures |= {"cases ended": len(ended), "cases in a canary that goes on": len(on_trial & opened)}
    tally.none("cases that hang", opened - ended - on_trial)
    tally.figures["case"] = f"{case.state}, revision {case.revision}"
    tally.figures["ledger entries, chain whole"] = SqlLedger(ground.environment["HOMEOSTAT_SQL__URL"], PRODUCT).verify()


def all_of(*parts: Sent) -> Sent:
    """Put together what several sent."""
    whole = Sent()
    for part in parts:
        whole.events |= part.events
        whole.labels |= part.labels
        whole.predictions |= part.predictions
    return whole


def waited(true: Callable[[], bool], seconds: float) -> None:
    """Wait for a state; where it does not come, what is counted then says what is missing."""
    deadline = monotonic() + seconds
    while not true() and monotonic() < deadline:
        sleep(0.5)
