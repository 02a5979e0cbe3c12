"""Puts adapters under the steps: the only importer of adapters."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from homeostat.adapters.apscheduler_pace import ReplayPace
from homeostat.adapters.feast_features import FeastOfflineFeatures, FeastOnlineFeatures
from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.contract.model import Contract
from homeostat.cost.meter import parts_per_1k
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW, Row, memory_span
from homeostat.metric_names import COST_PER_1K
from homeostat.ports import CaseStore, EventLog, Ledger, ModelRegistry, OfflineFeatures, OnlineFeatures, Telemetry
from homeostat.steps.archive import ArchiveStep
from homeostat.steps.decide import DecideStep
from homeostat.steps.detect import DetectStep
from homeostat.steps.ingest import IngestStep
from homeostat.steps.join import JoinStep
from homeostat.steps.judge import JudgeStep
from homeostat.steps.predict import PredictStep
from homeostat.steps.promote import PromoteStep
from homeostat.steps.train import TrainStep
from homeostat.worker import Hook, Runner, Step, Worker, no_hook


@dataclass(frozen=True, slots=True)
class Stack:
    """Every port of one product, filled."""

    log: EventLog
    online: OnlineFeatures
    offline: OfflineFeatures
    registry: ModelRegistry
    cases: CaseStore
    ledger: Ledger
    telemetry: Telemetry
    workdir: Path  # where an interrupted training finds its study again


PRODUCTS = "products"


def product_home(instance: Path, product: str) -> Path:
    """Return the home folder of one product of a running instance."""
    return instance / PRODUCTS / product


def instance_of(home: Path) -> Path:
    """Return the folder that the products of one instance share; a product by itself has its own."""
    return home.parent.parent if home.parent.name == PRODUCTS else home


def mlflow_uri(home: Path) -> str:
    """Return the tracking URI of the embedded MLflow of a product, the same for all products of an instance."""
    return f"sqlite:///{(instance_of(home) / 'mlflow.db').resolve()}"


def ledger_uri(home: Path) -> str:
    """Return the URL of the embedded case store and ledger below a home folder."""
    return f"sqlite:///{(home / 'homeostat.db').resolve()}"


def embedded_stack(contract: Contract, home: Path, telemetry: Telemetry | None = None) -> Stack:
    """Return the stack that needs nothing but this machine's disk: everything lives below ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    workdir = home / "work"
    workdir.mkdir(exist_ok=True)
    return Stack(
        log=SqliteLog(home / "log.db"),
        online=FeastOnlineFeatures(contract, home / "feast"),
        offline=FeastOfflineFeatures(contract, home / "feast"),
        registry=MlflowRegistry(mlflow_uri(home), instance_of(home) / "artifacts" / contract.product, contract.product),
        cases=SqlCases(ledger_uri(home), contract.product),
        ledger=SqlLedger(ledger_uri(home), contract.product),
        telemetry=telemetry or PrometheusTelemetry(),
        workdir=workdir,
    )


def embedded_ledger(contract: Contract, home: Path) -> Ledger:
    """Return the ledger alone, which survives the loss of everything else."""
    return SqlLedger(ledger_uri(home), contract.product)


def build_steps(contract: Contract, stack: Stack, seed: int) -> dict[str, Callable[[], Step]]:
    """Return how to make each step of the flow on a stack, so that a process makes only its own."""
    c, s, t = contract, stack, stack.telemetry
    return {
        "ingest": lambda: IngestStep(c, s.online, t),
        "predict": lambda: PredictStep(c, s.registry, s.online, t),
        "join": lambda: JoinStep(c, t),
        "archive": lambda: ArchiveStep(s.offline),
        "detect": lambda: DetectStep(c, s.registry, t),
        "decide": lambda: DecideStep(c, s.registry, s.cases, s.ledger, t, seed),
        "train": lambda: TrainStep(c, s.registry, s.offline, t, s.workdir),
        "judge": lambda: JudgeStep(c, s.registry, s.cases, t),
        "promote": lambda: PromoteStep(c, s.registry, s.cases, s.ledger, t),
    }


@contextmanager
def serve_metrics(stack: Stack, port: int) -> Iterator[int]:
    """Serve ``/metrics`` on loopback for the length of a ``with`` block and give the port.

    Raises:
        HomeostatError: The port is taken, or the stack's telemetry can't be served.
    """
    if not isinstance(stack.telemetry, PrometheusTelemetry):
        raise HomeostatError(f"{type(stack.telemetry).__name__} has no /metrics: use the Prometheus telemetry")
    close, bound = stack.telemetry.serve(port)
    try:
        yield bound
    finally:
        close()


def replay_pace(every: timedelta, start: datetime) -> ReplayPace:
    """Return the pace of periodic work in event time."""
    return ReplayPace(every, start)


class Loop:
    """All steps of one product in one process, in the order of the map."""

    def __init__(self, workers: Iterable[Runner], contract: Contract, telemetry: Telemetry) -> None:
        """Take the workers in flow order."""
        self.workers = tuple(workers)
        self._contract = contract
        self._telemetry = telemetry

    def restore(self, now: datetime) -> None:
        """Give every step its memory back after a restart."""
        for worker in self.workers:
            worker.restore(now)

    def flow(self, now: datetime) -> None:
        """Move what has come through the steps that run at every batch."""
        for worker in self.workers:
            if not worker.row.paced:
                worker.run_once(now)

    def pace(self, now: datetime) -> None:
        """Move everything and let the steps that look at the world look."""
        for worker in self.workers:
            worker.run_once(now)
        for part, usd in self.cost().items():
            self._telemetry.gauge(COST_PER_1K, usd, product=self._contract.product, part=part)

    def cost(self) -> dict[str, float]:
        """Return the cost of 1,000 predictions so far in USD by part, empty before the first one."""
        served = sum(worker.published for worker in self.workers if worker.row.step == "predict")
        if not served:
            return {}
        cpu_s = {worker.row.step: worker.cpu_s for worker in self.workers}
        return parts_per_1k(cpu_s, self._contract.prices, served)


def build_loop(
    contract: Contract, stack: Stack, seed: int, hook: Hook = no_hook, ingestor: Runner | None = None
) -> Loop:
    """Return the whole loop of a product on a stack; ``ingestor`` stands for ingestion in another process."""
    steps = build_steps(contract, stack, seed)
    rows = [row for row in FLOW if ingestor is None or row.step != ingestor.row.step]
    workers: list[Runner] = [
        _worker(row, steps[row.step](), contract, stack.log, stack.telemetry, hook=hook) for row in rows
    ]
    return Loop([ingestor, *workers] if ingestor else workers, contract, stack.telemetry)


def embedded_ingestor(contract: Contract, home: Path) -> Worker:
    """Return the ingest worker alone on the embedded stores below ``home``."""
    telemetry = PrometheusTelemetry()
    step = IngestStep(contract, FeastOnlineFeatures(contract, home / "feast"), telemetry)
    return _worker(FLOW[0], step, contract, SqliteLog(home / "log.db"), telemetry)


def _worker(
    row: Row, step: Step, contract: Contract, log: EventLog, telemetry: Telemetry, *, hook: Hook = no_hook
) -> Worker:
    memory = memory_span(row.step, contract)
    return Worker(row, step, log, telemetry, product=contract.product, memory=memory, hook=hook)
