"""The predictor on real servers against `mlflow models serve` with the same model, in turns on the same two cores.

That one only scores the features that a request brings; the predictor looks them up in Redis through Feast, and its
prediction is in Kafka before it answers.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx
import mlflow
import numpy as np
import polars as pl
import psutil
import pytest

from deploy.servers import Kafka, Mlflow, Postgres, Redis, free_port
from homeostat.adapters.feast_features import FeastOnlineFeatures
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.bootstrap import product_home
from homeostat.bootstrap.stack import feast_address
from homeostat.contract.load import load_contract
from homeostat.flow import topic_name
from homeostat.settings import KafkaSettings
from homeostat.training.models import TREES_FILE
from tests.benchmarks.load import Figures, Load, put_on
from tests.real.deployment import Deployment
from tests.real.running import HOMEOSTAT, until
from tests.real.streams import contract_with, turbines, written

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]

PRODUCT = "served"
ROUNDS, SECONDS = 4, 5.0
ENTITIES = [f"t{i}" for i in range(40)]
QUESTIONS = [json.dumps({"rows": [{"entity": entity}]}) for entity in ENTITIES]
CROWDS = {256: 1, 64: 500}  # rows of a request by number of connections


@dataclass
class Ground:
    """Two servers of one model."""

    predictor: Deployment
    mlflow_port: int
    inputs: list[str]  # what the other one is asked: the features of each entity
    log: KafkaLog

    def ask_predictor(self, bodies: list[str] = QUESTIONS, connections: int = 8) -> Figures:
        port = self.predictor.ports["predictor"]
        return put_on(Load(port, f"/v1/{PRODUCT}/predict", bodies, connections, SECONDS))

    def ask_mlflow(self) -> Figures:
        return put_on(Load(self.mlflow_port, "/invocations", self.inputs, seconds=SECONDS))

    @property
    def logged(self) -> int:
        return self.log.end(topic_name(PRODUCT, "predictions"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="served", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def ground(
    folder: Path, kafka: Kafka, redis_server: Redis, postgres: Postgres, mlflow_server: Mlflow
) -> Iterator[Ground]:
    servers = {
        "HOMEOSTAT_KAFKA__BROKERS": kafka.brokers,
        "HOMEOSTAT_REDIS__URL": redis_server.url,
        "HOMEOSTAT_SQL__URL": postgres.make_database(PRODUCT),
        "HOMEOSTAT_MLFLOW__URL": mlflow_server.url,
        "MLFLOW_TRACKING_USERNAME": mlflow_server.username,
        "MLFLOW_TRACKING_PASSWORD": mlflow_server.password,
    }
    home, contract = folder / "home", contract_with(folder, PRODUCT)
    words = [HOMEOSTAT, "backfill", written(waves(), folder / "history.csv"), "--contract", contract, "--home", home]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, env={**environ, **servers}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.setenv(name, servers[name])
        save_champion(MlflowRegistry(mlflow_server.url, folder, PRODUCT), folder)
    with_the_fast_client = {**servers, "HOMEOSTAT_KAFKA__CLIENT": "librdkafka"}
    predictor = Deployment(home, contract, with_the_fast_client, ["predictor"])
    other, port = serve(folder / "model")
    try:
        until(lambda: is_up(port) and not predictor.waits(), why=predictor.logs)
        store = {"type": "redis", "connection_string": feast_address(redis_server.url)}
        features = FeastOnlineFeatures(load_contract(contract), product_home(home, PRODUCT) / "feast", store)
        log = KafkaLog(KafkaSettings(brokers=kafka.brokers), PRODUCT)
        yield Ground(predictor, port, inputs(contract, features), log)
    finally:
        predictor.stop()
        other.terminate()
        other.wait(60)


def waves() -> pl.DataFrame:
    """Days of turbines that fail by a wave of the load, which takes trees to follow; they end yesterday."""
    rows = turbines(8, 1_000, datetime.now(UTC) - timedelta(days=10))
    chance = np.where(np.sin(3 * rows["load"].to_numpy()) > 0, 0.85, 0.15)
    return rows.with_columns(fails=pl.Series(np.random.default_rng(4).uniform(size=rows.height) < chance))


def save_champion(registry: MlflowRegistry, folder: Path) -> None:
    """Make the champion a model of MLflow's own kind, in ``folder / "model"``."""
    champion = registry.aliases().champion
    assert champion is not None
    (folder / "files").mkdir()
    files = registry.load(champion).files
    assert TREES_FILE in files, f"the champion is of {', '.join(files)}: expected trees"
    for name, content in files.items():
        (folder / "files" / name).write_bytes(content)
    code, kept = Path(__file__).with_name("served_version.py"), {"files": str(folder / "files")}
    mlflow.pyfunc.save_model(folder / "model", python_model=code, artifacts=kept, pip_requirements=[])


