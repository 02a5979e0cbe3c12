"""Follows what the loop decides, by reading its topics as any other consumer would."""

from collections.abc import Iterator

from homeostat.codec import decode
from homeostat.flow import FLOW, dead_letters, topic_name
from homeostat.ports import EventLog
from homeostat.records import Action, DriftReport, Outcome, Promotion, Record, RetrainRequest, TrainingRun

PAGE = 5_000
FOLLOWED = ("drift_reports", "retrain_requests", "training_runs", "promotions")


class Tail:
    """Keeps every report and decision of a run, in order."""

    def __init__(self, log: EventLog, product: str) -> None:
        """Start at the beginning of the product's topics."""
        self._log = log
        self._product = product
        self._positions = dict.fromkeys(FOLLOWED, 0)
        self.reports: list[DriftReport] = []
        self.story: list[RetrainRequest | TrainingRun | Promotion] = []

    @property
    def decisions(self) -> tuple[str, ...]:
        """Every decision so far in words, oldest first."""
        return tuple(words(record) for record in self.story)

    def follow(self) -> None:
        """Read what has come since the last call."""
        for topic in FOLLOWED:
            for record in self._records(topic, self._positions[topic]):
                self._positions[topic] += 1
                if isinstance(record, DriftReport):
                    self.reports.append(record)
                elif isinstance(record, RetrainRequest | TrainingRun | Promotion):
                    self.story.append(record)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield every released outcome; one released twice comes twice."""
        for record in self._records("outcomes", 0):
            if isinstance(record, Outcome):
                yield record

    def quarantined(self) -> int:
        """Return how many records went to a dead-letter topic."""
        return sum(self._log.end(topic_name(self._product, dead_letters(row.step))) for row in FLOW)

    def _records(self, topic: str, offset: int) -> Iterator[Record]:
        name = topic_name(self._product, topic)
        while page := self._log.read(name, offset, PAGE):
            for message in page:
                yield decode(topic, message.value, message.headers)
            offset += len(page)


def words(record: RetrainRequest | TrainingRun | Promotion) -> str:
    """Return one line for a decision."""
    match record:
        case RetrainRequest():
            return f"{record.requested_at:%Y-%m-%d} retrain: {record.reason}"
        case TrainingRun():
            return f"{record.finished_at:%Y-%m-%d} training {record.status}: {record.reason}"
        case Promotion():
            return f"{record.at:%Y-%m-%d} {record.action} version {record.version}: {record.reason}"


def count(story: list[RetrainRequest | TrainingRun | Promotion], action: Action) -> int:
    """Return how often the story took an action."""
    return sum(isinstance(record, Promotion) and record.action is action for record in story)
