"""Follows what the loop decides, by reading its topics as any other consumer would."""

from collections.abc import Iterator
from datetime import UTC, datetime

from homeostat.codec import decode_all
from homeostat.errors import HomeostatError, TransientError
from homeostat.flow import FLOW, dead_letters, topic_name
from homeostat.ports import EventLog, Message
from homeostat.records import Action, DriftReport, Outcome, Promotion, Record, RetrainRequest, TrainingRun

PAGE = 5_000
FOLLOWED = ("drift_reports", "retrain_requests", "training_runs", "promotions")
Decision = RetrainRequest | TrainingRun | Promotion
BEGINNING = datetime.min.replace(tzinfo=UTC)
_TRIES = 5  # to read a page while another process trims the topic


class Tail:
    """Keeps every report and decision of a run, in order; what retention has trimmed is left out.

    A decision that was told again, as a healer does when it starts, is kept once.
    """

    def __init__(self, log: EventLog, product: str) -> None:
        """Start at the first message kept of each of the product's topics."""
        self._log = log
        self._product = product
        self._positions = dict.fromkeys(FOLLOWED, 0)
        self.reports: list[DriftReport] = []
        self.story: list[Decision] = []
        self._told: set[str] = set()

    @property
    def decisions(self) -> tuple[str, ...]:
        """Every decision so far in words, oldest first."""
        return tuple(words(record) for record in self.story)

    def follow(self) -> None:
        """Read what has come since the last call."""
        for topic in FOLLOWED:
            for offset, record in self.after(topic, self._positions[topic]):
                self._positions[topic] = offset + 1
                if isinstance(record, DriftReport):
                    self.reports.append(record)
                elif isinstance(record, Decision) and (told := _id(record)) not in self._told:
                    self._told.add(told)
                    self.story.append(record)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield every released outcome; one released twice comes twice."""
        for _, record in self.after("outcomes"):
            if isinstance(record, Outcome):
                yield record

    def newest(self, topic: str, rows: int) -> list[Record]:
        """Return the last ``rows`` records of a topic, oldest first."""
        start = self._log.end(topic_name(self._product, topic)) - rows
        return [record for _, record in self.after(topic, max(start, 0))]

    def last_time(self, topic: str) -> datetime | None:
        """Return when the last message of a topic was appended, None where none is kept."""
        name = topic_name(self._product, topic)
        page = self._page(name, max(0, self._log.end(name) - 1))
        return page[-1].time if page else None

    def quarantined(self) -> int:
        """Return how many records ever went to a dead-letter topic."""
        return sum(self._log.end(topic_name(self._product, dead_letters(row.step))) for row in FLOW)

    def after(self, topic: str, offset: int = 0) -> Iterator[tuple[int, Record]]:
        """Yield the records of a topic with their offsets, from ``offset`` or the first one kept on."""
        for message in self.messages(topic, offset):
            for record in decode_all(topic, message.value, message.headers):
                yield message.offset, record

    def messages(self, topic: str, offset: int = 0) -> Iterator[Message]:
        """Yield the messages of a topic as they are, from ``offset`` or the first one kept on."""
        name = topic_name(self._product, topic)
        while page := self._page(name, offset):
            yield from page
            offset = page[-1].offset + 1

    def _page(self, name: str, offset: int) -> list[Message]:
        """Return the messages from ``offset`` on, or from the first one kept: retention may trim at any moment."""
        for _ in range(_TRIES - 1):
            start = max(offset, self._log.offset_at(name, BEGINNING))
            try:
                return self._log.read(name, start, PAGE)
            except TransientError:
                raise
            except HomeostatError:  # trimmed between the two calls
                continue
        return self._log.read(name, max(offset, self._log.offset_at(name, BEGINNING)), PAGE)


def _id(record: Decision) -> str:
    match record:
        case RetrainRequest():
            return record.request_id
        case TrainingRun():
            return record.run_id
        case Promotion():
            return record.promotion_id


def words(record: Decision) -> str:
    """Return one line for a decision."""
    at, text = said(record)
    return f"{at:%Y-%m-%d} {text}"


def said(record: Decision) -> tuple[datetime, str]:
    """Return when a decision was made and what it says."""
    match record:
        case RetrainRequest():
            return record.requested_at, f"retrain: {record.reason}"
        case TrainingRun():
            return record.finished_at, f"training {record.status}: {record.reason}"
        case Promotion():
            return record.at, f"{record.action} version {record.version}: {record.reason}"


def count(story: list[Decision], action: Action) -> int:
    """Return how often the story took an action."""
    return sum(isinstance(record, Promotion) and record.action is action for record in story)
