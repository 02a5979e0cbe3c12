"""Hears by the log what other processes make of the events that were sent to this one."""

from collections.abc import Callable, Sequence
from datetime import datetime

from homeostat.codec import decode
from homeostat.flow import dead_letters, topic_name
from homeostat.ports import EventLog
from homeostat.records import Record

_PAGE = 1_000
_HEARD = ("predictions", dead_letters("ingest"))


class Following:
    """Tells a listener of every prediction and every refused event from now on; driven like a worker."""

    def __init__(self, product: str, log: EventLog, listener: Callable[[Sequence[Record]], None]) -> None:
        """Take the log and who is told."""
        self._names = {topic: topic_name(product, topic) for topic in _HEARD}
        self._log = log
        self._listener = listener
        self._positions = {topic: log.end(name) for topic, name in self._names.items()}

    def restore(self, now: datetime) -> None:
        """Need no memory: nobody waits yet."""

    def run_once(self, now: datetime) -> int:  # noqa: ARG002 - a worker's shape
        """Tell what has come since the last call, and return how many messages that was."""
        return sum(self._follow(topic, name) for topic, name in self._names.items())

    def _follow(self, topic: str, name: str) -> int:
        began = self._positions[topic]
        while messages := self._log.read(name, self._positions[topic], _PAGE):
            self._listener([decode(topic, message.value, message.headers) for message in messages])
            self._positions[topic] = messages[-1].offset + 1
        return self._positions[topic] - began
