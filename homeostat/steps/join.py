"""Predictions meet their labels: once, late, twice, or never."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from homeostat.codec import encode
from homeostat.contract.durations import spoken
from homeostat.contract.model import Contract
from homeostat.metric_names import LABEL_MATURITY, LABELS
from homeostat.ports import Telemetry
from homeostat.records import DeadLetter, Label, Outcome, Prediction, Record, derived_id


class JoinStep:
    """Holds a prediction until its label is mature, then releases it as an outcome.

    Labels of one kind often come sooner than those of the other (who pays, pays before the reminder), so
    rows judged as soon as they are labelled are a biased sample. Nothing is released before
    ``event_time + label.maturity``; by then a label has come or never will.
    """

    def __init__(self, contract: Contract, telemetry: Telemetry) -> None:
        """Take the contract for its maturity limit."""
        self._product = contract.product
        self._maturity = contract.label.maturity
        self._slices = tuple(contract.feature_names.index(name) for name in contract.canary.slices)
        self._telemetry = telemetry
        self._pending: dict[str, Prediction] = {}
        self._labels: dict[str, Label] = {}
        self._released: dict[str, datetime] = {}  # event times, for a span of maturity: see ``_fold``

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:  # noqa: ARG002 - the worker's shape
        """Remember predictions and labels; they leave again by ``tick``."""
        self._fold(records)
        return []

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold records; what was released before a restart is released again and changes nothing.

        An old label for which no prediction is in sight has done its work before the restart.
        """
        self._fold(records)
        limit = now - self._maturity
        self._labels = {
            key: label for key, label in self._labels.items() if label.label_time > limit or key in self._pending
        }

    def tick(self, now: datetime) -> list[Record]:
        """Release every prediction that is mature by now in event-time order, and labels nobody waits for."""
        limit = now - self._maturity
        mature = [p for p in self._pending.values() if p.event_time <= limit]
        mature.sort(key=lambda p: (p.event_time, p.event_id))
        outcomes = [self._release(prediction) for prediction in mature]
        self._forget(limit - self._maturity)
        if outcomes:
            labelled = sum(outcome.label is not None for outcome in outcomes)
            self._telemetry.gauge(LABEL_MATURITY, labelled / len(outcomes), product=self._product)
            self._count("never", len(outcomes) - labelled)
        return [*outcomes, *self._orphans(limit, now)]

    def _fold(self, records: Sequence[Record]) -> None:
        """Take what has come.

        A prediction published twice by a crash may come again when its outcome is out and its label gone; a
        second outcome, without the label, must not follow.
        """
        fates: Counter[str] = Counter()
        for record in records:
            if isinstance(record, Prediction):
                if record.event_id not in self._released:
                    self._pending.setdefault(record.event_id, record)
            elif isinstance(record, Label):
                fates[self._keep(record)] += 1
        for fate, rows in fates.items():
            self._count(fate, rows)

    def _keep(self, label: Label) -> str:
        """Keep the label that holds, and return what this one is."""
        known = self._labels.get(label.event_id)
        if known is None or label.label_time >= known.label_time:
            self._labels[label.event_id] = label
        if known is None:
            return "first"
        return "repeated" if known.value == label.value else "corrected"

    def _release(self, prediction: Prediction) -> Outcome:
        del self._pending[prediction.event_id]
        self._released[prediction.event_id] = prediction.event_time
        label = self._labels.pop(prediction.event_id, None)
        return Outcome(
            event_id=prediction.event_id,
            entity_id=prediction.entity_id,
            event_time=prediction.event_time,
            label_time=label.label_time if label else None,
            label=label.value if label else None,
            arm=prediction.arm,
            version=prediction.version,
            score=prediction.score,
            scores=prediction.scores,
            values=prediction.values if prediction.on_request else (),
            slices=tuple(str(prediction.values[i]) for i in self._slices),
            spared=prediction.spared,
        )

    def _orphans(self, limit: datetime, now: datetime) -> list[DeadLetter]:
        """Give up labels that waited a whole maturity span for a prediction: it may merely be slow before."""
        lost = [x for x in self._labels.values() if x.label_time <= limit and x.event_id not in self._pending]
        letters = []
        for label in lost:
            del self._labels[label.event_id]
            self._count("orphan", 1)
            reason = (
                f"label of event {label.event_id!r} at {label.label_time.isoformat()}: no prediction waits for it "
                "- the event id is unknown, its event was set aside itself, "
                f"or the label came more than {spoken(self._maturity)} after its event"
            )
            value, _ = encode(label)
            letters.append(DeadLetter(derived_id("labels", label.event_id), "labels", reason, value, now))
        return letters

    def _forget(self, horizon: datetime) -> None:
        """Drop what was released longest ago; outcomes go out in event-time order, so those come first."""
        while self._released and next(iter(self._released.values())) < horizon:
            del self._released[next(iter(self._released))]

    def _count(self, fate: str, rows: int) -> None:
        if rows:
            self._telemetry.count(LABELS, rows, product=self._product, fate=fate)
