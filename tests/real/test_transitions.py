"""kill -9 of healer, predictor and MLflow in the middle of a change of who serves, on real servers.

``HOMEOSTAT_TRANSITIONS=all``, as `make prove-transitions` sets it, takes every point of every change with each victim;
names of changes there, like ``again,moved``, take theirs alone.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.servers import Kafka, Mlflow, Postgres, Redis, Server
from tests.servers.keeper import make_server

from .transitions import Change, Death, Stage

ASKED = os.environ.get("HOMEOSTAT_TRANSITIONS", "")
VICTIMS = ("healer", "predictor", "mlflow")
CYCLES = {
    "again": ("start", "promote", "start", "again", "rollback"),  # a second promotion moves the way back too
    "promote": ("start", "step", "promote", "rollback"),
    "moved": ("start", "moved", "rollback"),
    "reject": ("start", "reject"),
}
"""Changes that lead back to where they began, by the one that they are taken for."""

SHORT = (
    Death("start", "after alias challenger", "predictor"),
    Death("step", "after alias challenger", "healer"),
    Death("promote", "after alias champion", "healer"),
    Death("rollback", "after ledger rollback", "mlflow"),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="transitions", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # PostgreSQL may run as another user, who can't enter pytest's own folders
        yield Path(name)


@pytest.fixture
def stage(
    kafka: Kafka, redis_server: Redis, postgres: Postgres, shared_server: Callable[[str], Server], folder: Path
) -> Iterator[Stage]:
    mlflow = make_server("mlflow", folder / "mlflow", shared_server)  # of its own: it is killed
    assert isinstance(mlflow, Mlflow)
    with mlflow, pytest.MonkeyPatch.context() as patched:
        servers = {
            "HOMEOSTAT_KAFKA__BROKERS": kafka.brokers,
            "HOMEOSTAT_REDIS__URL": redis_server.url,
            "HOMEOSTAT_SQL__URL": postgres.make_database(folder.name.lower()),
            "HOMEOSTAT_MLFLOW__URL": mlflow.url,
            "MLFLOW_TRACKING_USERNAME": mlflow.username,
            "MLFLOW_TRACKING_PASSWORD": mlflow.password,
        }
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patched.setenv(name, servers[name])
        stage = Stage(folder, servers, mlflow)
        try:
            stage.open()
            yield stage
        finally:
            stage.close()


def planned(stage: Stage) -> tuple[list[Change], dict[str, list[Death]]]:
    """Return the deaths to be had, by change; where all are, the points are those of changes that nobody disturbs."""
    deaths: dict[str, list[Death]] = defaultdict(list)
    if not ASKED:
        for death in SHORT:
            deaths[death.change].append(death)
        return [], deaths
    seen = []
    for cycle in CYCLES.values():
        for change in cycle:
            seen.append(stage.carried_out(change))
            deaths[change] = [Death(change, point, victim) for point in stage.points() for victim in VICTIMS]
    usual = {death.point for death in deaths["promote"]}
    deaths["again"] = [death for death in deaths["again"] if death.point not in usual]
    wanted = list(deaths) if ASKED == "all" else ASKED.split(",")
    return seen, {change: found if change in wanted else [] for change, found in deaths.items()}


@pytest.mark.timeout(7200 if ASKED else 600)
def test_whoever_dies_in_a_change_one_champion_serves_and_aliases_ledger_and_answers_agree(stage: Stage) -> None:
    changes, deaths = planned(stage)
    asked = sum(map(len, deaths.values()))
    while any(deaths.values()):
        cycle = next((cycle for key, cycle in CYCLES.items() if deaths[key]), CYCLES["promote"])
        for change in cycle:
            changes.append(stage.carried_out(change, deaths[change].pop() if deaths[change] else None))
            print(told(changes[-1]), flush=True)  # noqa: T201 - what a proof is for
    deaths_had = sum(change.victim != "nobody" for change in changes)
    answered, broken = stage.clients.answered, stage.clients.broken
    print(  # noqa: T201
        f"{len(changes)} changes, {deaths_had} of them with a kill -9; {answered:,} requests answered, "
        f"{broken} connections broken with a killed predictor and asked again, {len(stage.clients.failed)} failed"
    )
    assert deaths_had == asked > 0
    assert len(stage.changes()) == len(changes)


def told(change: Change) -> str:
    """Return a line of the table."""
    return (
        f"{change.change:<9} {change.victim:<10} {change.point:<28} settled {change.settled_s:5.1f} s, "
        f"{change.answered:>5} answered, {change.broken} broken, {change.failed} failed, apart {change.apart_s:.2f} s"
    )
