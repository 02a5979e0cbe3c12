"""The healer and the judge over a real registry, in this process: what a test of operators' decisions works on."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread
from types import TracebackType
from typing import Self

import numpy as np

from deploy.servers import free_port
from homeostat.adapters.followed_registry import FollowedRegistry
from homeostat.adapters.memory import MemoryLog
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.adapters.system_clock import SystemClock
from homeostat.api import WEBHOOK_PATH
from homeostat.bootstrap import Stack, build_worker, build_workers, follow_registry
from homeostat.codec import encode
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.ports import LedgerEntry, ModelPackage, ModelRegistry, NewMessage, OperatorDecision
from homeostat.processes.instance import Heartbeat
from homeostat.processes.keeper import BackOff, keep
from homeostat.processes.life import Life
from homeostat.processes.rounds import Rounds
from homeostat.processes.service import Service, watched
from homeostat.processes.stores import Product
from homeostat.records import Arm, Outcome, Record, RetrainRequest, TrainingRun, TrainingStatus, derived_id
from homeostat.settings import MlflowSettings, Settings
from homeostat.worker import no_hook
from tests.stacks import memory_stack

from .running import until

CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number", "colour": "string"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}, "colour": {"field": "colour"}},
        "canary": {"min_rows": 50, "block": "1s", "slices": ["colour"]},
        "budget": {"max_trainings": 1000},
    }
)

RECEIPT = {
    "rows": 90_284,
    "data_span": ["2013-01-01 08:15:00+00:00", "2013-04-10 23:59:00+00:00"],
    "recipe": {"learner": "lightgbm"},
    "candidates": [
        {"candidate": "do nothing", "loss": 0.475239, "difference": 0.0, "lower": 0.0, "upper": 0.0, "auc": 0.722728},
        {"candidate": "lightgbm uniform", "loss": 0.472449, "difference": -0.00279, "lower": -0.003791,
         "upper": -0.00179, "auc": 0.729563},
    ],
}  # fmt: skip
"""As a training of the demo's wrote it."""


