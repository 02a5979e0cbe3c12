"""The alert step over a real log, with a sink that can be switched off."""

from datetime import UTC, datetime, timedelta

from homeostat.adapters.memory import MemoryCases, MemoryLog, MemoryTelemetry
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.codec import TOPIC_OF, encode
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.flow import FLOW, memory_span, topic_name
from homeostat.ports import Alert, NewMessage
from homeostat.records import DriftReport, DriftStatus, Record
from homeostat.steps.alert import AlertStep
from homeostat.worker import Hook, Worker, no_hook

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
HEALTHY, DRIFTED, UNKNOWN = DriftStatus.HEALTHY, DriftStatus.DRIFTED, DriftStatus.UNKNOWN
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
        "drift": {"every": "1h", "window": "2d", "min_rows": 50},
    }
)
ROW = next(row for row in FLOW if row.step == "alert")


class Down:
    """A sink that can be switched off."""

    def __init__(self) -> None:
        self.inner, self.up, self.calls = MemoryAlerts(), True, 0

    def send(self, alert: Alert) -> None:
        self.calls += 1
        if not self.up:
            raise TransientError("nobody there")
        self.inner.send(alert)


class CrashError(Exception):
    """The process died."""


class World:
    """The alert step over a real log; ``look`` is one pass of its worker, ``restart`` a new process."""

    def __init__(self) -> None:
        self.log, self.cases, self.telemetry = MemoryLog(), MemoryCases(), MemoryTelemetry()
        self.sink, self.contract = Down(), CONTRACT
        self.now = START
        self.restart()

    def restart(self, hook: Hook = no_hook) -> None:
        step = AlertStep(self.contract, self.cases, self.sink, self.telemetry)
        self.worker = Worker(
            ROW, step, self.log, self.telemetry,
            product="toys", memory=memory_span("alert", CONTRACT), hook=hook,
        )  # fmt: skip
        self.worker.restore(self.now)

    def write(self, *records: Record) -> None:
        messages = []
        for record in records:
            value, headers = encode(record)
            messages.append(NewMessage(topic_name("toys", TOPIC_OF[type(record)]), value, headers))
        self.log.append(messages, self.now)

    def look(self, *records: Record, after: timedelta = HOUR) -> list[str]:
        """Let the step see records and return the kinds of the alerts that are new."""
        self.now += after
        if records:
            self.write(*records)
        before = len(self.sink.inner.alerts)
        self.worker.run_once(self.now)
        return [alert.kind for alert in self.sink.inner.alerts[before:]]

    def report(self, status: DriftStatus, version: str = "1") -> DriftReport:
        at = self.now + HOUR
        return DriftReport(f"report {at}", at, at - DAY, at, 900, status, version, reasons=("price: PSI 0.4",))
