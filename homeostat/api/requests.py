"""Bodies of requests become records, or a problem that names every bad place.

The parsers that ingestion uses judge the bytes, so that what is accepted here is not refused there.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from homeostat.api.bodies import Limits
from homeostat.api.members import rows_of
from homeostat.api.problems import MOST_FAULTS, Fault, refused
from homeostat.api.questions import Question, QuestionReader
from homeostat.api.reasons import faults_of
from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EARLIEST, EventParser, LabelParser
from homeostat.features.query import Query
from homeostat.steps.ingest import CLOCK_SLACK

Admit = Callable[[int, bool], None]
"""Takes how many rows there are and whether they are for the log; raises where they would not be taken."""

_REFUSED = "nothing was stored"


class Reader:
    """Reads the requests of one product; may be used by several threads."""

    def __init__(self, contract: Contract, limits: Limits, new_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        """Take the contract that records are held against, and where the ids of questions without one come from."""
        self._event_time, self._label_time = contract.event.time, contract.label.time
        self._most_rows = limits.rows
        self._new_id = new_id
        self._events = EventParser(contract)
        self._labels = LabelParser(contract)
        self._questions = QuestionReader(contract)

    def events(self, body: bytes, now: datetime, admit: Admit = lambda *_: None) -> list[bytes]:
        """Return the events of a body, each as its producer wrote it; ``admit`` is asked before they are judged.

        Raises:
            ProblemError: The body or one of its events is not as the contract wants it.
        """
        return self._read(body, "events", lambda raw, at: self._event(raw, at, now), admit)

    def labels(self, body: bytes, now: datetime, admit: Admit = lambda *_: None) -> list[bytes]:
        """Return the labels of a body, each as its producer wrote it; ``admit`` is asked before they are judged.

        Raises:
            ProblemError: The body or one of its labels is not as the contract wants it.
        """
        return self._read(body, "labels", lambda raw, at: self._label(raw, at, now), admit)

    def rows(self, body: bytes, now: datetime, admit: Admit = lambda *_: None) -> list[bytes | Query]:
        """Return the rows to predict: events as bytes, or queries; ``admit`` is asked once the first shows which.

        Raises:
            ProblemError: The body or one of its rows can't be understood.
        """
        return self._read(body, "rows", lambda raw, at: self._row(raw, at, now), admit)

    def _read(
        self, body: bytes, key: str, judge: Callable[[bytes, str], tuple[Any, Sequence[Fault]]], admit: Admit
    ) -> list[Any]:
        records: list[Any] = []
        faults: list[Fault] = []
        rows = rows_of(body, key, self._most_rows)
        for i, raw in enumerate(rows):
            record, found = judge(bytes(raw), f"/{key}/{i}")
            if i == 0:
                admit(len(rows), isinstance(record, bytes))
            records.append(record)
            faults += found
            if len(faults) >= MOST_FAULTS:
                break
        if faults:
            raise refused(faults, _REFUSED)
        return records

    def _event(self, raw: bytes, at: str, now: datetime) -> tuple[bytes, Sequence[Fault]]:
        try:
            event = self._events.parse(raw)
        except InvalidRecordError as error:
            return raw, faults_of(at, str(error))
        return raw, _unfit(event.event_time, f"{at}/{self._event_time}", now)

    def _label(self, raw: bytes, at: str, now: datetime) -> tuple[bytes, Sequence[Fault]]:
        try:
            label = self._labels.parse(raw)
        except InvalidRecordError as error:
            return raw, faults_of(at, str(error))
        return raw, _unfit(label.label_time, f"{at}/{self._label_time}", now)

    def _row(self, raw: bytes, at: str, now: datetime) -> tuple[bytes | Query, Sequence[Fault]]:
        asked = self._questions.read(raw, at)
        if isinstance(asked, bytes):
            return self._event(asked, f"{at}/event", now)
        if isinstance(asked, Question):
            time = now if asked.event_time is None else asked.event_time
            query = Query(asked.event_id or self._new_id(), asked.entity, time.astimezone(UTC), asked.features)
            return query, _unfit(time, f"{at}/event_time", now)
        return b"", asked


def _unfit(time: datetime, at: str, now: datetime) -> Sequence[Fault]:
    """Refuse a time that can't be, which ingestion would set aside when nobody can take it back any more."""
    if time < EARLIEST:
        return [(at, f"is {time.isoformat()}, expected a time from {EARLIEST.year} on")]
    if time > now + CLOCK_SLACK:
        return [
            (at, f"is {time.isoformat()}, ahead of the clock, which shows {now.isoformat()}: expected a minute at most")
        ]
    return ()
