"""alert: tells people what they would want to be woken for, or at least to read in the morning."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.healing import notices
from homeostat.healing.closing import approval_due
from homeostat.healing.label_watch import LabelWatch
from homeostat.healing.streak import Streak
from homeostat.metric_names import ALERTS
from homeostat.ports import Alert, AlertSink, CaseStore, Telemetry
from homeostat.records import (
    Case,
    CaseState,
    DataIncident,
    DriftReport,
    DriftStatus,
    Outcome,
    Promotion,
    Record,
    TrainingRun,
    TrainingStatus,
)

_MOST_TRIES = 10  # with the waits between them some 4 hours
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_WAITING = 1_000  # alerts; a sink that is down for days must not fill the memory

_log = logging.getLogger("homeostat.alert")


@dataclass(frozen=True, slots=True)
class _Waiting:
    alert: Alert
    tries: int = 0
    due: datetime | None = None  # None: at once


class AlertStep:
    """Turns what happened into alerts, each once by its cause.

    A sink that fails keeps nothing from going on: an alert is tried again later, a bounded number of times, then
    given up, counted and logged. What waits is lost with the process, what was sent is not sent again: the
    offsets are committed behind it, and the sink knows its id.
    """

    def __init__(self, contract: Contract, cases: CaseStore, sink: AlertSink, telemetry: Telemetry) -> None:
        """Take where the case is read and where alerts go."""
        self._contract = contract
        self._product = contract.product
        self._cases = cases
        self._sink = sink
        self._telemetry = telemetry
        self._streak = Streak()
        self._broken: dict[tuple[str, tuple[str, ...]], DataIncident] = {}  # faults of the newest rows
        self._labels = LabelWatch(contract.drift.window, contract.label.maturity, contract.drift.min_rows)
        self._labels_stale = False
        self._asked_at: datetime | None = None  # for an approval
        self._is_last_call = False
        self._known: set[str] = set()  # ids that this process has queued
        self._waiting: list[_Waiting] = []

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Send what the records give cause for; nothing follows from an alert."""
        self._queue(self._alerts(records))
        self._deliver(now)
        return []

    def restore(self, records: Sequence[Record], now: datetime) -> None:  # noqa: ARG002 - the worker's shape
        """Fold records that were told about before a restart."""
        for _ in self._alerts(records):
            pass

    def tick(self, now: datetime) -> list[Record]:
        """Send what the passing of time gives cause for, and try again what could not be sent."""
        self._queue(self._approval(self._cases.load(), now))
        stale = self._labels.finding()
        if stale is not None and not self._labels_stale:
            self._queue([notices.labels_stale(self._product, stale, now)])
        self._labels_stale = stale is not None
        self._deliver(now)
        return []

    def _approval(self, case: Case, now: datetime) -> list[Alert]:
        """Return what asks for an approval: at once, each day, and when its time is nearly over."""
        if case.state is not CaseState.WAITING:
            self._asked_at, self._is_last_call = None, False
            return []
        due = approval_due(case, self._contract.canary.approval_deadline)
        is_last, was_last = notices.is_last_call(case, due, now), self._is_last_call
        if self._asked_at is not None and now - self._asked_at < notices.REMIND and is_last == was_last:
            return []
        self._asked_at, self._is_last_call = now, is_last
        return [notices.approval_wanted(self._product, case, due, now)]

    def _alerts(self, records: Sequence[Record]) -> Iterator[Alert]:
        """Fold records into memory and give the alerts they are the cause of."""
        for record in records:
            if isinstance(record, DriftReport):
                yield from self._drift(record)
                yield from self._incidents(record)
            elif isinstance(record, TrainingRun) and record.status is TrainingStatus.FAILED:
                yield notices.training_failed(self._product, record)
            elif isinstance(record, Promotion) and (alert := notices.canary(self._product, record)):
                yield alert
        self._labels.fold(record for record in records if isinstance(record, Outcome))

    def _drift(self, report: DriftReport) -> Iterator[Alert]:
        before, after = self._streak, self._streak.after(report)
        if after is before:  # seen already
            return
        self._streak = after
        version = before.latest.version if before.latest else None
        if before.drifted and (after.drifted == 0 or report.version != version):
            yield notices.drift_ended(self._product, report, drifted=before.drifted, version=version)
        if report.status is DriftStatus.DRIFTED and after.drifted == 1:
            yield notices.drift_began(self._product, report)

    def _incidents(self, report: DriftReport) -> Iterator[Alert]:
        """Give an alert for each fault that the newest rows have, and for each that they have no more."""
        before, self._broken = self._broken, {(one.kind, one.columns): one for one in report.incidents if one.active}
        for key, incident in self._broken.items():
            if key not in before:
                yield notices.data_incident(self._product, report, incident)
        for key, incident in before.items():
            if key not in self._broken:
                yield notices.data_incident_ended(self._product, report, incident)

    def _queue(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            if alert.alert_id in self._known:
                continue
            self._known.add(alert.alert_id)
            if len(self._waiting) >= _MOST_WAITING:
                self._give_up(alert, f"{_MOST_WAITING} others wait already")
            else:
                self._waiting.append(_Waiting(alert))

    def _deliver(self, now: datetime) -> None:
        """Send what is due in order; the first failure ends the round, for the next would wait in vain too."""
        for waiting in [one for one in self._waiting if one.due is None or one.due <= now]:
            self._waiting.remove(waiting)
            try:
                self._sink.send(waiting.alert)
            except TransientError as error:
                self._put_off(waiting, error, now)
                return
            self._count(waiting.alert, "sent")

    def _put_off(self, waiting: _Waiting, error: TransientError, now: datetime) -> None:
        tries = waiting.tries + 1
        if tries >= _MOST_TRIES:
            self._give_up(waiting.alert, f"{tries} tries: {error}")
            return
        wait = min(_FIRST_WAIT * 2**waiting.tries, _LONGEST_WAIT)
        _log.warning("%s: alert %s waits for %s: %s", self._product, waiting.alert.alert_id, wait, error)
        self._waiting.insert(0, replace(waiting, tries=tries, due=now + wait))

    def _give_up(self, alert: Alert, why: str) -> None:
        _log.error("%s: alert given up after %s: %s: %s", self._product, why, alert.kind, alert.what)
        self._count(alert, "given_up")

    def _count(self, alert: Alert, fate: str) -> None:
        self._telemetry.count(ALERTS, product=self._product, kind=alert.kind, fate=fate)
