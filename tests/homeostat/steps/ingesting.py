"""Calls of lines for the tests of ingestion: a contract, events and labels of it, and stores that remember."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.records import DeadLetter, FeatureRow, RawEvent, RawLabel, Record

START = datetime(2024, 3, 1, tzinfo=UTC)


class FakeStores:
    """The online store and the telemetry, on one dictionary each."""

    def __init__(self) -> None:
        self.online: dict[str, FeatureRow] = {}
        self.counts: dict[tuple[str, ...], float] = {}
        self.gauges: dict[str, float] = {}
        self.times: dict[str, datetime] = {}
        self.broken = False

    def write(self, rows: Sequence[FeatureRow]) -> None:
        if self.broken:
            raise TransientError("the disk is full")
        self.online.update((row.entity_id, row) for row in sorted(rows, key=lambda row: row.event_time))

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        key = (name, *labels.values())
        self.counts[key] = self.counts.get(key, 0) + value

    def gauge(self, name: str, value: float, **_labels: str) -> None:
        self.gauges[name] = value

    def timestamp(self, name: str, at: datetime, now: datetime, *, product: str, lane: str) -> None:
        assert now >= at
        assert (product, lane) == ("calls", "0")
        self.times[name] = at

    def observe(self, name: str, value: float, **_labels: str) -> None:
        raise AssertionError(name, value)


CONTRACT = Contract.model_validate(
    {
        "product": "calls",
        "event": {"entity": "line", "fields": {"line": "string", "seconds": {"type": "number", "nullable": True}}},
        "label": {"field": "fault", "delay": "10m", "maturity": "3h"},
        "features": {
            "seconds": {"field": "seconds"},
            "calls_2h": {"aggregate": "count", "by": ["line"], "over": "2h"},
            "faults_2h": {"aggregate": "mean", "of": "fault", "by": ["line"], "over": "2h"},
        },
    }
)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(event_id: str, minutes: float, line: str = "red", **fields: Any) -> RawEvent:
    raw = {"event_id": event_id, "event_time": at(minutes).isoformat(), "line": line, "seconds": 1.0, **fields}
    return RawEvent(json.dumps(raw).encode())


def label(event_id: str, minutes: float, fault: Any = 1) -> RawLabel:
    return RawLabel(json.dumps({"event_id": event_id, "label_time": at(minutes).isoformat(), "fault": fault}).encode())


def only(kind: type[Any], records: Sequence[Record]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def reasons(records: Sequence[Record]) -> list[str]:
    return [letter.reason for letter in only(DeadLetter, records)]