def serve(model: Path) -> tuple[subprocess.Popen[bytes], int]:
    port, programs = free_port(), Path(sys.executable).parent
    words = ["mlflow", "models", "serve", "-m", model, "-p", port, "--env-manager", "local"]
    environment = {**environ, "PATH": f"{programs}:{environ['PATH']}", "OMP_NUM_THREADS": "1"}  # it looks for uvicorn
    with model.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [programs / words[0], *map(str, words[1:])], stdout=log, stderr=log, env=environment
        ), port


def is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ping").is_success
    except httpx.TransportError:
        return False


def inputs(contract: Path, features: FeastOnlineFeatures) -> list[str]:
    columns = load_contract(contract).feature_names
    rows = [row.values for row in features.read(ENTITIES) if row is not None]
    assert len(rows) == len(ENTITIES)
    return [json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}) for row in rows]


def shown(name: str, found: Figures) -> str:
    return (
        f"{name:>24}: {found.rate:>7,.0f} requests/s, p50 {found.p50_ms:6.1f} ms, p99 {found.p99_ms:6.1f} ms, "
        f"answers {found.statuses}, the load took {found.cpu_share:.0%} of a core"
    )


def typical(rounds: Sequence[Figures]) -> Figures:
    """The medians over some rounds."""
    return Figures(median(r.rate for r in rounds), median(r.p50_ms for r in rounds), median(r.p99_ms for r in rounds))


def test_both_give_the_same_scores(ground: Ground) -> None:
    url = f"http://127.0.0.1:{ground.mlflow_port}/invocations"
    for question, given in zip(QUESTIONS, ground.inputs, strict=True):
        own = httpx.post(f"{ground.predictor.url}/v1/{PRODUCT}/predict", json=json.loads(question)).json()
        assert httpx.post(url, json=json.loads(given)).json()["predictions"] == [own["predictions"][0]["score"]]


def test_single_rows_are_answered_three_times_as_fast_as_by_mlflow(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.ask_predictor()
    ground.ask_mlflow()  # both are warm
    before = ground.logged
    pairs = [(ground.ask_predictor(), ground.ask_mlflow()) for _ in range(ROUNDS)]
    logged = ground.logged - before
    own, other = (typical(side) for side in zip(*pairs, strict=True))
    [process] = [p for p in psutil.Process().children() if "services.predictor" in p.cmdline()]
    with capsys.disabled():
        for found, peer in pairs:
            print(f"\n{shown('predictor', found)}\n{shown('mlflow models serve', peer)}")
        print(
            f"{'medians':>24}: {own.rate / other.rate:.2f} times its rate, p99 {own.p99_ms:.1f} ms against "
            f"{other.p99_ms:.1f} ms; memory of the predictor {process.memory_info().rss / 2**20:.0f} MiB"
        )
    assert all(set(f.statuses) == {"200"} for pair in pairs for f in pair)
    assert logged >= sum(found.statuses["200"] for found, _ in pairs)
    assert own.rate >= 3 * other.rate
    assert own.p99_ms <= other.p99_ms


def test_a_crowd_is_answered_or_told_when_to_come_back(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    for connections, rows in CROWDS.items():
        body = json.dumps({"rows": [{"entity": entity} for entity in (ENTITIES * rows)[:rows]]})
        found = ground.ask_predictor([body], connections)
        with capsys.disabled():
            print(f"\n{shown(f'{connections} callers, {rows} rows each', found)}")
        assert set(found.statuses) <= {"200", "429"}
        assert not found.without_retry_after
