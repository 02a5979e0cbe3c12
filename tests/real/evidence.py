"""What must hold of an instance's stores after any crash: what was acknowledged is there, once by its id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homeostat.adapters.sql import SqlLedger
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.bootstrap import ledger_uri, product_home
from homeostat.flow import FLOW, dead_letters, topic_name
from homeostat.ports import EventLog
from homeostat.records import FeatureRow, Label, Outcome, Prediction, Record
from homeostat.tail import Tail

PRODUCT = "turbines"


@dataclass
class Sent:
    """What a producer sent, by event id."""

    events: dict[str, str] = field(default_factory=dict)  # the entity
    labels: dict[str, float] = field(default_factory=dict)
    predictions: dict[str, str] = field(default_factory=dict)  # the prediction's id, as it was answered


class Evidence:
    """The stores of one product, read from outside."""

    def __init__(self, instance: Path, product: str = PRODUCT, log: EventLog | None = None) -> None:
        self.product = product
        self.home = product_home(instance, product)
        self.log = SqliteLog(self.home / "log.db") if log is None else log
        self._begun: dict[str, int] = {}

    def begin(self) -> None:
        """Leave what is there by now out of all that follows."""
        names = {topic for row in FLOW for topic in row.produces}
        self._begun = {name: self.log.end(topic_name(self.product, name)) for name in names}

    def records(self, topic: str) -> list[Record]:
        return [record for _, record in Tail(self.log, self.product).after(topic, self._begun.get(topic, 0))]

    def predicted(self) -> dict[str, set[str]]:
        """The ids of each event's predictions; one written again has the same id."""
        ids: dict[str, set[str]] = {}
        for record in self.records("predictions"):
            assert isinstance(record, Prediction)
            ids.setdefault(record.event_id, set()).add(record.prediction_id)
        return ids

    def unread(self, *but: str) -> dict[str, int]:
        """How much each step has still to read of each topic, where it is anything."""
        rows = [(row.step, topic_name(self.product, t)) for row in FLOW if row.step not in but for t in row.consumes]
        left = {f"{step} {name}": self.log.end(name) - self.log.committed(step, name) for step, name in rows}
        return {what: count for what, count in left.items() if count}

    def check(self, acknowledged: Sent, tried: Sent | None = None) -> None:
        """Hold the stores against what was sent: nothing acknowledged is missing, nothing is there that nobody sent.

        Args:
            acknowledged: What was answered for.
            tried: What may have come in without an answer too; None: the same.
        """
        tried = tried or acknowledged
        for row in FLOW:
            assert self.log.end(topic_name(self.product, dead_letters(row.step))) == 0, row.step
        rows = {r.event_id: r.entity_id for r in self.records("features") if isinstance(r, FeatureRow)}
        assert acknowledged.events.items() <= rows.items() <= tried.events.items()
        known = {r.event_id: r.value for r in self.records("labels") if isinstance(r, Label)}
        assert acknowledged.labels.items() <= known.items() <= tried.labels.items()
        self.check_predictions(rows, acknowledged.predictions)

    def check_predictions(self, events: Iterable[str], answered: Mapping[str, str]) -> None:
        """Hold the log's predictions against what each event and each answer must have there: one, by its id."""
        ids = self.predicted()
        assert set(events) <= set(ids)
        assert all(len(found) == 1 for found in ids.values())
        assert all(ids[event_id] == {prediction} for event_id, prediction in answered.items())

    def check_outcomes(self, labels: Mapping[str, float]) -> None:
        """Hold every outcome that was released against its label, however often it was released."""
        outcomes = [r for r in self.records("outcomes") if isinstance(r, Outcome)]
        assert {o.event_id for o in outcomes} == set(labels)
        assert all(o.label == labels[o.event_id] for o in outcomes)

    def counts(self, acknowledged: Sent) -> list[str]:
        """Say how much was acknowledged, and how much of it is there: never, once, or again under the same id."""
        rows = []
        for what, topic, ids in (
            ("events", "features", set(acknowledged.events)),
            ("predictions", "predictions", set(acknowledged.predictions)),
            ("labels", "labels", set(acknowledged.labels)),
        ):
            found = [r.event_id for r in self.records(topic) if isinstance(r, FeatureRow | Prediction | Label)]
            lost, again = len(ids - set(found)), len(found) - len(set(found))
            rows.append(f"{what}: {len(ids)} acknowledged, {lost} lost, {again} written again under the same id")
        return rows

    def ledger_entries(self) -> int:
        return SqlLedger(ledger_uri(self.home), self.product).verify()