class Trainer:
    """Answers every request with a candidate at once."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        return [self._run(record, now) for record in records if isinstance(record, RetrainRequest)]

    def restore(self, records: Sequence[Record], now: datetime) -> None: ...

    def tick(self, now: datetime) -> list[Record]:
        return []

    def _run(self, request: RetrainRequest, now: datetime) -> TrainingRun:
        request_id = request.request_id
        package = ModelPackage({"model.txt": request_id.encode()}, {"log_loss": 0.48, "auc": 0.76})
        version = self._registry.register(package, request_id)
        reason = "lightgbm uniform: loss 0.59% below do nothing (-0.00179 at most)"
        run_id = derived_id(request_id, "run")
        receipt = RECEIPT | {"data_span": [RECEIPT["data_span"][0], str(now)]}  # rows have come since the last one
        return TrainingRun(run_id, request_id, TrainingStatus.CANDIDATE, version, reason, 12.0, now, receipt)


class House:
    """A product whose registry is a real server: a healer and a judge at work, and what a predictor would serve."""

    def __init__(self, url: str, home: Path, contract: Contract = CONTRACT) -> None:
        from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds

        from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415

        self.contract = contract
        self.product = contract.product
        self._home = home
        (home / "run").mkdir(parents=True)
        self.registry = MlflowRegistry(url, home, self.product)  # the test's own; what others do is seen at once
        self._client = MlflowClient(url, url)
        self._url, self._uri = url, f"sqlite:///{home / 'homeostat.db'}"
        self.ledger = SqlLedger(self._uri, self.product)
        self.cases = SqlCases(self._uri, self.product)
        self.log = MemoryLog()
        self.served = FollowedRegistry(lambda: MlflowRegistry(url, home, self.product), home / "served")
        self.telemetry = PrometheusTelemetry()
        port = free_port()
        told = {"url": url, "webhook_url": f"http://127.0.0.1:{port}", "webhook_secret": token_urlsafe()}
        self.settings = Settings(home=home, port=port, mlflow=MlflowSettings.model_validate(told))
        self._life = Life()
        self._newest = datetime.now(UTC)  # of the outcomes
        self._running = ExitStack()

    def __enter__(self) -> Self:
        thread = Thread(target=self._keep, name="healer", daemon=True)
        thread.start()
        self._running.callback(thread.join, 60)
        self._running.callback(self._life.over.set)
        self._running.callback(self.served.close)
        return self

    def asked(self, word: str, version: str | None = None) -> None:
        """Set a decision as the CLI does."""
        self.registry.decide(OperatorDecision(version, word))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def champion(self) -> str | None:
        """Who answers, as a predictor follows it."""
        return self.served.aliases().champion

    def first_champion(self) -> None:
        """Let version 1 serve."""
        self.asked("retrain")
        until(lambda: self.champion() == "1", 60, self.story)  # who is served follows who has the alias

    def canary(self) -> str:
        """Bring a new challenger into its canary and return its version."""
        until(lambda: datetime.now(UTC) > self._newest, 60)  # or it would have failed to score rows of the one before
        self.asked("retrain")
        until(lambda: self.cases.load().on_trial and self.registry.aliases().challenger, 60, self.story)
        return str(self.registry.aliases().challenger)

    def description(self, version: str) -> str:
        """Return what a version's page says above its tags."""
        return str(self._client.get_model_version(self.product, version).description)

    def run_of(self, version: str) -> tuple[str, str]:
        """Return the experiment and the run that a version came of."""
        run = self._client.get_run(self._client.get_model_version(self.product, version).run_id)
        return run.info.experiment_id, run.info.run_id

    def outcomes(self, rows: int = 240, gain: float = 0.0) -> None:
        """Put mature rows that both models scored into the log; by so much the challenger's scores are better."""
        case = self.cases.load()
        rng, begun = np.random.default_rng(3), case.share_since or case.since
        aliases = self.registry.aliases()
        champion, challenger = str(aliases.champion), str(aliases.challenger)
        assert begun is not None
        messages = []
        for i in range(rows):
            time, label = begun + timedelta(seconds=1 + i / 16), float(rng.uniform() < 0.5)
            better = np.array([0.0, gain if label else -gain])
            one, other = np.clip(rng.normal(0.4 + 0.2 * label, 0.1, 2) + better, 0.01, 0.99).tolist()
            scores, colour = {champion: one, challenger: other}, str(rng.choice(["red", "green", "blue", "grey"]))
            made = Outcome(
                f"o{challenger}-{case.share}-{i}", f"s{i % 30}", time, time, label, Arm.CHAMPION, champion, one, scores,
                slices=(colour,),
            )  # fmt: skip
            messages.append(NewMessage(topic_name(self.product, "outcomes"), *encode(made)))
            self._newest = time
        self.log.append(messages, datetime.now(UTC))

    def decisions(self) -> list[LedgerEntry]:
        """Return what the ledger says of changes, without what was left alone."""
        return [entry for entry in self.ledger.entries() if entry.kind not in {"left_alone", "history_began"}]

    def last(self) -> LedgerEntry:
        return self.decisions()[-1]

    def story(self) -> object:
        """Return all that may say why something does not happen."""
        return (
            self.registry.aliases(),
            self.cases.load(),
            [(e.kind, e.actor, dict(e.payload)) for e in self.decisions()],
        )

    def _keep(self) -> None:
        from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415

        home, name = self._home, self.product
        stack = memory_stack(self.contract, home, self.log)
        ports = Stack(
            log=self.log,
            online=stack.online,
            offline=stack.offline,
            registry=MlflowRegistry(self._url, home, name),
            cases=SqlCases(self._uri, name),
            ledger=SqlLedger(self._uri, name),
            telemetry=self.telemetry,
            workdir=home,
        )
        workers = build_workers(self.contract, ports, 7, ("decide", "judge", "promote"))
        workers["train"] = build_worker("train", Trainer(ports.registry), self.contract, ports)
        product = Product(self.contract, ports, home)
        rounds = Rounds(product, self.telemetry, workers)
        clock = SystemClock()
        service = Service("healer", self.settings, product, self.telemetry, clock, no_hook, self._life)
        with watched(service, lambda: None, rounds.wake):
            follow_registry(self.contract, self.settings, "healer", WEBHOOK_PATH)
            keep([BackOff(rounds)], clock, Heartbeat(home, "healer", 0), self._life, promptly=False)
