"""Answers who asked for predictions, once the steps have dealt with their events."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic, thread_time

from homeostat.codec import encode
from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError, TransientError
from homeostat.features.query import Query
from homeostat.flow import topic_name
from homeostat.metric_names import STEP_CPU
from homeostat.ports import EventLog, NewMessage, Telemetry
from homeostat.records import Prediction
from homeostat.serving.answers import Answers
from homeostat.serving.work import Answer, Asking
from homeostat.steps.predict import PredictStep

_PATIENCE_S = 5.0
_Reply = tuple[Answer, NewMessage | None]


class Desk:
    """Puts each answer in its place; predictions made on request are published here, before anybody sees them."""

    def __init__(
        self, contract: Contract, log: EventLog, step: PredictStep, answers: Answers, telemetry: Telemetry
    ) -> None:
        """Take the step that answers queries, and what is overheard of the steps."""
        self._product = contract.product
        self._topic = topic_name(contract.product, "predictions")
        self._log = log
        self._step = step
        self._answers = answers
        self._telemetry = telemetry
        self.id_of = answers.id_of

    def expect(self, waiting: Iterable[Asking]) -> None:
        """Take who waits for the batch that is handled next."""
        self._answers.expect(waiting)

    def answer(self, waiting: Sequence[Asking], now: datetime) -> list[Asking]:
        """Answer everybody whose events were dealt with, and return the others.

        Who asked one question that can't be answered is answered none of them, and none is in the log: only the
        events of such a request are. An event stays unread where another process appended to the log by a clock
        that is ahead of this one.

        Raises:
            TransientError: The features, the registry or the log don't answer; nobody was answered.
        """
        found = [(asking, self._answers.of(asking)) for asking in waiting]
        done = [pair for pair in found if all(known or isinstance(row, Query) for row, known in _rows(*pair))]
        queries = [row for asking, _ in done for row in asking.asked if isinstance(row, Query)]
        replies = iter(self._replies(queries, now) if queries else ())
        answered = [(asking, [(known, None) if known else next(replies) for known in of]) for asking, of in done]
        self._publish([pairs for _, pairs in answered], now)
        for asking, pairs in answered:
            asking.future.set_result([answer for answer, _ in pairs])
        return [asking for asking in waiting if not asking.future.done() and not _given_up(asking)]

    def _replies(self, queries: Sequence[Query], now: datetime) -> list[_Reply]:
        """Return the answer to each query, with the message that has to be in the log before anybody sees it."""
        started = thread_time()
        replies: list[_Reply] = []
        for answer in self._step.answer(queries, now):
            try:
                message = NewMessage(self._topic, *encode(answer)) if isinstance(answer, Prediction) else None
                replies.append((answer, message))
            except InvalidRecordError as error:  # it came with a value that has no place in the log
                replies.append((error, None))
        self._telemetry.count(STEP_CPU, thread_time() - started, product=self._product, step="predict")
        return replies

    def _publish(self, requests: Sequence[Sequence[_Reply]], now: datetime) -> None:
        whole = [pairs for pairs in requests if not any(isinstance(answer, InvalidRecordError) for answer, _ in pairs)]
        messages = [message for pairs in whole for _, message in pairs if message is not None]
        if messages:
            self._log.append(messages, now)


def _rows(asking: Asking, answers: Sequence[Answer | None]) -> Iterable[tuple[object, Answer | None]]:
    return zip(asking.asked, answers, strict=True)


def _given_up(asking: Asking) -> bool:
    """Fail somebody who has waited too long though all works: better to ask again than to hang."""
    if monotonic() - asking.since < _PATIENCE_S:
        return False
    asking.future.set_exception(
        TransientError("stored, but not read yet: the log's times are ahead of this clock; ask again")
    )
    return True
