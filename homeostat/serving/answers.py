"""Finds the answer to each event asked about in what the steps make of it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.query import Query
from homeostat.records import DeadLetter, Prediction, Record
from homeostat.serving.work import Answer, Asking
from homeostat.worker import Step


class Overheard:
    """A step that tells somebody else, too, what it makes."""

    def __init__(self, step: Step, listener: Callable[[Sequence[Record]], None]) -> None:
        """Take the step and who is told."""
        self._step = step
        self._listener = listener

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Let the step handle the records."""
        made = self._step.handle(records, now)
        self._listener(made)
        return made

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Let the step restore its memory."""
        self._step.restore(records, now)

    def tick(self, now: datetime) -> list[Record]:
        """Let the step tick."""
        return self._step.tick(now)


class Answers:
    """Keeps the predictions and refusals that somebody waits for, whichever batch they are made in."""

    def __init__(self, contract: Contract) -> None:
        """Take where the contract has the id of an event."""
        id_only = msgspec.defstruct("IdOnly", [("event_id", str)], rename={"event_id": contract.event.id})
        self._decode_id: Callable[[bytes], Any] = msgspec.json.Decoder(id_only).decode
        self._ids: set[str | None] = set()
        self._values: set[bytes] = set()
        self._predictions: dict[str, Prediction] = {}
        self._refusals: dict[bytes, str] = {}  # by the bytes: another event with the same id may be a good one

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for what becomes of an event."""
        return bool(self._values)

    def id_of(self, row: bytes | Query) -> str | None:
        """Return the id of an event, None where it can't be read (ingestion will say why) and for a query."""
        if isinstance(row, Query):
            return None
        try:
            event_id: str = self._decode_id(row).event_id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return event_id

    def expect(self, waiting: Iterable[Asking]) -> None:
        """Take who waits now; what nobody waits for any more is forgotten."""
        waiting = tuple(waiting)
        self._ids = {event_id for asking in waiting for event_id in asking.ids if event_id is not None}
        self._values = {row for asking in waiting for row in asking.asked if isinstance(row, bytes)}
        self._predictions = {key: found for key, found in self._predictions.items() if key in self._ids}
        self._refusals = {key: found for key, found in self._refusals.items() if key in self._values}

    def hear(self, made: Sequence[Record]) -> None:
        """Keep what is waited for among a step's records."""
        if not self._values:
            return
        for record in made:
            if isinstance(record, Prediction):
                if record.event_id in self._ids:
                    self._predictions[record.event_id] = record
            elif isinstance(record, DeadLetter) and record.value in self._values:
                self._refusals[record.value] = record.reason

    def of(self, asking: Asking) -> list[Answer | None]:
        """Return the answer to each row so far, None for a query and for an event not dealt with yet."""
        return [self._of(row, event_id) for row, event_id in zip(asking.asked, asking.ids, strict=True)]

    def _of(self, row: bytes | Query, event_id: str | None) -> Answer | None:
        if isinstance(row, Query):
            return None
        if row in self._refusals:
            return InvalidRecordError(self._refusals[row])
        return self._predictions.get(event_id) if event_id is not None else None
