"""Hears by the log what other processes make of the events that were sent to this one."""

from datetime import datetime
from time import monotonic

from homeostat.codec import decode
from homeostat.flow import dead_letters, topic_name
from homeostat.ports import EventLog
from homeostat.serving.answers import Answers

_PAGE = 1_000
_NOTE_S = 1.0  # so much of the log is passed over at most when somebody comes to wait
_HEARD = ("predictions", dead_letters("ingest"))


class Following:
    """Tells of every prediction and every refused event while somebody waits for one; driven like a worker."""

    def __init__(self, product: str, log: EventLog, answers: Answers) -> None:
        """Take the log and who is told."""
        self._names = {topic: topic_name(product, topic) for topic in _HEARD}
        self._log = log
        self._answers = answers
        self._positions = self._ends()
        self._noted_at = monotonic()

    def restore(self, now: datetime) -> None:
        """Need no memory: nobody waits yet."""

    def run_once(self, now: datetime) -> int:  # noqa: ARG002 - a worker's shape
        """Tell what has come since the last call, and return how many messages that was.

        While nobody waits only the ends are noted, now and then, as that asks a server: an answer comes after its
        event, and that after the last look.
        """
        if not self._answers.awaited:
            if monotonic() - self._noted_at >= _NOTE_S:
                self._positions, self._noted_at = self._ends(), monotonic()
            return 0
        return sum(self._follow(topic, name) for topic, name in self._names.items())

    def _ends(self) -> dict[str, int]:
        return {topic: self._log.end(name) for topic, name in self._names.items()}

    def _follow(self, topic: str, name: str) -> int:
        began = self._positions[topic]
        while messages := self._log.read(name, self._positions[topic], _PAGE):
            self._answers.hear([decode(topic, message.value, message.headers) for message in messages])
            self._positions[topic] = messages[-1].offset + 1
        return self._positions[topic] - began
