"""Forgets what is older than the contract keeps: messages of every topic, rows to train on, stored rows of entities."""

import logging
from datetime import datetime, timedelta

from homeostat.bootstrap import Ports
from homeostat.contract.model import Contract
from homeostat.contract.spans import log_span
from homeostat.flow import FLOW, dead_letters, topic_name

EVERY = timedelta(hours=6)

_log = logging.getLogger(__name__)


class Retention:
    """Trims one product's stores every six hours of its clock.

    What it leaves alone is bounded otherwise: notes of trainings and logs of processes by their own limits. Versions
    and the ledger are for good.
    """

    def __init__(self, contract: Contract, stack: Ports) -> None:
        """Take what says how long, and what is to be trimmed."""
        self._contract = contract
        self._stack = stack
        self._next: datetime | None = None
        topics = {topic for row in FLOW for topic in (*row.consumes, *row.produces, dead_letters(row.step))}
        self._topics = sorted(topic_name(contract.product, topic) for topic in topics)

    def run(self, now: datetime) -> None:
        """Forget what is too old by now, if it is time to look again."""
        if self._next is not None and now < self._next:
            return
        self._next = now + EVERY
        before = now - log_span(self._contract)
        messages = sum(self._stack.log.trim(topic, before) for topic in self._topics if self._is_read(topic))
        weeks = self._stack.offline.forget(now - self._contract.retention.features)
        entities = self._stack.online.forget(now - self._contract.retention.entities)
        if messages or weeks or entities:
            said = "%s: forgot %d messages, %d weeks of rows, the stored rows of %d entities"
            _log.info(said, self._contract.product, messages, weeks, entities)

    def _is_read(self, topic: str) -> bool:
        """Return whether every step that reads a topic has begun to: one that never did has still to read it all."""
        product = self._contract.product
        readers = [row.step for row in FLOW for name in row.consumes if topic_name(product, name) == topic]
        return all(self._stack.log.committed(step, topic) for step in readers)
