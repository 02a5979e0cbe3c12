from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryLog, MemoryRegistry, MemoryTelemetry
from homeostat.codec import TOPIC_OF, decode, encode
from homeostat.contract.model import Contract
from homeostat.errors import ModelError, TransientError
from homeostat.flow import FLOW, memory_span, topic_name
from homeostat.ports import ModelPackage, NewMessage, OperatorDecision
from homeostat.records import (
    Arm,
    DriftReport,
    DriftStatus,
    Outcome,
    Record,
    RetrainRequest,
    TrainingRun,
    TrainingStatus,
    derived_id,
)
from homeostat.steps.decide import DecideStep
from homeostat.steps.judge import JudgeStep
from homeostat.steps.promote import PromoteStep
from homeostat.worker import Step, Worker
from tests.homeostat.healing.crashing import ANSWERED, AWAY, UNHEARD, CrashError, Crashing, crash

START = datetime(2013, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.model_validate(
        {
            "product": "toys",
            "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
            "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
            "features": {"price": {"field": "price"}},
            "healing": {"cooldown": "1d", "confirm": 2, "min_rows_after_drift": 1000},
            "training": {"cold_start_after": "7d"},
            "canary": {"share": 0.1, "min_rows": 50, "max_duration": "3d", "watch": "3d"},
            "budget": {"max_trainings": 3, "per": "30d"},
        }
    )


def make_report(hours: float, status: DriftStatus = DriftStatus.DRIFTED, **changes: Any) -> DriftReport:
    at = START + hours * HOUR
    usual = {"rows": 2000, "version": "1", "reasons": ("price moved",), "labelled_since": 1500}
    values: dict[str, Any] = usual | changes
    return DriftReport(f"report-{hours}", at, at - 168 * HOUR, at, status=status, **values)


@pytest.fixture(scope="session")
def report() -> Callable[..., DriftReport]:
    return make_report


class Trainer:
    """Answers each request as it was told to; a candidate is registered once by request."""

    def __init__(self, registry: MemoryRegistry, plan: dict[str, Any]) -> None:
        self._registry, self._plan = registry, plan

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        return [self.answer(record, now) for record in records if isinstance(record, RetrainRequest)]

    def restore(self, records: Sequence[Record], now: datetime) -> None: ...

    def tick(self, now: datetime) -> list[Record]:
        return []

    def answer(self, request: RetrainRequest, now: datetime) -> TrainingRun:
        status = self._plan["next"]
        good = status is TrainingStatus.CANDIDATE
        version = self._registry.register(ModelPackage({}), request.request_id) if good else None
        run_id = derived_id(request.request_id, "run")
        receipt = self._plan.get("receipt", {})
        return TrainingRun(run_id, request.request_id, status, version, "as planned", 1.0, now, receipt)


class Rig:
    """The healer and the judge over memory, with a trainer and a stream that do as they are told."""

    def __init__(self, contract: Contract, crash_at: int | None = None, happen: Callable[[], None] = crash) -> None:
        """``happen`` comes to pass after the call ``crash_at`` of all ports, in place of a crash."""
        self.contract = contract
        self._happen = happen
        self.now = START
        self.log, self.registry, self.cases = MemoryLog(), MemoryRegistry(), MemoryCases()
        self.ledger, self.telemetry = MemoryLedger(), MemoryTelemetry()
        self.plan: dict[str, Any] = {"next": TrainingStatus.CANDIDATE}
        self.calls = [0]
        self.fates: deque[str] = deque()  # of the next calls of the registry; the later ones are answered
        self._crash_at = crash_at
        self._rows = 0
        self.restart()

    def restart(self) -> None:
        """Lose all memory, as a killed process does, and start again."""
        watched = partial(Crashing, calls=self.calls, last=self._crash_at, happen=self._happen)
        cases, ledger, registry = watched(self.cases), watched(self.ledger), watched(self.registry, fates=self.fates)
        c, t = self.contract, self.telemetry
        steps: dict[str, Step] = {
            "decide": DecideStep(c, registry, cases, ledger, t, 7),
            "train": Trainer(self.registry, self.plan),
            "judge": JudgeStep(c, registry, cases, t),
            "promote": PromoteStep(c, registry, cases, ledger, t),
        }
        memory = {"decide": timedelta(days=60)}  # the whole story
        self.workers = [
            Worker(
                row,
                steps[row.step],
                self.log,
                t,
                product=c.product,
                memory=memory.get(row.step, memory_span(row.step, c)),
            )
            for row in FLOW
            if row.step in steps
        ]
        for worker in self.workers:
            worker.restore(self.now)

    def crash_after(self, calls: int) -> None:
        """Let the process die after so many more calls of its ports."""
        self._crash_at = self.calls[0] + calls
        self._restart_until_alive()

    def run(self, hours: float = 0) -> None:
        """Let time pass, then run every step until nothing moves; a crash is followed by a restart."""
        self.now += hours * HOUR
        while True:
            try:
                if not self._move():
                    return
            except CrashError:
                self._restart_until_alive()
            except TransientError:
                continue

    def run_part_way(self, calls: int) -> None:
        """Run until the process dies after so many calls, its registry is lost or nothing moves, and leave it there."""
        self.crash_after(calls)
        try:
            while self._move():
                pass
        except (CrashError, TransientError):
            self._restart_until_alive()

    def judged(self) -> bool:
        """Let the judge look, and say whether it has: the process may die of it, or the registry be away."""
        try:
            self.workers[-2].run_once(self.now)
        except CrashError:
            self._restart_until_alive()
            return False
        except TransientError:
            return False
        return True

    def run_until_published(self, topic: str) -> None:
        """Run step by step, and stop where the first of such messages is out."""
        known = len(self.published(topic))
        for worker in self.workers:
            worker.run_once(self.now)
            if len(self.published(topic)) > known:
                return

    def _move(self) -> int:
        return sum([worker.run_once(self.now) for worker in self.workers])

    def lose_registry(self, calls: int, more: int, *, carried_out: bool) -> None:
        """Let the registry be away after so many more calls, for one, that may yet be carried out, and some more."""
        self.fates.extend([ANSWERED] * calls + [UNHEARD if carried_out else AWAY] + [AWAY] * more)

    def _restart_until_alive(self) -> None:
        try:
            self.restart()
        except CrashError:
            self.restart()

    def put(self, *records: Record) -> None:
        """Publish records, as the detector and the joiner do."""
        messages = []
        for record in records:
            value, headers = encode(record)
            messages.append(NewMessage(topic_name(self.contract.product, TOPIC_OF[type(record)]), value, headers))
        self.log.append(messages, self.now)

    def report(self, status: DriftStatus = DriftStatus.DRIFTED, hours: float = 1) -> None:
        """Publish a drift report on whoever serves, and run."""
        self.now += hours * HOUR
        version = self.registry.aliases().champion
        elapsed = (self.now - START) / HOUR
        self.put(make_report(elapsed, status, version=version))
        self.run()

    def outcomes(self, scores: dict[str, float], hours: int = 12, served: str | None = None) -> None:
        """Publish six mature rows an hour, scored as given where the label is 1, else as surely, and run."""
        self.label(scores, hours, served)
        self.run()

    def label(self, scores: dict[str, float], hours: int = 12, served: str | None = None) -> None:
        """Publish outcomes, and let the time pass that their labels take."""
        served = served or str(self.registry.aliases().champion)
        rows = []
        for i in range(6 * hours):
            self._rows += 1
            time = self.now + i * HOUR / 6
            jitter = (self._rows % 7) / 200  # so that the difference has a spread
            ours = {version: score - jitter * (version == max(scores)) for version, score in scores.items()}
            label = float(self._rows % 2)
            if not label:
                ours = {version: 1 - score for version, score in ours.items()}
            rows.append(Outcome(f"o{self._rows}", "e", time, time, label, Arm.CHAMPION, served, ours.get(served), ours))
        self.now += (hours + 24) * HOUR
        self.put(*rows)

    def decide(self, word: str, version: str | None = None, reason: str | None = "so") -> str | None:
        """Let an operator decide on a version, or on the model itself, run, and return the answer."""
        self.registry.decide(OperatorDecision(version, word, "ann", reason))
        self.run()
        return self.registry.answered(version)

    def has(self, version: str) -> bool:
        """Say whether there is such a version."""
        try:
            self.registry.answered(version)
        except ModelError:
            return False
        return True

    @property
    def versions(self) -> int:
        """How many versions were registered."""
        return len([run for run in self.published("training_runs").values() if run.version is not None])

    def canary(self) -> None:
        """Let a confirmed drift lead to a canary."""
        self.report()
        self.report()

    def published(self, topic: str) -> dict[str, Record]:
        """Return what was published, by the id in its first field."""
        messages = self.log.read(topic_name(self.contract.product, topic), 0, 10_000)
        records = [decode(topic, message.value, message.headers) for message in messages]
        return {getattr(record, record.__slots__[0]): record for record in records}

    def first_champion(self) -> None:
        """Live through the cold start until the case is stable again."""
        self.report(DriftStatus.UNKNOWN)
        self.run(8 * 24)
        self.run(25)


@pytest.fixture
def rig(contract: Contract) -> Rig:
    return Rig(contract)


@pytest.fixture
def promoted(rig: Rig) -> Rig:
    """Version 2 has replaced version 1, which an operator wanted; nothing is open."""
    rig.first_champion()
    rig.canary()
    rig.decide("approve", "2")
    rig.run(25)
    return rig


@pytest.fixture(scope="session")
def new_rig(contract: Contract) -> Callable[..., Rig]:
    return lambda crash_at=None: Rig(contract, crash_at)


@pytest.fixture(scope="session")
def rig_of() -> Callable[..., Rig]:
    return Rig


@pytest.fixture(scope="session")
def manual(contract: Contract) -> Contract:
    return contract.model_copy(update={"canary": contract.canary.model_copy(update={"approval": "manual"})})


@pytest.fixture(scope="session")
def new_manual_rig(manual: Contract) -> Callable[..., Rig]:
    return lambda crash_at=None: Rig(manual, crash_at)


@pytest.fixture
def manual_rig(manual: Contract) -> Rig:
    return Rig(manual)
