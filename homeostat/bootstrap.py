"""Puts adapters under the steps: the only importer of adapters.

Feast, MLflow, LightGBM and Optuna take seconds to import, so each is imported where it is first needed: who
only reads the ledger need not wait for them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from homeostat.adapters import metrics_page, sqlite_files
from homeostat.adapters.all_alerts import AllAlerts
from homeostat.adapters.apscheduler_pace import ReplayPace
from homeostat.adapters.file_alerts import FileAlerts
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.adapters.mlflow_file import MlflowFile
from homeostat.adapters.mlflow_page import MlflowPage
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.adapters.stream_clock import StreamClock
from homeostat.adapters.system_clock import SystemClock
from homeostat.contract.model import Contract
from homeostat.cost.meter import parts_per_1k
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW, Row, memory_span
from homeostat.metric_names import COST_PER_1K
from homeostat.ports import (
    AlertSink,
    AliasReader,
    CaseStore,
    Clock,
    EventLog,
    Ledger,
    ModelRegistry,
    OfflineFeatures,
    OnlineFeatures,
    Telemetry,
)
from homeostat.settings import AlertSettings, Settings
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
    alerts: AlertSink = field(default_factory=MemoryAlerts)


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
    from homeostat.adapters.feast_features import FeastOfflineFeatures, FeastOnlineFeatures

    home.mkdir(parents=True, exist_ok=True)
    workdir = home / "work"
    workdir.mkdir(exist_ok=True)
    return Stack(
        log=SqliteLog(home / "log.db"),
        online=FeastOnlineFeatures(contract, home / "feast"),
        offline=FeastOfflineFeatures(contract, home / "feast"),
        registry=embedded_registry(contract, home),
        cases=SqlCases(ledger_uri(home), contract.product),
        ledger=SqlLedger(ledger_uri(home), contract.product),
        telemetry=telemetry or PrometheusTelemetry(),
        workdir=workdir,
        alerts=alert_sink(Settings().alerts, home),
    )


def alert_sink(settings: AlertSettings, home: Path) -> AlertSink:
    """Return where the alerts of a product go: a file, by default below its home, and a webhook if one is set."""
    sinks: list[AlertSink] = [FileAlerts(settings.file or home / "alerts.jsonl")]
    if settings.webhook is not None:
        from homeostat.adapters.webhook_alerts import WebhookAlerts

        secret = settings.secret.get_secret_value() if settings.secret else None
        sinks.append(WebhookAlerts(str(settings.webhook), secret, home / "work" / "alerts.sent"))
    return AllAlerts(sinks)


@dataclass(frozen=True, slots=True)
class EmbeddedSight:
    """The ports of one product that an onlooker needs: none of them takes seconds to open."""

    log: EventLog
    cases: CaseStore
    ledger: Ledger
    registry: AliasReader


def embedded_sight(contract: Contract, home: Path) -> EmbeddedSight:
    """Return what an onlooker needs of the embedded stack below ``home``."""
    return EmbeddedSight(
        log=SqliteLog(home / "log.db"),
        cases=SqlCases(ledger_uri(home), contract.product),
        ledger=SqlLedger(ledger_uri(home), contract.product),
        registry=mlflow_file(contract, home),
    )


def embedded_registry(contract: Contract, home: Path) -> ModelRegistry:
    """Return the model registry alone, made where it is missing; importing MLflow takes 3 s."""
    from homeostat.adapters.mlflow_registry import MlflowRegistry

    return MlflowRegistry(mlflow_uri(home), instance_of(home) / "artifacts" / contract.product, contract.product)


def mlflow_page(contract: Contract, url: str) -> MlflowPage:
    """Return where decisions are handed in while MLflow's server runs: it needs no import of MLflow."""
    return MlflowPage(url, contract.product)


def mlflow_file(contract: Contract, home: Path) -> MlflowFile:
    """Return the registry of the embedded stack as an onlooker sees it."""
    return MlflowFile(instance_of(home) / "mlflow.db", contract.product)


def embedded_ledger(contract: Contract, home: Path) -> Ledger:
    """Return the ledger alone, which survives the loss of everything else."""
    return SqlLedger(ledger_uri(home), contract.product)


def build_steps(contract: Contract, stack: Stack, seed: int) -> dict[str, Callable[[], Step]]:
    """Return how to make each step of the flow on a stack, so that a process makes only its own."""
    from homeostat.steps.alert import AlertStep
    from homeostat.steps.archive import ArchiveStep
    from homeostat.steps.decide import DecideStep
    from homeostat.steps.detect import DetectStep
    from homeostat.steps.ingest import IngestStep
    from homeostat.steps.join import JoinStep
    from homeostat.steps.judge import JudgeStep
    from homeostat.steps.predict import PredictStep
    from homeostat.steps.promote import PromoteStep
    from homeostat.steps.train import TrainStep

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
        "alert": lambda: AlertStep(c, s.cases, s.alerts, t),
    }


# what an onlooker reads: a running instance's metrics, and stored files
fetch_metrics = metrics_page.fetch
metric_samples = metrics_page.samples
sqlite_damage = sqlite_files.damage
process_telemetry = PrometheusTelemetry  # one for all products of a process


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


def build_workers(
    contract: Contract, stack: Stack, seed: int, steps: Collection[str], hook: Hook = no_hook
) -> dict[str, Worker]:
    """Return the workers of some steps in flow order, for a process that runs only these."""
    made = build_steps(contract, stack, seed)
    rows = [row for row in FLOW if row.step in steps]
    return {row.step: _worker(row, made[row.step](), contract, stack.log, stack.telemetry, hook=hook) for row in rows}


def build_worker(name: str, step: Step, contract: Contract, stack: Stack, hook: Hook = no_hook) -> Worker:
    """Return the worker of one step of the flow, around a step that the caller made."""
    row = next(row for row in FLOW if row.step == name)
    return _worker(row, step, contract, stack.log, stack.telemetry, hook=hook)


def instance_clock(stream: Path | None) -> Clock:
    """Return the machine's clock, or the one that a replay sets through a file."""
    return StreamClock(stream) if stream else SystemClock()


def embedded_ingestor(contract: Contract, home: Path) -> Worker:
    """Return the ingest worker alone on the embedded stores below ``home``."""
    from homeostat.adapters.feast_features import FeastOnlineFeatures
    from homeostat.steps.ingest import IngestStep

    telemetry = PrometheusTelemetry()
    step = IngestStep(contract, FeastOnlineFeatures(contract, home / "feast"), telemetry)
    return _worker(FLOW[0], step, contract, SqliteLog(home / "log.db"), telemetry)


def _worker(
    row: Row, step: Step, contract: Contract, log: EventLog, telemetry: Telemetry, *, hook: Hook = no_hook
) -> Worker:
    memory = memory_span(row.step, contract)
    return Worker(row, step, log, telemetry, product=contract.product, memory=memory, hook=hook)
