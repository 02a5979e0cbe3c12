"""A product on memory adapters, and what a running system would have written."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryLog, MemoryRegistry
from homeostat.bootstrap import Sight, sight_of
from homeostat.codec import TOPIC_OF, encode
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.drift.profile import FILE as PROFILE_FILE
from homeostat.drift.profile import build_profile
from homeostat.flow import topic_name
from homeostat.inspection import Onlooker
from homeostat.ports import ModelPackage, NewMessage
from homeostat.records import (
    Arm,
    Case,
    CaseState,
    DriftReport,
    DriftScore,
    DriftStatus,
    Outcome,
    Record,
)
from homeostat.training.encoding import fit_encoder
from homeostat.training.linear import LinearCore
from homeostat.training.models import TabularModel, dump_model

NOW = datetime(2030, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class World:
    """One product with versions 1 to 3; ``write`` appends records as its steps would."""

    now = NOW

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.log, self.registry, self.cases, self.ledger = MemoryLog(), MemoryRegistry(), MemoryCases(), MemoryLedger()
        for request in ("first", "second", "third"):
            self.registry.register(ModelPackage({}), request)
        self.sight = Sight(self.log, self.cases, self.ledger, self.registry)
        self.onlooker = Onlooker(contract, self.sight)

    def write(self, *records: Record, at: datetime = NOW, topic: str | None = None) -> None:
        messages = []
        for record in records:
            value, headers = encode(record)
            messages.append(NewMessage(topic_name("toys", topic or TOPIC_OF[type(record)]), value, headers))
        self.log.append(messages, at)

    def case(self, state: CaseState, **values: Any) -> None:
        self.cases.save(Case(state, self.cases.load().revision, **values))

    def status(self, **more: Any) -> dict[str, Any]:
        return self.onlooker.status(self.now, **more)

    def report(self, name: str, status: DriftStatus, **values: Any) -> DriftReport:
        at = values.pop("at", NOW)
        return DriftReport(name, at, at - 24 * HOUR, at, 900, status, values.pop("version", "1"), **values)

    def outcomes(
        self, rows: int, *, labelled: int | None = None, scores: dict[str, float] | None = None
    ) -> list[Outcome]:
        made = []
        for i in range(rows):
            known = labelled is None or i < labelled
            at = NOW + i * timedelta(minutes=6)
            made.append(
                Outcome(
                    f"e{i}", "t", at, at if known else None, float(i % 2) if known else None,
                    Arm.CHAMPION, "1", 0.5, scores or {},
                )
            )  # fmt: skip
        return made


def score(name: str, psi: float, limit: float, ks: float | None = None, *, drifted: bool = False) -> DriftScore:
    return DriftScore(name, psi, limit, ks, None if ks is None else 0.1, 0.01, drifted)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.model_validate(
        {
            "product": "toys",
            "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
            "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
            "features": {"price": {"field": "price"}},
            "canary": {"min_rows": 100, "max_duration": "5d", "share": 0.2, "block": "1h"},
            "training": {"min_rows": 200, "cold_start_after": "7d"},
            "healing": {"confirm": 2, "min_rows_after_drift": 100},
            "budget": {"max_trainings": 3, "per": "30d"},
        }
    )


@pytest.fixture
def world(contract: Contract) -> World:
    return World(contract)


@pytest.fixture
def make_score() -> Any:
    return score


def contract_text() -> str:
    return (Path(__file__).parents[2] / "loop" / "turbines.yaml").read_text()


def model_files(contract: Contract) -> dict[str, bytes]:
    """The files of a small model that loads, as a training leaves them."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            name: rng.choice(["a", "b"], 400) if name in contract.categorical else rng.normal(size=400)
            for name in contract.feature_names
        }
    )
    encoder = fit_encoder(frame, contract.feature_names, contract.categorical)
    nothing = np.zeros(0)
    core = LinearCore([], nothing, nothing, nothing, nothing, [], (), 0.0)
    profile = build_profile(
        frame, contract.feature_names, contract.categorical, rng.random(400), expected_loss=0.5, seed=1
    )
    return {**dump_model(TabularModel(encoder, core)), PROFILE_FILE: profile.to_bytes()}


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a log, a ledger, Parquet parts and two versions in a real MLflow registry."""
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - seconds, and few tests need it

    home = tmp_path_factory.mktemp("instance") / "products" / "turbines"
    home.mkdir(parents=True)
    (home / "contract.yaml").write_text(contract_text())
    contract = load_contract(home / "contract.yaml")
    sight = sight_of(contract, home)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    report = DriftReport("rep0", at, at - 24 * HOUR, at, 900, DriftStatus.HEALTHY, "2", (score("load", 0.1, 0.2),))
    value, headers = encode(report)
    sight.log.append([NewMessage(topic_name("turbines", "drift_reports"), value, headers)], at)
    sight.ledger.append("e1", at, "history_began", {"since": at.isoformat()})
    sight.ledger.append("e2", at, "promote", {"reason": "first champion", "version": "1", "champion": "1"})
    sight.cases.save(Case(since=at))
    instance = home.parent.parent
    registry = MlflowRegistry(f"sqlite:///{instance / 'mlflow.db'}", instance / "artifacts" / "turbines", "turbines")
    package = ModelPackage(model_files(contract))
    for request, alias in (("r1", "previous"), ("r2", "champion")):
        registry.set_alias(alias, registry.register(package, request))
    rows = pl.DataFrame({"event_id": ["a"], "event_time": [at], "load": [1.0]})
    for table in ("features/2025-12-29", "outcomes/2025-12-29", "joined"):
        (home / "feast" / table).mkdir(parents=True)
        rows.write_parquet(home / "feast" / table / "part.parquet")
    (home / "work").mkdir()
    return home


@pytest.fixture
def home(finished_home: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken; the registry of the copy points to the copy's files."""
    old, new = finished_home.parent.parent, tmp_path / "instance"
    shutil.copytree(old, new)
    with closing(sqlite3.connect(new / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE model_versions SET source = replace(source, ?, ?), "
            "storage_location = replace(storage_location, ?, ?)",
            (str(old), str(new)) * 2,
        )
    return new / "products" / "turbines"
